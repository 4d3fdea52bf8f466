"""One Pearson correlation in three forms - vectors, weighted draws, sums - each against scipy."""

import numpy as np
import pytest
from keras import ops
from scipy import stats

from degu_tf.metrics.correlation import (
    correlation,
    correlation_or_nan,
    pearson_of_sums,
    weighted_pearson,
)
from degu_tf.utils.errors import InputError

RNG = np.random.default_rng(5)
SCALES = [(1.0, 0.0), (1e-9, 0.0), (1e6, 1e5), (-3.0, 2.0)]
"""Factor and offset of x; a correlation changes by the factor's sign alone."""


def pair(scale=1.0, offset=0.0, n=40):
    x, noise = np.random.default_rng(2).normal(size=(2, n))
    return scale * x + offset, x + noise


def sums(x, y):
    return [float(len(x)), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()]


def of_tensors(values):
    return float(pearson_of_sums([ops.convert_to_tensor(each, "float64") for each in values], ops))


@pytest.mark.parametrize(("scale", "offset"), SCALES)
def test_every_form_is_scipys_whatever_the_unit(scale, offset):
    x, y = pair(scale, offset)
    expected = stats.pearsonr(x, y).statistic
    assert correlation(x, y) == expected
    assert correlation_or_nan(x, y) == expected
    assert weighted_pearson(x, y, np.ones((1, len(x))))[0] == pytest.approx(expected, abs=1e-12)
    assert pearson_of_sums(sums(x, y)) == pytest.approx(expected, abs=1e-9)
    assert of_tensors(sums(x, y)) == pytest.approx(expected, abs=1e-9)
    assert correlation(x, y, "spearman") == stats.spearmanr(x, y).statistic


def test_weights_are_repetitions():
    x, y = pair()
    weights = RNG.integers(0, 4, (6, len(x))).astype(float)
    found = weighted_pearson(x, y, weights)
    by_draw = weighted_pearson(np.tile(x, (6, 1)), np.tile(y, (6, 1)), weights)
    assert by_draw == pytest.approx(found, abs=1e-14)
    for value, counts in zip(found, weights.astype(int), strict=True):
        repeated = stats.pearsonr(np.repeat(x, counts), np.repeat(y, counts))
        assert value == pytest.approx(repeated.statistic, abs=1e-12)


def test_sums_of_parts_add_up_to_those_of_the_whole():
    x, y = pair()
    parts = [np.array(sums(x[rows], y[rows])) for rows in (slice(0, 7), slice(7, None))]
    assert pearson_of_sums(parts[0] + parts[1]) == pytest.approx(stats.pearsonr(x, y).statistic)


CONSTANTS = [np.full(40, 0.1), np.full(40, 1e8), np.zeros(40)]
"""0.1 is no float: its sums carry rounding errors that must not pass for variation."""


@pytest.mark.parametrize("constant", CONSTANTS, ids=("0.1", "1e8", "0"))
@pytest.mark.parametrize("side", [0, 1])
def test_what_does_not_vary_has_no_correlation_in_any_form(constant, side):
    x, y = pair()
    x, y = (constant, y) if side == 0 else (x, constant)
    assert np.isnan(correlation_or_nan(x, y))
    assert np.isnan(correlation_or_nan(x, y, "spearman"))
    assert np.isnan(weighted_pearson(x, y, RNG.integers(1, 4, (3, 40)).astype(float))).all()
    assert np.isnan(pearson_of_sums(sums(x, y)))
    assert np.isnan(of_tensors(sums(x, y)))


def test_a_draw_of_one_value_has_no_correlation_and_others_keep_theirs():
    x, y = pair()
    weights = np.ones((2, 40))
    weights[0, 1:] = 0.0
    first, second = weighted_pearson(x, y, weights)
    assert np.isnan(first)
    assert second == pytest.approx(stats.pearsonr(x, y).statistic)


def test_perfect_correlations_do_not_leave_the_range():
    for scale in RNG.normal(size=200):
        x = RNG.normal(size=11)
        y = scale * x
        for value in (pearson_of_sums(sums(x, y)), *weighted_pearson(x, y, np.ones((1, 11)))):
            assert abs(value) <= 1.0
            assert value == pytest.approx(np.sign(scale))


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_one_nan_makes_the_correlation_nan(kind):
    x, y = pair()
    x[3] = np.nan
    assert np.isnan(correlation_or_nan(x, y, kind))
    assert np.isnan(correlation_or_nan(y, x, kind))


def test_bad_arguments():
    x, y = pair()
    with pytest.raises(InputError, match=r"equal length.*\(40,\) and \(39,\)"):
        correlation_or_nan(x, y[1:])
    with pytest.raises(InputError, match=r"equal length.*\(2, 20\)"):
        correlation(x.reshape(2, 20), y.reshape(2, 20))
    with pytest.raises(InputError, match=r"expected one of.*Received: kind='kendall'"):
        correlation(x, y, "kendall")
