"""`degu predict`: its table, and what reaches it from files."""

import numpy as np
import pytest
from command_line import COLUMNS, SUFFIXES, TRAIN, degu, done, settings, table

from degu_tf.cli.shared.prediction_table import missing_components, prediction_table
from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.distillation.runs import open_run
from degu_tf.heads import FlooredUncertaintyWarning, HeadLayout, Prediction
from degu_tf.sequences.encoding import reverse_complement
from degu_tf.uncertainty.conformal.conformal import Conformal
from degu_tf.utils.errors import InputError

BOTH = HeadLayout(("Dev", "Hk"), aleatoric="std", epistemic="std")
NORMAL_95 = 1.959963984540054


def test_columns_and_values():
    row = np.array([[1.0, -2.0, 0.3, 5.0, 0.4, 12.0]])
    table = prediction_table(BOTH.prediction(row), ["s"])
    expected = {
        **{"name": "s", "Dev": 1.0, "Dev_aleatoric": 0.3, "Dev_epistemic": 0.4, "Dev_total": 0.5},
        **{"Dev_lower": 1.0 - NORMAL_95 * 0.5, "Dev_upper": 1.0 + NORMAL_95 * 0.5},
        "Dev_floored": "no",
        **{"Hk": -2.0, "Hk_aleatoric": 5.0, "Hk_epistemic": 12.0, "Hk_total": 13.0},
        **{"Hk_lower": -2.0 - NORMAL_95 * 13.0, "Hk_upper": -2.0 + NORMAL_95 * 13.0},
        "Hk_floored": "no",
        "interval": "gaussian",
    }
    assert table.columns.tolist() == list(expected)
    for column, value in expected.items():
        shown = table[column][0]
        assert shown == value if isinstance(value, str) else shown == pytest.approx(value)


def test_rows_keep_their_order_and_names():
    prediction = BOTH.prediction(np.arange(18.0).reshape(3, 6) + 1.0)
    table = prediction_table(prediction, np.array(["b", "a", "a"]))
    assert table["name"].tolist() == ["b", "a", "a"]
    assert table["Dev"].tolist() == [1.0, 7.0, 13.0]
    assert table["Hk_epistemic"].tolist() == [6.0, 12.0, 18.0]


def test_the_level_sets_the_interval():
    prediction = HeadLayout(("a",), epistemic="std").prediction(np.array([[0.0, 2.0]]))
    table = prediction_table(prediction, ["s"], level=0.6826894921370859)
    assert table["a_upper"][0] == pytest.approx(2.0)
    for level in (0.0, 1.0, 95):
        with pytest.raises(InputError, match="level must lie between 0 and 1"):
            prediction_table(prediction, ["s"], level)


@pytest.mark.parametrize(
    ("forms", "missing", "empty"),
    [
        ({"aleatoric": "std", "epistemic": "std"}, [], []),
        ({"aleatoric": "std"}, ["epistemic"], ["a_epistemic"]),
        ({"epistemic": "std"}, ["aleatoric"], ["a_aleatoric"]),
        (
            {},
            ["aleatoric", "epistemic"],
            ["a_aleatoric", "a_epistemic", "a_total", "a_lower", "a_upper"],
        ),
    ],
)
def test_what_a_predictor_lacks_is_nan(forms, missing, empty):
    heads = HeadLayout(("a",), **forms)
    prediction = heads.prediction(np.ones((2, heads.n_columns)))
    table = prediction_table(prediction, ["s", "t"])
    assert missing_components(prediction) == missing
    assert len(table.columns) == 9
    assert [c for c in table.columns if table[c].isna().any()] == empty
    assert [c for c in table.columns if table[c].isna().all()] == empty
    assert set(table["interval"]) == {"none" if len(missing) == 2 else "gaussian"}


def test_intervals_are_conformal_where_there_is_a_calibration():
    heads = HeadLayout(("Dev", "Hk"), aleatoric="std", epistemic="std")
    rng = np.random.default_rng(0)
    columns = rng.uniform(0.1, 1.0, (30, 6))
    measured = rng.normal(columns[:, :2])
    held, new = heads.prediction(columns), heads.prediction(columns[:5])
    conformal = Conformal("aleatoric").fit(held, measured, HeadLayout(("Dev", "Hk")))
    table = prediction_table(new, list("abcde"), 0.8, conformal)
    gaussian = prediction_table(new, list("abcde"), 0.8)
    assert table.columns.tolist() == gaussian.columns.tolist()
    assert set(table["interval"]) == {"conformal"}
    lower, upper = conformal.predict(new, 0.8)
    for t, target in enumerate(("Dev", "Hk")):
        np.testing.assert_array_equal(table[f"{target}_lower"], lower[:, t])
        np.testing.assert_array_equal(table[f"{target}_upper"], upper[:, t])
    kept = [name for name in table if not name.endswith(("lower", "upper", "interval"))]
    assert table[kept].equals(gaussian[kept])
    with pytest.raises(InputError, match=r"level 0\.99 needs 99"):
        prediction_table(new, list("abcde"), 0.99, conformal)
    with pytest.raises(InputError, match="gives no aleatoric uncertainty"):
        prediction_table(Prediction(("Dev", "Hk"), np.zeros((1, 2))), ["a"], 0.8, conformal)


def test_profiles_and_wrong_names_are_refused():
    prediction = Prediction(("a",), np.zeros((2, 5, 1)))
    with pytest.raises(InputError, match=r"one number.*profiles of shape \(2, 5, 1\)"):
        prediction_table(prediction, ["s", "t"])
    prediction = Prediction(("a",), np.zeros((2, 1)))
    with pytest.raises(InputError, match=r"expected 2 names.*Received: 3"):
        prediction_table(prediction, ["s", "t", "u"])


@pytest.mark.parametrize("kind", ["fasta", "table", "hdf5", "bed"])
@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_predictions_are_those_of_the_python_interface(work, inputs, tmp_path, kind):
    shown = done("predict", work.y, *inputs[kind], "--out", tmp_path / "p.tsv")
    assert f"Wrote {tmp_path / 'p.tsv'}: 30 predictions, interval: gaussian" in shown.out
    written = table(tmp_path / "p.tsv")
    assert written.columns.tolist() == COLUMNS
    test = read_splits(work.data).test
    assert written["name"].tolist() == [str(name) for name in test.names]
    assert set(written["interval"]) == {"gaussian"}
    prediction = open_run(work.y).predict(test.sequences)
    lower, upper = prediction.interval(0.95)
    values = (prediction.mean, prediction.aleatoric, prediction.epistemic, prediction.total)
    for suffix, expected in zip(SUFFIXES, (*values, lower, upper), strict=True):
        shown = written[[f"Dev{suffix}", f"Hk{suffix}"]]
        np.testing.assert_allclose(shown, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_strands_are_averaged(work, inputs, tmp_path):
    done("predict", work.x, *inputs["bed"], "--average-strands", "--out", tmp_path / "p.tsv")
    tokens = read_splits(work.data).test.sequences
    forward = open_run(work.x).predict(tokens)
    backward = open_run(work.x).predict(reverse_complement(tokens))
    written = table(tmp_path / "p.tsv")
    for suffix, part in (("", "mean"), ("_epistemic", "epistemic")):
        expected = (getattr(forward, part) + getattr(backward, part)) / 2
        np.testing.assert_allclose(written[f"Dev{suffix}"], expected[:, 0], rtol=1e-4, atol=1e-7)
    assert not np.allclose(written["Dev"], forward.mean[:, 0], rtol=1e-3)


def test_level_sets_the_width_of_the_interval(work, inputs, tmp_path):
    done("predict", work.y, *inputs["fasta"], "--level", 0.5, "--out", tmp_path / "p.tsv")
    written = table(tmp_path / "p.tsv")
    half = (written["Dev_upper"] - written["Dev_lower"]) / 2
    np.testing.assert_allclose(half, 0.6744898 * written["Dev_total"], rtol=1e-2, atol=1e-6)


def test_output_exists_unless_forced(work, inputs, tmp_path):
    (tmp_path / "p.tsv").write_text("mine")
    refused = degu("predict", work.y, *inputs["fasta"], "--out", tmp_path / "p.tsv")
    assert refused.code == 2
    assert "overwrite it with --force" in refused.err
    assert (tmp_path / "p.tsv").read_text() == "mine"
    done("predict", work.y, *inputs["fasta"], "--out", tmp_path / "p.tsv", "--force")
    assert table(tmp_path / "p.tsv").columns.tolist() == COLUMNS


@pytest.mark.usefixtures("untrained")
def test_what_a_model_lacks_is_empty_and_said_once(work, inputs, tmp_path):
    """Activity-only teachers: their ensemble has no aleatoric column, one of them neither."""
    run = tmp_path / "run"
    arguments = ("--activity-only", "--n-train", 20, "--out", run)
    assert "columns Dev, Hk\n" in done("train", work.data, *TRAIN, *arguments).out
    assert settings(run)["data"]["n_train"] == 20
    ensemble = done("predict", run, *inputs["fasta"], "--out", tmp_path / "p.tsv")
    assert ensemble.out.count("This model gives no aleatoric uncertainty") == 1
    assert "no epistemic" not in ensemble.out
    written = table(tmp_path / "p.tsv")
    assert written.columns.tolist() == COLUMNS
    assert written[["Dev_aleatoric", "Hk_aleatoric"]].isna().all(axis=None)
    assert written.drop(columns=["Dev_aleatoric", "Hk_aleatoric"]).notna().all(axis=None)
    np.testing.assert_allclose(written["Dev_total"], written["Dev_epistemic"])

    single = done("predict", run / "member_00", *inputs["fasta"], "--out", tmp_path / "q.tsv")
    assert single.out.count("This model gives no ") == 2
    assert "interval: none" in single.out
    written = table(tmp_path / "q.tsv")
    assert set(written["interval"]) == {"none"}
    assert written[["name", "Dev", "Hk"]].notna().all(axis=None)
    assert (
        written.drop(columns=["name", "Dev", "Hk", "Dev_floored", "Hk_floored", "interval"])
        .isna()
        .all(axis=None)
    )


def test_uncertainties_below_zero_are_flagged_and_not_only_raised():
    heads = HeadLayout(("a",), "std", "std")
    columns = np.array([[0, 0.5, 0.5], [0, -0.5, 0.5], [0, 0.5, -0.5], [0, -0.5, -0.5]])
    with pytest.warns(FlooredUncertaintyWarning):
        prediction = heads.prediction(columns)
    table = prediction_table(prediction, list("stuv"))
    assert table["a_floored"].tolist() == ["no", "aleatoric", "epistemic", "both"]
    assert table.columns.tolist()[-2:] == ["a_floored", "interval"]
    bare = prediction_table(Prediction(("a",), np.zeros((2, 1))), ["s", "t"])
    assert bare["a_floored"].tolist() == ["no", "no"]
