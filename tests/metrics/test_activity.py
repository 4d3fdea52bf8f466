import numpy as np
import pandas as pd
import pytest
from scipy import stats

from degu_tf.heads import HeadLayout, Prediction
from degu_tf.metrics.activity import distance, rmse, score, wide
from degu_tf.metrics.correlation import ConstantColumnWarning, correlation
from degu_tf.utils.errors import InputError

HEADS = HeadLayout(("Dev", "Hk"), "std", "std")


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(0)
    return rng.uniform(0.1, 2.0, (2, 50, 6)).astype(np.float32)


def value(table, **wanted):
    chosen = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    assert len(chosen) == 1
    return chosen["value"].item()


def test_every_value_is_scipys(columns):
    predicted, measured = columns
    table = score(HEADS.prediction(predicted), measured, HEADS)
    assert len(table) == 2 * 3 * 3
    for index, name in enumerate(HEADS.columns):
        target, _, head = name.partition("_")
        wanted = {"target": target, "head": head or "activity"}
        x, y = predicted[:, index].astype(float), measured[:, index].astype(float)
        assert value(table, **wanted, metric="mse") == pytest.approx(((x - y) ** 2).mean(), 1e-9)
        for metric, function in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
            assert value(table, **wanted, metric=metric) == pytest.approx(function(x, y)[0], 1e-9)


def test_the_table_is_tidy(columns):
    table = score(
        HEADS.prediction(columns[0]), columns[1], HEADS, method="student", fraction=0.25, seed=3
    )
    assert table.columns.tolist() == [
        "method", "fraction", "seed", "target", "head", "metric", "value", "n",
    ]  # fmt: skip
    assert set(table["method"]) == {"student"}
    assert set(table["n"]) == {50}
    assert not table.duplicated(["target", "head", "metric"]).any()


def test_only_heads_that_both_have_are_scored(columns):
    measured = HeadLayout(("Dev", "Hk"), aleatoric="std")
    student = HEADS.prediction(columns[0])
    table = score(student, columns[1][:, :4], measured)
    assert table["head"].unique().tolist() == ["activity", "aleatoric"]
    plain = measured.without_uncertainty().prediction(columns[0][:, :2])
    assert score(plain, columns[1][:, :4], measured)["head"].unique().tolist() == ["activity"]


def test_uncertainties_are_compared_as_deviations_whatever_their_form():
    prediction = HeadLayout(("a",), "log_variance").prediction(
        np.array([[0.0, np.log(0.04)], [1.0, np.log(0.25)]])
    )
    truth = np.array([[0.0, 0.2], [1.0, 0.5]])
    table = score(prediction, truth, HeadLayout(("a",), "std"))
    assert value(table, head="aleatoric", metric="mse") == pytest.approx(0.0, abs=1e-15)
    logged = score(prediction, prediction.columns, HeadLayout(("a",), "log_variance"))
    assert value(logged, head="aleatoric", metric="mse") == pytest.approx(0.0, abs=1e-15)


def test_profiles_are_pooled_over_positions():
    rng = np.random.default_rng(1)
    predicted, measured = rng.normal(size=(2, 6, 9, 1))
    heads = HeadLayout(("signal",))
    table = score(heads.prediction(predicted), measured, heads)
    expected = stats.pearsonr(predicted.ravel(), measured.ravel())[0]
    assert value(table, metric="pearson") == pytest.approx(expected)
    assert set(table["n"]) == {54}


@pytest.mark.parametrize("constant", ["predicted", "measured"])
def test_a_constant_column_gives_nan_and_a_warning_that_names_it(constant):
    values = {"predicted": np.arange(4.0), "measured": np.arange(4.0)}
    values[constant] = np.full(4, 0.3)
    heads = HeadLayout(("Dev",))
    with pytest.warns(ConstantColumnWarning, match=f"the {constant} values of Dev activity do not"):
        table = score(
            heads.prediction(values["predicted"][:, None]), values["measured"][:, None], heads
        )
    assert np.isnan(value(table, metric="pearson"))
    assert np.isnan(value(table, metric="spearman"))
    expected = np.mean((values["predicted"] - values["measured"]) ** 2)
    assert value(table, metric="mse") == pytest.approx(expected)


def test_one_sequence_has_no_correlation():
    with pytest.warns(ConstantColumnWarning, match=r"do not vary \(n=1\); the pearson"):
        assert np.isnan(correlation(np.array([1.0]), np.array([2.0])))


def test_correlations_of_ties():
    x, y = np.array([1, 1, 2, 3]), np.array([2, 1, 1, 5])
    assert correlation(x, y, "spearman") == pytest.approx(stats.spearmanr(x, y)[0])
    assert correlation(x, -x) == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), np.zeros(4)), r"Received: shapes \(3,\) and \(4,\)"),
        ((np.zeros((3, 1)), np.zeros((3, 1))), "two vectors"),
        ((np.arange(3), np.arange(3), "kendall"), "Received: kind='kendall'"),
    ],
)
def test_bad_vectors(arguments, message):
    with pytest.raises(InputError, match=message):
        correlation(*arguments)


def test_predictions_that_do_not_match_the_data(columns):
    prediction = HEADS.prediction(columns[0])
    with pytest.raises(InputError, match=r"for 49 sequences.*\('Dev', 'Hk'\) for 50"):
        score(prediction, columns[1][:49], HEADS)
    swapped = HeadLayout(("Hk", "Dev"), "std", "std")
    with pytest.raises(InputError, match=r"prediction of \('Hk', 'Dev'\)"):
        score(prediction, columns[1], swapped)
    with pytest.raises(InputError, match="measured columns must have shape"):
        score(prediction, columns[1][:, :4], HEADS)


def test_distances():
    a = Prediction(("a", "b"), np.array([[0.0, 1.0], [0.0, 1.0]]))
    b = Prediction(("a", "b"), np.array([[3.0, 1.0], [-4.0, 2.0]]))
    table = distance(a, b, method="single")
    assert value(table, target="a", method="single") == pytest.approx(np.sqrt(12.5))
    assert value(table, target="b", metric="rmse_to_ensemble") == pytest.approx(np.sqrt(0.5))
    profile = np.zeros((2, 3, 1))
    assert rmse(profile, profile + 2.0).tolist() == [2.0]
    with pytest.raises(InputError, match="expected predictions of"):
        distance(a, Prediction(("b", "a"), b.mean))
    with pytest.raises(InputError, match=r"one shape. Received: shapes \(2, 2\) and \(1, 2\)"):
        distance(a, Prediction(("a", "b"), b.mean[:1]))


def test_wide_has_a_row_a_method_and_a_column_a_head():
    rows = [
        ("single", "Dev", "activity", "pearson", 0.5),
        ("single", "Dev", "activity", "pearson", 0.7),
        ("student", "Dev", "activity", "pearson", 0.8),
        ("student", "Dev", "epistemic", "pearson", 0.9),
        ("student", "Dev", "epistemic", "mse", 9.0),
    ]
    table = wide(pd.DataFrame(rows, columns=["method", "target", "head", "metric", "value"]))
    assert table.index.tolist() == ["single", "student"]
    assert table.columns.tolist() == ["Dev", "Dev epistemic"]
    assert table.loc["single", "Dev"] == pytest.approx(0.6)
    assert np.isnan(table.loc["single", "Dev epistemic"])
