"""Every measure of data with missing values is that of the values present, target by target."""

import keras
import numpy as np
import pandas as pd
import pytest

from degu_tf.heads import HeadLayout, Prediction
from degu_tf.metrics.activity import score
from degu_tf.metrics.intervals import coverage
from degu_tf.metrics.keras_metrics import HeadPearson
from degu_tf.metrics.kmer_ridge import KmerRidge
from degu_tf.metrics.share_kept import share_kept
from degu_tf.metrics.uncertainty import proper_scores, sparsification_scores
from degu_tf.uncertainty.conformal.conformal import Conformal

RNG = np.random.default_rng(4)
HEADS = HeadLayout(("a", "b"), aleatoric="std")
N = 300
MEASURED = RNG.normal(size=(N, 4)) ** 2
MEASURED[RNG.random(N) < 0.3, 1] = np.nan
MEASURED[RNG.random(N) < 0.5, 2] = np.nan
ROWS = [np.flatnonzero(~np.isnan(MEASURED[:, column])) for column in range(4)]
MEANS = RNG.normal(size=(N, 2)) + np.nan_to_num(MEASURED[:, :2])
STDS = RNG.uniform(0.5, 2, (N, 2))
PREDICTION = Prediction(("a", "b"), MEANS, STDS)


def alone(target):
    """Prediction, measurements and layout of one target, of the rows that have it."""
    rows = ROWS[target]
    single = Prediction(("ab"[target],), MEANS[rows][:, [target]], STDS[rows][:, [target]])
    return single, MEASURED[rows][:, [target]], HeadLayout(("ab"[target],))


@pytest.mark.parametrize("judge", [score, coverage, proper_scores, sparsification_scores])
def test_scores(judge):
    means = HeadLayout(("a", "b"))
    table = judge(PREDICTION, MEASURED[:, :2], means)
    parts = pd.concat([judge(*alone(target)) for target in (0, 1)])
    keys = [each for each in ("component", "target", "metric") if each in table]
    expected = parts.set_index(keys).loc[table.set_index(keys).index]
    np.testing.assert_allclose(table["value"], expected["value"], rtol=1e-6)
    assert table["n"].tolist() == expected["n"].tolist()
    assert set(table["n"]) == {N, len(ROWS[1])}


def test_heads_of_one_target_may_have_other_gaps():
    table = score(PREDICTION, MEASURED, HEADS).set_index(["head", "target", "metric"])
    assert table.loc[("aleatoric", "a", "mse"), "n"] == len(ROWS[2])
    error = (STDS[ROWS[2], 0] - MEASURED[ROWS[2], 2]) ** 2
    np.testing.assert_allclose(table.loc[("aleatoric", "a", "mse"), "value"], error.mean())


def test_the_share_kept():
    members, student = RNG.normal(size=(3, N, 2)) + MEANS, MEANS + RNG.normal(size=(N, 2))
    table = share_kept(student, members, MEASURED[:, :2], ("a", "b"), n_bootstrap=20)
    for target, rows in enumerate(ROWS[:2]):
        part = (student[rows][:, [target]], members[:, rows][:, :, [target]])
        found = share_kept(*part, MEASURED[rows][:, [target]], ("x",), n_bootstrap=20)
        columns = ["single", "ensemble", "student", "share"]
        np.testing.assert_allclose(table.loc[target, columns], found.loc[0, columns], rtol=1e-9)
    assert np.isfinite(table.drop(columns="target").to_numpy(float)).all()


@pytest.mark.parametrize("n_bins", [None, 3])
def test_conformal_factors_are_those_of_the_values_present(n_bins):
    means = HeadLayout(("a", "b"))
    fitted = Conformal(n_bins=n_bins).fit(PREDICTION, MEASURED[:, :2], means).factors(0.9)
    parts = [Conformal(n_bins=n_bins).fit(*alone(target)).factors(0.9) for target in (0, 1)]
    pd.testing.assert_frame_equal(fitted, pd.concat(parts, ignore_index=True))


def test_the_ridge_fits_each_target_to_the_rows_that_have_it():
    tokens = RNG.integers(0, 4, (N, 40))
    y = MEASURED[:, [0, 1, 3]]
    ridge = KmerRidge(k=2).fit(tokens, y)
    for column, rows in enumerate((ROWS[0], ROWS[1], ROWS[3])):
        single = KmerRidge(k=2).fit(tokens[rows], y[rows][:, [column]])
        np.testing.assert_allclose(ridge.weights[:, [column]], single.weights, atol=1e-10)
        assert ridge.intercept[column] == pytest.approx(single.intercept[0])
        assert ridge.penalty[column] == single.penalty[0]


def test_the_correlation_that_keras_monitors():
    metric = HeadPearson(1)
    for part in np.array_split(np.arange(N), 7):
        metric.update_state(MEASURED[part], np.concatenate([MEANS, STDS], axis=1)[part])
    rows = ROWS[1]
    expected = np.corrcoef(MEANS[rows, 1], MEASURED[rows, 1])[0, 1]
    assert float(metric.result()) == pytest.approx(expected, abs=1e-9)
    weighted = HeadPearson(1)
    weighted.update_state(MEASURED, np.concatenate([MEANS, STDS], axis=1), np.full(N, 2.0))
    assert float(weighted.result()) == pytest.approx(expected, abs=1e-9)
    assert isinstance(metric, keras.metrics.Metric)
