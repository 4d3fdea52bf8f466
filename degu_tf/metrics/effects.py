"""Accuracy of predicted variant effects, and correlates of their uncertainty.

Variants of one position share a window and its errors, so the bootstrap draws positions, not
variants: intervals say what another choice of positions of the element would have given.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from degu_tf.metrics.correlation import KINDS, correlation_or_nan, weighted_pearson
from degu_tf.utils.errors import InputError

PERCENTILES = (25, 50, 75)
"""Of the total uncertainty; below each lie the variants that are predicted with confidence."""

ALL = 100
"""What the column `below` says of all variants."""

FEWEST = 3
"""With fewer variants a correlation is NaN."""

COMPONENTS = ("aleatoric", "epistemic", "total")

_AT_ONCE = 2_000_000


def correlations(
    predicted: np.ndarray,
    measured: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    kinds: Sequence[str] = KINDS,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    **labels: object,
) -> pd.DataFrame:
    """Correlations of predicted and measured effects, with bootstrap intervals.

    Parameters
    ----------
    predicted, measured
        Vectors `(N,)`, finite.
    groups
        What is drawn together, `(N,)`, such as the variants' positions; each alone by default.
    kinds
        Some of ``"pearson"`` and ``"spearman"``.
    resamples
        Draws of as many groups as there are, with replacement; 0 gives no interval.
    level
        Share of the draws inside the interval (percentile bootstrap).
    seed
        Of the draws; the same one draws the same groups for every predictor.
    **labels
        Constant columns, such as ``method="student"``.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `metric`, `value`, `lower`, `upper`, `n` variants. NaN for fewer than
        three variants, or where one of the vectors does not vary.

    Raises
    ------
    InputError
        If the vectors differ in length or are not finite.

    Examples
    --------
    >>> x = np.arange(30.0)
    >>> table = correlations(x, x**3, resamples=100)
    >>> table["metric"].tolist(), table["value"].round(2).tolist()
    (['pearson', 'spearman'], [0.91, 1.0])
    """
    x, y, groups = _checked(predicted, measured, groups)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise InputError(f"expected kinds among {KINDS}. Received: {unknown}")
    rows = []
    draws = _bootstrap(x, y, groups, kinds, resamples, seed)
    for kind in kinds:
        lower, upper = _interval(draws[kind], level)
        rows.append(
            {
                **labels,
                "metric": kind,
                "value": correlation_or_nan(x, y, kind) if len(x) >= FEWEST else float("nan"),
                "lower": lower,
                "upper": upper,
                "n": len(x),
            }
        )
    return pd.DataFrame(rows)


def below_percentiles(
    predicted: np.ndarray,
    measured: np.ndarray,
    uncertainty: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    percentiles: Sequence[float] = PERCENTILES,
    **options: Any,
) -> pd.DataFrame:
    """Correlations on the variants whose uncertainty lies below percentiles of it (Fig. 6c).

    Parameters
    ----------
    predicted, measured, groups, **options
        As for `correlations`.
    uncertainty
        One for each variant, `(N,)`, such as the total one.
    percentiles
        Between 0 and 100. All variants come last.

    Returns
    -------
    pandas.DataFrame
        Rows of `correlations` with `below`, the percentile, `ALL` for all variants.

    Raises
    ------
    InputError
        If vectors differ in length or are not finite, or a percentile is not between 0 and 100.

    Examples
    --------
    >>> x = np.arange(40.0)
    >>> table = below_percentiles(x, x, x, percentiles=(25,), kinds=("pearson",), resamples=0)
    >>> table[["below", "n"]].to_numpy().tolist()
    [[25, 10], [100, 40]]
    """
    x, y, groups = _checked(predicted, measured, groups)
    u, _, _ = _checked(uncertainty, y, None, "uncertainty")
    wrong = [each for each in percentiles if not 0 < each < ALL]
    if wrong:
        raise InputError(f"percentiles must lie between 0 and 100. Received: {wrong}")
    tables = []
    for percentile in (*percentiles, ALL):
        chosen = np.ones(len(u), bool)
        if percentile != ALL:
            chosen = u < np.percentile(u, percentile)
        part = correlations(x[chosen], y[chosen], groups=groups[chosen], **options)
        tables.append(part.assign(below=percentile))
    return pd.concat(tables, ignore_index=True)


def against_uncertainty(
    sizes: Mapping[str, np.ndarray],
    uncertainties: Mapping[str, np.ndarray],
    *,
    groups: np.ndarray | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Spearman's rho of distances from zero with each uncertainty (Supplementary Fig. 15).

    Parameters
    ----------
    sizes
        Signed values `(N,)` by name, such as the effect; their absolute values are taken.
    uncertainties
        Standard deviations `(N,)` by component.
    groups, **options
        As for `correlations`.

    Returns
    -------
    pandas.DataFrame
        Rows of `correlations` with `component` and `against`, the name of what was measured.

    Examples
    --------
    >>> effect = np.array([-3.0, -1.0, 0.5, 2.0])
    >>> stds = {"aleatoric": np.array([0.1, 0.3, 0.4, 0.2])}
    >>> against_uncertainty({"effect": effect}, stds, resamples=0)["value"].tolist()
    [-1.0]
    """
    tables = [
        correlations(
            np.abs(values),
            std,
            groups=groups,
            **{**options, "kinds": ("spearman",)},
            component=component,
            against=name,
        )
        for name, values in sizes.items()
        for component, std in uncertainties.items()
    ]
    return pd.concat(tables, ignore_index=True)


def texture(
    uncertainties: Mapping[str, np.ndarray], positions: np.ndarray, **labels: object
) -> pd.DataFrame:
    """How large each uncertainty is, and how it varies over bases and positions (Fig. 6b).

    Parameters
    ----------
    uncertainties
        Standard deviations `(N,)` by component.
    positions
        Of the variants, `(N,)`.
    **labels
        Constant columns.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `component`, `metric`, `value`, `n`. The metrics: ``"mean"``;
        ``"nucleotides"``, the root of the mean variance among the bases of a position (those with
        two or more), over the mean; ``"positions"``, the standard deviation of the positions'
        means, over the mean.

    Examples
    --------
    >>> table = texture({"total": np.array([1.0, 3.0, 1.0, 3.0])}, np.array([7, 7, 8, 8]))
    >>> table["value"].tolist()
    [2.0, 0.5, 0.0]
    """
    rows = []
    for component, std in uncertainties.items():
        std, positions, _ = _checked(std, positions, None, component)
        by_position = pd.Series(std).groupby(np.asarray(positions))
        mean = float(std.mean()) if len(std) else float("nan")
        within = by_position.var(ddof=0)[by_position.size() > 1].mean()
        values = {
            "mean": mean,
            "nucleotides": float(np.sqrt(within)) / mean,
            "positions": float(by_position.mean().std(ddof=0)) / mean,
        }
        rows += [
            {**labels, "component": component, "metric": metric, "value": value, "n": len(std)}
            for metric, value in values.items()
        ]
    return pd.DataFrame(rows)


def _checked(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray | None, name: str = "predicted"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    groups = np.arange(len(x)) if groups is None else np.asarray(groups)
    if x.ndim != 1 or x.shape != y.shape or x.shape != groups.shape:
        raise InputError(
            f"expected vectors of one length. Received: shapes {x.shape} ({name}), {y.shape} and "
            f"{groups.shape}"
        )
    for what, values in ((name, x), ("measured", y)):
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise InputError(
                f"expected finite values; drop variants without one. Received: {values[row]} "
                f"({what}) in row {row}"
            )
    return x, y, groups


def _interval(draws: np.ndarray, level: float) -> tuple[float, float]:
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return float("nan"), float("nan")
    tail = (1.0 - level) / 2.0
    lower, upper = np.quantile(draws, [tail, 1.0 - tail])
    return float(lower), float(upper)


def _bootstrap(
    x: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    kinds: Sequence[str],
    resamples: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Each correlation of every draw, `(resamples,)`."""
    draws = {kind: [np.empty(0)] for kind in kinds}
    if len(x) >= FEWEST:
        for counts in _counts(groups, resamples, np.random.default_rng(seed)):
            for kind in kinds:
                pair = (x, y) if kind == "pearson" else (_ranks(x, counts), _ranks(y, counts))
                draws[kind].append(weighted_pearson(*pair, counts))
    return {kind: np.concatenate(parts) for kind, parts in draws.items()}


def _counts(groups: np.ndarray, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """How often each row is in each draw, a part of the draws at a time."""
    _, place = np.unique(groups, return_inverse=True)
    n = place.max() + 1
    size = max(1, _AT_ONCE // len(groups))
    for start in range(0, resamples, size):
        drawn = rng.multinomial(n, np.full(n, 1.0 / n), size=min(size, resamples - start))
        yield drawn[:, place].astype(np.float64)


def _ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean ranks of the values among those drawn, `(draws, N)`; ties share theirs."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] > ordered[:-1]])
    held = np.add.reduceat(counts[:, order], starts, axis=1)
    ranks = np.cumsum(held, axis=1) - (held - 1.0) / 2.0
    place = np.empty(len(values), int)
    place[order] = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(values)]))
    return ranks[:, place]
