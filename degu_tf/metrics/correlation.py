"""Correlation coefficients: of two vectors, of weighted draws, and of sums that come in parts.

A correlation is NaN wherever one of its sides does not vary, and where values are NaN.
"""

import warnings
from typing import Any

import numpy as np
from scipy import stats

from degu_tf.utils.errors import InputError

KINDS = ("pearson", "spearman")

SUMS = ("n", "x", "y", "xx", "yy", "xy")
"""The sums that a Pearson correlation is computed from, in the order of their last axis."""

CONSTANT = 1e-12
"""A side whose variance is a smaller share of its mean square than this counts as constant:
about the rounding error of float64 sums."""

_FUNCTIONS = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}


class ConstantColumnWarning(UserWarning):
    """A correlation is undefined because one of its columns does not vary."""


def correlation(
    predicted: np.ndarray, measured: np.ndarray, kind: str = "pearson", name: str = ""
) -> float:
    """Pearson or Spearman correlation of two vectors; NaN and a warning if one is constant.

    Parameters
    ----------
    predicted, measured
        Vectors `(N,)`.
    kind
        ``"pearson"`` or ``"spearman"``.
    name
        What the values are of, for the warning.

    Raises
    ------
    InputError
        If shapes differ or the kind is unknown.

    Examples
    --------
    >>> round(correlation(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0])), 4)
    0.982
    """
    value = correlation_or_nan(predicted, measured, kind)
    for what, values in (("predicted", predicted), ("measured", measured)):
        if _is_constant(np.asarray(values)):
            warnings.warn(
                f"the {what} values{f' of {name}' if name else ''} do not vary "
                f"(n={len(values)}); the {kind} correlation is NaN",
                ConstantColumnWarning,
                stacklevel=2,
            )
            break
    return value


def correlation_or_nan(x: np.ndarray, y: np.ndarray, kind: str = "pearson") -> float:
    """`correlation` without its warning, where undefined values are expected.

    Raises
    ------
    InputError
        If shapes differ or the kind is unknown.

    Examples
    --------
    >>> correlation_or_nan(np.ones(3), np.arange(3.0))
    nan
    """
    if kind not in KINDS:
        raise InputError(f"expected one of {KINDS}. Received: kind={kind!r}")
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise InputError(
            f"expected two vectors of equal length. Received: shapes {x.shape} and {y.shape}"
        )
    if _is_constant(x) or _is_constant(y) or np.isnan(x).any() or np.isnan(y).any():
        return float("nan")
    return float(_FUNCTIONS[kind](x, y).statistic)


def weighted_pearson(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson correlation `(draws,)` of the values under each draw's weights.

    Parameters
    ----------
    x, y
        Values `(N,)`, or `(draws, N)` where they differ between draws.
    weights
        How often each value counts, `(draws, N)`, 0 or more.

    Examples
    --------
    >>> x, y = np.array([1.0, 2.0, 4.0, 9.0]), np.array([1.0, 2.0, 3.0, 0.0])
    >>> weighted_pearson(x, y, np.array([[1.0, 1.0, 1.0, 0.0]])).round(4)
    array([0.982])
    """
    total = weights.sum(axis=-1, keepdims=True)
    x = x - (weights * x).sum(axis=-1, keepdims=True) / total
    y = y - (weights * y).sum(axis=-1, keepdims=True) / total
    terms = (np.ones_like(x), x, y, x * x, y * y, x * y)
    return pearson_of_sums([(weights * term).sum(axis=-1) for term in terms])


def pearson_of_sums(sums: Any, ops: Any = np) -> Any:
    """Pearson correlation from sums over values, such as those of many batches.

    Subtract a common value from x, and one from y, before they are summed if their means are large
    beside their standard deviations.

    Parameters
    ----------
    sums
        The six sums of `SUMS`, each of any common shape: number of values, of x, y, and products.
    ops
        Where the functions come from: numpy, or ``keras.ops`` for tensors.

    Returns
    -------
    numpy.ndarray or tensor
        Of the sums' shape, between -1 and 1; NaN where a side does not vary.

    Examples
    --------
    >>> x, y = np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0])
    >>> sums = [3.0, x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()]
    >>> float(pearson_of_sums(sums).round(4))
    0.982
    """
    n, x, y, xx, yy, xy = sums
    n = ops.maximum(n, 1.0)
    variance_x, variance_y = xx - x * x / n, yy - y * y / n
    varies = ops.logical_and(variance_x > CONSTANT * xx, variance_y > CONSTANT * yy)
    product = ops.where(varies, variance_x * variance_y, 1.0)
    r = ops.clip((xy - x * y / n) / ops.sqrt(product), -1.0, 1.0)
    return ops.where(varies, r, float("nan"))


def _is_constant(values: np.ndarray) -> bool:
    return len(values) < 2 or bool(np.ptp(values) == 0.0)
