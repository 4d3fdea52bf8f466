"""Pearson's r by head, exact over all that was seen, whatever the batches."""

import itertools

import keras
import numpy as np
import pytest
from scipy import stats

from degu_tf.heads import HeadLayout
from degu_tf.metrics.keras_metrics import HeadPearson, head_metrics


def related(n, columns=3, seed=0):
    """Labels and predictions `(n, columns)` that go together more or less."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, columns))
    return y, y * np.linspace(-1.0, 1.0, columns) + rng.normal(size=(n, columns))


def batches(*arrays, sizes=(7, 30, 1, 12)):
    starts = np.cumsum((0, *sizes))
    assert starts[-1] == len(arrays[0])
    return [[array[a:b] for array in arrays] for a, b in itertools.pairwise(starts)]


def r(x, y):
    return pytest.approx(stats.pearsonr(np.ravel(x), np.ravel(y)).statistic, abs=1e-12)


def test_it_is_that_of_the_whole_and_no_mean_of_batches():
    y, x = related(50)
    for column in range(3):
        metric = HeadPearson(column)
        for part in batches(y, x):
            metric.update_state(*part)
        assert float(metric.result()) == r(x[:, column], y[:, column])
    kept = [part for part in batches(y, x) if len(part[0]) > 1]
    mean = np.mean([stats.pearsonr(a[:, 2], b[:, 2]).statistic for a, b in kept])
    assert float(metric.result()) != pytest.approx(mean, abs=1e-2)


def test_a_reset_forgets():
    y, x = related(50)
    metric = HeadPearson(1)
    metric.update_state(-y, x)
    metric.reset_state()
    metric.update_state(y, x)
    assert float(metric.result()) == r(x[:, 1], y[:, 1])


def test_profiles_are_pooled_over_positions():
    y, x = (array.reshape(10, 5, 3) for array in related(50))
    metric = HeadPearson(2)
    metric.update_state(y, x)
    assert float(metric.result()) == r(x[..., 2], y[..., 2])


@pytest.mark.parametrize("shape", [(50, 3), (10, 5, 3)])
def test_weights_count_sequences_as_often(shape):
    y, x = (array.reshape(shape) for array in related(50))
    weights = np.random.default_rng(1).integers(0, 4, shape[0])
    metric = HeadPearson(0)
    metric.update_state(y, x, sample_weight=weights)
    y, x = (np.repeat(array, weights, axis=0) for array in (y, x))
    assert float(metric.result()) == r(x[..., 0], y[..., 0])


def test_large_numbers_do_not_cost_precision():
    y, x = related(50)
    y, x = 1e4 + y, 1e4 + x
    metric = HeadPearson(2)
    metric.update_state(y, x)
    assert float(metric.result()) == pytest.approx(
        stats.pearsonr(y[:, 2], x[:, 2]).statistic, abs=1e-6
    )


def test_what_does_not_vary_has_none():
    metric = HeadPearson(0)
    assert float(metric.result()) == 0.0
    metric.update_state(np.ones((4, 1)), np.arange(4.0)[:, np.newaxis])
    assert float(metric.result()) == 0.0
    metric.reset_state()
    metric.update_state([[1.0]], [[2.0]])
    assert float(metric.result()) == 0.0


def test_it_is_made_anew_from_its_configuration():
    content = keras.saving.serialize_keras_object(HeadPearson(2, "Dev_pearson"))
    metric = keras.saving.deserialize_keras_object(content)
    assert (metric.column, metric.name, metric.dtype) == (2, "Dev_pearson", "float64")


def test_one_for_each_column_of_a_student():
    metrics = head_metrics(HeadLayout(("Dev", "Hk"), "std", "log_variance"))
    assert [metric.column for metric in metrics] == list(range(6))
    assert [metric.name for metric in metrics] == [
        "Dev_pearson", "Hk_pearson",
        "Dev_aleatoric_pearson", "Hk_aleatoric_pearson",
        "Dev_epistemic_pearson", "Hk_epistemic_pearson",
    ]  # fmt: skip
