import numpy as np
import pytest

from degu_tf.cli.inference import missing_components, prediction_table
from degu_tf.heads import HeadLayout, Prediction
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
        **{"Hk": -2.0, "Hk_aleatoric": 5.0, "Hk_epistemic": 12.0, "Hk_total": 13.0},
        **{"Hk_lower": -2.0 - NORMAL_95 * 13.0, "Hk_upper": -2.0 + NORMAL_95 * 13.0},
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
    assert len(table.columns) == 8
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
