"""Calibration of predicted uncertainties, and how well they rank the errors.

Proper scores (NLL, CRPS) are best for calibrated Gaussian distributions; binned errors compare
predicted with observed error sizes; sparsification evaluates only the order.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import special

from degu_tf.heads import HeadLayout, Prediction
from degu_tf.metrics.intervals import Comparison, comparisons
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole

FRACTIONS = tuple(round(0.01 * step, 2) for step in range(100))
"""Fractions of points removed at which a sparsification curve is given."""


def gaussian_nll(mean: np.ndarray, std: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of each measurement under its Gaussian, in nats.

    0.5 log(2 pi std^2) + (measured - mean)^2 / (2 std^2).

    Parameters
    ----------
    mean, std, measured
        Arrays of one shape, finite, `std` above 0.

    Returns
    -------
    numpy.ndarray
        float64 of that shape.

    Raises
    ------
    InputError
        If shapes differ, a value is not finite or a std not above 0.

    Examples
    --------
    >>> gaussian_nll(np.array([0.0]), np.array([1.0]), np.array([2.0])).round(4)
    array([2.9189])
    """
    mean, std, measured = _arrays(mean, std, measured)
    return 0.5 * np.log(2.0 * np.pi) + np.log(std) + 0.5 * np.square((measured - mean) / std)


def gaussian_crps(mean: np.ndarray, std: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of each measurement under its Gaussian.

    The integral over x of (F(x) - [x >= measured])^2, in closed form (Gneiting and Raftery 2007,
    section 4.2, with the sign that makes small values good). In the unit of the measurement; for
    std to 0 it is the absolute error.

    Parameters
    ----------
    mean, std, measured
        Arrays of one shape, finite, `std` above 0.

    Returns
    -------
    numpy.ndarray
        float64 of that shape.

    Raises
    ------
    InputError
        If shapes differ, a value is not finite or a std not above 0.

    Examples
    --------
    >>> gaussian_crps(np.array([0.0]), np.array([1.0]), np.array([0.0])).round(4)
    array([0.2337])
    """
    mean, std, measured = _arrays(mean, std, measured)
    z = (measured - mean) / std
    density = np.exp(-0.5 * np.square(z)) / np.sqrt(2.0 * np.pi)
    return std * (z * special.erf(z / np.sqrt(2.0)) + 2.0 * density - 1.0 / np.sqrt(np.pi))


def proper_scores(
    prediction: Prediction,
    measured: np.ndarray,
    heads: HeadLayout,
    *,
    components: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    **labels: object,
) -> pd.DataFrame:
    """Mean Gaussian NLL and CRPS over the sequences, for each target and component.

    Parameters
    ----------
    prediction, measured, heads, components, targets, **labels
        As for `intervals.coverage`.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `target`, `component`, `metric` (``"nll"`` in nats, ``"crps"`` in the
        target's unit), `value`, `n`, and how many of these have a `floored` uncertainty.

    Raises
    ------
    InputError
        If rows or targets differ, a component is missing, a name unknown, or a value not finite.

    Examples
    --------
    >>> prediction = HeadLayout(("Dev",), epistemic="std").prediction(np.array([[0.0, 1.0]]))
    >>> table = proper_scores(prediction, np.array([[2.0]]), HeadLayout(("Dev",)))
    >>> table[["component", "metric", "value"]].round(3).values.tolist()[:2]
    [['epistemic', 'nll', 2.919], ['epistemic', 'crps', 1.453]]
    """

    def scores(each: Comparison) -> dict[str, float]:
        vectors = each.mean, each.std, each.measured
        return {
            "nll": float(gaussian_nll(*vectors).mean()),
            "crps": float(gaussian_crps(*vectors).mean()),
        }

    return _table(scores, comparisons(prediction, measured, heads, components, targets), labels)


def error_by_uncertainty(
    prediction: Prediction,
    measured: np.ndarray,
    heads: HeadLayout,
    bins: int = 10,
    *,
    components: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    **labels: object,
) -> pd.DataFrame:
    """Root mean squared error in bins of equal count by rising standard deviation.

    Where uncertainty is calibrated, `rmse` equals `rms_std` in every bin (Levi et al. 2022,
    "Evaluating and Calibrating Uncertainty Prediction in Regression Tasks"). Points of equal std
    on both sides of a bin's edge count with the mean of their squared errors, so the result does
    not depend on the order of rows.

    Parameters
    ----------
    prediction, measured, heads, components, targets, **labels
        As for `intervals.coverage`.
    bins
        Number of bins, at most the number of points; their counts differ by one at most.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `target`, `component`, `bin` (from 1), `std` (mean of the bin),
        `rms_std` (root mean square), `rmse`, all in the target's unit, `n`, and how many more of
        the target were left out because their uncertainty was `floored`.

    Raises
    ------
    InputError
        As `proper_scores`, or if there are fewer points than bins.

    Examples
    --------
    >>> heads = HeadLayout(("Dev",), epistemic="std")
    >>> prediction = heads.prediction(np.array([[0.0, 1.0], [0.0, 2.0]]))
    >>> table = error_by_uncertainty(prediction, np.array([[1.5], [3.0]]), HeadLayout(("Dev",)), 2)
    >>> table[["component", "rms_std", "rmse"]].values.tolist()[:2]
    [['epistemic', 1.0, 1.5], ['epistemic', 2.0, 3.0]]
    """
    parts = []
    for compared in comparisons(prediction, measured, heads, components, targets):
        each = compared.rankable()
        named = {**labels, "target": each.target, "component": each.component}
        floored = int(compared.floored.sum())
        parts.append(pd.DataFrame({**named, **_binned(each, bins), "floored": floored}))
    return pd.concat(parts, ignore_index=True)


def sparsification_curve(
    prediction: Prediction,
    measured: np.ndarray,
    heads: HeadLayout,
    fractions: Sequence[float] = FRACTIONS,
    *,
    normalised: bool = True,
    components: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    **labels: object,
) -> pd.DataFrame:
    """RMSE of the remaining points when those of largest std are removed, and of the best order.

    Ilg et al. 2018, "Uncertainty Estimates and Multi-Hypotheses Networks for Optical Flow". The
    oracle removes the points of largest error first. Where points have equal std, the mean squared
    error that remains is its expectation over their order, so the result does not depend on the
    order of rows; a constant std gives a flat line.

    Parameters
    ----------
    prediction, measured, heads, components, targets, **labels
        As for `intervals.coverage`.
    fractions
        Shares of points removed, from 0 to below 1; of n points the whole number at or below
        ``fraction * n`` goes.
    normalised
        Divide by the RMSE of all points, so that curves begin at 1, as is usual.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `target`, `component`, `curve` (``"uncertainty"`` or ``"oracle"``),
        `fraction`, `rmse`, `n` points that remain, and how many more were left out because their
        uncertainty was `floored`.

    Raises
    ------
    InputError
        As `proper_scores`, if a fraction lies outside, or if curves of zero errors are to be
        normalised.

    Examples
    --------
    >>> heads = HeadLayout(("Dev",), epistemic="std")
    >>> prediction = heads.prediction(np.array([[0.0, 2.0], [0.0, 1.0]]))
    >>> curve = sparsification_curve(
    ...     prediction, np.array([[1.0], [1.0]]), HeadLayout(("Dev",)), [0.0, 0.5],
    ...     components=["total"],
    ... )
    >>> curve[["curve", "fraction", "rmse", "n"]].values.tolist()[:2]
    [['uncertainty', 0.0, 1.0, 2], ['uncertainty', 0.5, 1.0, 1]]
    """
    removed = np.array([float(fraction) for fraction in fractions])
    if not removed.size or not ((removed >= 0.0) & (removed < 1.0)).all():
        raise InputError(f"fractions must lie from 0 to below 1. Received: {list(fractions)}")
    parts = []
    for compared in comparisons(prediction, measured, heads, components, targets):
        each = compared.rankable()
        n = len(each.std)
        gone = np.floor(removed * n + 1e-9).astype(int)
        for curve, remaining in _sparsified(each, normalised).items():
            named = {**labels, "target": each.target, "component": each.component, "curve": curve}
            columns = {"fraction": removed, "rmse": remaining[gone], "n": n - gone}
            columns["floored"] = int(compared.floored.sum())
            parts.append(pd.DataFrame({**named, **columns}))
    return pd.concat(parts, ignore_index=True)


def sparsification_scores(
    prediction: Prediction,
    measured: np.ndarray,
    heads: HeadLayout,
    *,
    normalised: bool = True,
    components: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    **labels: object,
) -> pd.DataFrame:
    """Area under the sparsification error (AUSE) and area of the gain over chance (AURG).

    AUSE is the mean height of the curve by std above the oracle's: 0 for the perfect order (Ilg et
    al. 2018). AURG is the mean depth of the curve below that of a random order, which is flat:
    above 0 is better than chance (Poggi et al. 2020, "On the Uncertainty of Self-Supervised
    Monocular Depth Estimation"). Means are taken over every number of points removed, 0 to N - 1,
    not over a grid.

    Parameters
    ----------
    prediction, measured, heads, components, targets, **labels
        As for `intervals.coverage`.
    normalised
        Divide the curves by the RMSE of all points; otherwise values are in the target's unit.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `target`, `component`, `metric` (``"ause"``, ``"aurg"``), `value`, `n`,
        and how many of these were left out because their uncertainty was `floored`; NaN where all
        were.

    Raises
    ------
    InputError
        As `sparsification_curve`.
    """

    def scores(each: Comparison) -> dict[str, float]:
        if each.floored.all():
            return {"ause": math.nan, "aurg": math.nan}
        curves = _sparsified(each.rankable(), normalised)
        by_std = curves["uncertainty"]
        return {
            "ause": float(np.mean(by_std - curves["oracle"])),
            "aurg": float(np.mean(by_std[0] - by_std)),
        }

    return _table(scores, comparisons(prediction, measured, heads, components, targets), labels)


def _table(
    scores: Callable[[Comparison], Mapping[str, float]],
    compared: Iterable[Comparison],
    labels: Mapping[str, object],
) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                **labels,
                "target": each.target,
                "component": each.component,
                "metric": metric,
                "value": value,
                "n": len(each.std),
                "floored": int(each.floored.sum()),
            }
            for each in compared
            for metric, value in scores(each).items()
        ]
    )


def _arrays(
    mean: np.ndarray, std: np.ndarray, measured: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean, std, measured = (np.asarray(array, np.float64) for array in (mean, std, measured))
    if not mean.shape == std.shape == measured.shape:
        raise InputError(
            "mean, std and measured must have one shape. "
            f"Received: shapes {mean.shape}, {std.shape} and {measured.shape}"
        )
    for name, array in (("mean", mean), ("std", std), ("measured", measured)):
        fit = np.isfinite(array) & ((array > 0.0) if name == "std" else True)
        if not fit.all():
            raise InputError(
                f"{name} must be finite{' and above 0' if name == 'std' else ''}. "
                f"Received: {array[~fit][0]} ({np.sum(~fit)} such)"
            )
    return mean, std, measured


def _by_std(each: Comparison) -> tuple[np.ndarray, np.ndarray]:
    """Rising std, and squared errors in that order, each the mean over the points of its std."""
    squared = np.square(each.mean - each.measured)
    order = np.argsort(each.std)
    std, squared = each.std[order], squared[order]
    starts = np.flatnonzero(np.concatenate([[True], std[1:] != std[:-1]]))
    counts = np.diff(np.append(starts, len(std)))
    if len(starts) == len(std):
        return std, squared
    return std, np.repeat(np.add.reduceat(squared, starts) / counts, counts)


def _binned(each: Comparison, bins: int) -> dict[str, np.ndarray]:
    if not is_whole(bins, 1, len(each.std)):
        raise InputError(
            f"bins must be a whole number from 1 to the {len(each.std)} points. "
            f"Received: bins={bins!r}"
        )
    std, squared = _by_std(each)
    n = len(std)
    starts = -(-np.arange(bins) * n // bins)
    counts = np.diff(np.append(starts, n))
    return {
        "bin": np.arange(1, bins + 1),
        "std": np.add.reduceat(std, starts) / counts,
        "rms_std": np.sqrt(np.add.reduceat(np.square(std), starts) / counts),
        "rmse": np.sqrt(np.add.reduceat(squared, starts) / counts),
        "n": counts,
    }


def _sparsified(each: Comparison, normalised: bool) -> dict[str, np.ndarray]:
    """RMSE of what remains when 0 to N - 1 points are removed, by std and by error."""
    _, by_std = _by_std(each)
    by_error = np.sort(np.square(each.mean - each.measured))
    left = np.arange(1, len(by_error) + 1)
    curves = {
        curve: np.sqrt(np.cumsum(squared) / left)[::-1]
        for curve, squared in (("uncertainty", by_std), ("oracle", by_error))
    }
    if not normalised:
        return curves
    scale = curves["oracle"][0]
    if scale == 0.0:
        raise InputError(
            f"all errors of {each.target} are 0, so curves cannot be divided by their mean; use "
            f"normalised=False. Received: {len(by_error)} points"
        )
    return {curve: values / scale for curve, values in curves.items()}
