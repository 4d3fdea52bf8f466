"""The promise of conformal intervals, and its limits, counted over fresh draws.

A target is a column, and columns are drawn independently, so 2,000 targets fitted and predicted in
one call are 2,000 resamples of calibration set and new sequence. With one new sequence for each the
number of intervals that hold it is binomial, with exactly the probability that theory gives. Bands
are binomial intervals of probability 1 - 1e-3 / `CHECKS`, so by the union bound all checks together
fail by chance less than once in a thousand sets of seeds; the seeds here are fixed.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from degu_tf.heads import HeadLayout, Prediction
from degu_tf.uncertainty.conformal.conformal import Conformal

RESAMPLES = 2000
TARGETS = tuple(f"t{i}" for i in range(RESAMPLES))
HEADS = HeadLayout(TARGETS)
LEVELS = ("0.5", "0.8", "0.9", "0.95")
SIZES = (20, 39, 50, 100, 333, 2000)
CHECKS = 100
"""More than the bands that this module looks at."""


def band(probability, n=RESAMPLES):
    """Shares that a count of n draws stays between."""
    low, high = stats.binom.interval(1 - 1e-3 / CHECKS, n, float(probability))
    return low / n, high / n


def inside(probability, covered):
    low, high = band(probability, covered.size)
    return low <= covered.mean() <= high


def draw(rng, n, x=None, sigma_right=False):
    """Predictions for n sequences of every resample, and measurements with noise that grows with x.

    The noise is skewed and its scale four times as high at x = 1 as at 0, of which the predicted
    standard deviation knows nothing, unless it is to be right.
    """
    x = rng.random((n, RESAMPLES)) if x is None else x
    scale = 0.3 + 0.9 * x
    noise = scale * (rng.standard_gamma(2.0, x.shape) - 2.0)
    sigma = scale if sigma_right else np.full(x.shape, 0.2)
    return Prediction(TARGETS, x, epistemic=sigma), x + noise


def fitted(calibration):
    return Conformal().fit(*calibration, HEADS)


def held(conformal, prediction, measured, level, groups=None):
    """Which intervals hold their measurement."""
    lower, upper = conformal.predict(prediction, level, groups)
    return (lower <= measured) & (measured <= upper)


@pytest.mark.parametrize("n", SIZES)
def test_intervals_hold_what_they_promise(n):
    rng = np.random.default_rng(n)
    conformal = fitted(draw(rng, n))
    new = draw(rng, 1)
    for level in LEVELS:
        k = math.ceil((n + 1) * Fraction(level))
        assert inside(Fraction(k, n + 1), held(conformal, *new, float(level))), level


def test_the_bands_tell_one_rank_from_the_next():
    """What the test above would say if ranks were one too low or too high, where n is small."""
    rng = np.random.default_rng(20)
    conformal = fitted(draw(rng, 20))
    covered = held(conformal, *draw(rng, 1), 0.95)
    assert inside(20 / 21, covered)
    assert not inside(19 / 21, covered)
    assert not inside(21 / 21, covered)


@pytest.mark.parametrize(("n", "level"), [(20, 0.95), (24, 0.95), (20, 0.9)])
def test_the_plain_quantile_covers_too_little(n, level):
    """By theory (1 + (n - 1) level) / (n + 1) where scores are uniform, as they are here."""
    rng = np.random.default_rng(n)

    def uniform(rows):
        mean, sigma = rng.normal(size=(rows, RESAMPLES)), rng.uniform(0.5, 2.0, (rows, RESAMPLES))
        return Prediction(TARGETS, mean, epistemic=sigma), mean + sigma * rng.random(mean.shape)

    calibration, new = uniform(n), uniform(1)
    plain = held(Conformal(quantile="plain").fit(*calibration, HEADS), *new, level)
    assert inside((1 + (n - 1) * level) / (n + 1), plain)
    assert plain.mean() < band(level)[0]
    assert inside(math.ceil((n + 1) * level) / (n + 1), held(fitted(calibration), *new, level))


def test_under_covariate_shift_the_promise_is_void():
    """Calibrated on all x, asked for high ones, where the noise is stronger than sigma says."""
    rng = np.random.default_rng(0)
    high = rng.uniform(0.9, 1.0, (1, RESAMPLES))
    conformal = fitted(draw(rng, 200))
    for level, at_most in ((0.95, 0.9), (0.8, 0.65), (0.5, 0.36)):
        shifted = held(conformal, *draw(rng, 1, high), level)
        assert shifted.mean() < at_most < band(level)[0]
    low = rng.uniform(0.0, 0.1, (1, RESAMPLES))
    assert held(conformal, *draw(rng, 1, low), 0.8).mean() > 0.95 > band(0.8)[1]


def test_a_sigma_that_knows_the_noise_stands_the_same_shift():
    """Not promised, but what a good aleatoric head is for."""
    rng = np.random.default_rng(1)
    high = rng.uniform(0.9, 1.0, (1, RESAMPLES))
    conformal = fitted(draw(rng, 200, sigma_right=True))
    covered = held(conformal, *draw(rng, 1, high, sigma_right=True), 0.9)
    assert inside(math.ceil(201 * 0.9) / 201, covered)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_each_group_is_covered(level):
    """Groups of 60, 40 and 25 sequences with low, middling and high x."""
    rng = np.random.default_rng(2)
    sizes = {"a": 60, "b": 40, "c": 25}

    def grouped(counts):
        starts = np.repeat(np.arange(3) / 3, counts)[:, np.newaxis]
        return draw(rng, sum(counts), starts + rng.random((sum(counts), RESAMPLES)) / 3)

    calibration, new = grouped(list(sizes.values())), grouped([1, 1, 1])
    labels = np.repeat(list(sizes), list(sizes.values()))
    mondrian = Conformal().fit(*calibration, HEADS, groups=labels, levels=(level,))
    covered = held(mondrian, *new, level, groups=list(sizes))
    marginal = held(fitted(calibration), *new, level)
    for row, n in enumerate(sizes.values()):
        k = math.ceil((n + 1) * Fraction(str(level)))
        assert inside(Fraction(k, n + 1), covered[row])
    assert marginal[0].mean() > band(level)[1]
    assert marginal[2].mean() < band(level)[0]


def test_each_bin_is_covered():
    """The predicted value is x; edges are estimated, for which one point in a bin is allowed."""
    rng = np.random.default_rng(3)
    n, n_bins, level = 400, 4, 0.9
    calibration, new = draw(rng, n), draw(rng, 1)
    covered = held(Conformal(n_bins=n_bins).fit(*calibration, HEADS), *new, level)[0]
    marginal = held(fitted(calibration), *new, level)[0]
    within = np.floor(new[0].mean[0] * n_bins)
    for each in range(n_bins):
        rows = within == each
        low, high = (band(level + by, rows.sum()) for by in (-1 / 100, 1 / 100))
        assert low[0] <= covered[rows].mean() <= high[1]
    assert marginal[within == 0].mean() > band(level, np.sum(within == 0))[1]
    assert marginal[within == n_bins - 1].mean() < band(level, np.sum(within == n_bins - 1))[0]
