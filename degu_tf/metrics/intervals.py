"""Coverage and width of prediction intervals.

Every function takes any `Prediction` and a callable that gives its intervals, Gaussian ones by
default, so that conformal intervals are evaluated by the same code.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from degu_tf.heads import HeadLayout, Prediction
from degu_tf.utils.errors import InputError

COMPONENTS = ("epistemic", "aleatoric", "total")
"""The uncertainties that intervals are made from, in the order of tables and figures."""

LEVELS = (*(round(0.05 * step, 2) for step in range(1, 20)), 0.99)
"""Nominal levels of a reliability curve."""

Interval = Callable[[Prediction, float, str], tuple[np.ndarray, np.ndarray]]
"""From prediction, level and component to lower and upper ends, each of the mean's shape."""


@dataclass(frozen=True)
class Comparison:
    """One target's predictions and measurements, all vectors `(N,)` of float64.

    Attributes
    ----------
    target, component
        Name of the target, and which uncertainty `std` is.
    mean, std, measured
        What was predicted, its standard deviation and what was measured, in the target's unit.
    floored
        Booleans: where the standard deviation was raised to the floor (`Prediction.flagged`).
    """

    target: str
    component: str
    mean: np.ndarray
    std: np.ndarray
    measured: np.ndarray
    floored: np.ndarray

    def rankable(self) -> "Comparison":
        """The values that can be ranked by uncertainty: those that were not floored.

        Raises
        ------
        InputError
            If all were.
        """
        kept = ~self.floored
        if not kept.any():
            raise InputError(
                f"all {self.component} standard deviations of {self.target} were raised to the "
                "floor, so there is no order of uncertainty; use another component, or a model "
                f"whose uncertainty is positive. Received: {len(kept)} floored"
            )
        return replace(
            self,
            mean=self.mean[kept],
            std=self.std[kept],
            measured=self.measured[kept],
            floored=self.floored[kept],
        )


def coverage(
    prediction: Prediction,
    measured: np.ndarray,
    heads: HeadLayout,
    level: float = 0.95,
    *,
    components: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    interval: Interval = Prediction.interval,
    **labels: object,
) -> pd.DataFrame:
    """Coverage, the share of measurements inside their intervals, and mean width of the intervals.

    Intervals are closed: a measurement on an end is inside (paper, Methods, "Interval coverage
    analysis", where the interval is the mean +- 1.96 standard deviations).

    Parameters
    ----------
    prediction
        What was predicted for N sequences.
    measured
        Columns `(N, C)` or `(N, length, C)` in the order of `heads`; profiles are pooled over
        positions. Values that are missing (NaN) are left out.
    heads
        Layout of `measured`.
    level
        Nominal level of the intervals, between 0 and 1.
    components
        Some of `COMPONENTS`; by default all that the prediction has.
    targets
        Names of targets; by default all.
    interval
        Gives the lower and upper ends for a prediction, level and component; Gaussian intervals by
        default. Ends may be infinite.
    **labels
        Constant columns for the table, such as ``method="student"``.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `target`, `component`, `level`, `metric` (``"coverage"`` or
        ``"size"``), `value` (a share, or in the target's unit), `n` values compared, and how many
        of them have a `floored` uncertainty, which is no measure: their intervals count as they
        are.

    Raises
    ------
    InputError
        If rows or targets differ, a component is missing, a name unknown, the level outside 0 to 1,
        a value infinite, a target without values, or the intervals are of another shape, NaN or
        upside down.

    Examples
    --------
    >>> prediction = HeadLayout(("Dev",), epistemic="std").prediction(np.array([[0.0, 1.0]] * 4))
    >>> measured = np.array([[-3.0], [-1.0], [1.0], [1.9]])
    >>> table = coverage(prediction, measured, HeadLayout(("Dev",)), components=["total"])
    >>> table[["metric", "value"]].round(2).values.tolist()
    [['coverage', 0.75], ['size', 3.92]]
    """
    return reliability_curve(
        prediction, measured, heads, (level,), components=components, targets=targets,
        interval=interval, **labels,
    )  # fmt: skip


def reliability_curve(
    prediction: Prediction,
    measured: np.ndarray,
    heads: HeadLayout,
    levels: Sequence[float] = LEVELS,
    *,
    components: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    interval: Interval = Prediction.interval,
    **labels: object,
) -> pd.DataFrame:
    """Coverage and mean width at each of several nominal levels: `coverage`, one level a row pair.

    Parameters
    ----------
    prediction, measured, heads, components, targets, interval, **labels
        As for `coverage`.
    levels
        Nominal levels between 0 and 1, rising.

    Returns
    -------
    pandas.DataFrame
        The rows of `coverage` for each component, target and level, in this order.

    Raises
    ------
    InputError
        As `coverage`, or if levels do not rise.
    """
    levels = _checked_levels(levels)
    truth, stds, chosen = _matched(prediction, measured, heads, components, targets)
    rows = []
    for component in stds:
        by_target: dict[str, list] = {heads.targets[index]: [] for index in chosen}
        for level in levels:
            lower, upper = _ends(prediction, level, component, interval)
            for index, (target, found) in zip(chosen, by_target.items(), strict=True):
                row = {**labels, "target": target, "component": component, "level": level}
                ends = _upright(lower[..., index], upper[..., index], row)
                measured_values = truth[..., index]
                present = ~np.isnan(measured_values)
                n = int(present.sum())
                floored = int(prediction.flagged(component)[..., index][present].sum())
                found += [
                    {**row, "metric": metric, "value": value, "n": n, "floored": floored}
                    for metric, value in _share_and_width(
                        measured_values[present], *(end[present] for end in ends)
                    ).items()
                ]
        rows += [row for found in by_target.values() for row in found]
    return pd.DataFrame(rows)


def miscalibration_area(
    prediction: Prediction,
    measured: np.ndarray,
    heads: HeadLayout,
    levels: Sequence[float] = LEVELS,
    *,
    components: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    interval: Interval = Prediction.interval,
    **labels: object,
) -> pd.DataFrame:
    """Area between the reliability curve and the diagonal: 0 if calibrated, at most 1/2.

    The curve runs straight between the levels, from coverage 0 at level 0 to coverage 1 at level
    1; where it crosses the diagonal the areas on both sides count (Kuleshov et al. 2018 plot the
    curve; Chung et al. 2021, "Uncertainty Toolbox", take its area).

    Parameters
    ----------
    prediction, measured, heads, levels, components, targets, interval, **labels
        As for `reliability_curve`.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `target`, `component`, `metric` (``"miscalibration_area"``), `value`,
        `n`.

    Raises
    ------
    InputError
        As `reliability_curve`.

    Examples
    --------
    >>> heads = HeadLayout(("Dev",), epistemic="std")
    >>> prediction = heads.prediction(np.array([[0.0, 1.0]] * 4))
    >>> certain = miscalibration_area(prediction, np.full((4, 1), 9.0), HeadLayout(("Dev",)))
    >>> certain["value"].round(3).tolist()  # no interval covers anything
    [0.495, 0.495]
    """
    curve = reliability_curve(
        prediction, measured, heads, levels, components=components, targets=targets,
        interval=interval,
    )  # fmt: skip
    observed = curve[curve["metric"] == "coverage"]
    return pd.DataFrame(
        [
            {
                **labels,
                "target": target,
                "component": component,
                "metric": "miscalibration_area",
                "value": area_to_diagonal(part["level"].to_numpy(), part["value"].to_numpy()),
                "n": part["n"].iloc[0],
            }
            for (target, component), part in observed.groupby(["target", "component"], sort=False)
        ]
    )


def area_to_diagonal(levels: np.ndarray, observed: np.ndarray) -> float:
    """Integral of |observed - level| from 0 to 1, straight lines between the points and the ends.

    Parameters
    ----------
    levels, observed
        Vectors: rising levels between 0 and 1, and the coverage at each.

    Examples
    --------
    >>> area_to_diagonal(np.array([0.5]), np.array([0.75]))
    0.125
    """
    x = np.concatenate([[0.0], levels, [1.0]])
    gap = np.concatenate([[0.0], observed, [1.0]]) - x
    left, right = np.abs(gap[:-1]), np.abs(gap[1:])
    crossing = gap[:-1] * gap[1:] < 0.0
    height = np.where(crossing, left**2 + right**2, (left + right) ** 2)
    total = left + right
    mean = np.divide(height, 2.0 * total, out=np.zeros_like(total), where=total > 0.0)
    return float(np.sum(mean * np.diff(x)))


def comparisons(
    prediction: Prediction,
    measured: np.ndarray,
    heads: HeadLayout,
    components: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
) -> Iterator[Comparison]:
    """Go through components and targets, with the vectors that a score of each needs.

    Parameters
    ----------
    prediction, measured, heads, components, targets
        As for `coverage`.

    Raises
    ------
    InputError
        As `coverage`, or if a standard deviation is not finite or not above 0.
    """
    truth, stds, chosen = _matched(prediction, measured, heads, components, targets)
    for component, std in stds.items():
        for index in chosen:
            target = heads.targets[index]
            sigma = std[..., index]
            fit = np.isfinite(sigma) & (sigma > 0.0)
            if not fit.all():
                raise InputError(
                    "standard deviations must be finite and above 0. "
                    f"Received: {_worst(~fit, sigma)} of {target} ({component})"
                )
            present = ~np.isnan(truth[..., index])
            mean, spread, value = (
                np.asarray(array, np.float64)[present]
                for array in (prediction.mean[..., index], sigma, truth[..., index])
            )
            floored = prediction.flagged(component)[..., index][present]
            yield Comparison(target, component, mean, spread, value, floored)


def _matched(
    prediction: Prediction,
    measured: np.ndarray,
    heads: HeadLayout,
    components: Sequence[str] | None,
    targets: Sequence[str] | None,
) -> tuple[np.ndarray, dict[str, np.ndarray], list[int]]:
    """Measured activity `(N, ..., targets)`, std of each component, and indices of targets."""
    measured = np.asarray(measured)
    heads.check(measured, "measured columns")
    truth = heads.take(measured, "mean")
    if prediction.targets != heads.targets or prediction.mean.shape != truth.shape:
        raise InputError(
            f"expected a prediction of {heads.targets} of shape {truth.shape}, as measured. "
            f"Received: {prediction.targets} of shape {prediction.mean.shape}"
        )
    if not truth.size:
        raise InputError(f"expected one sequence or more. Received: shape {truth.shape}")
    stds = ((name, prediction.component(name)) for name in COMPONENTS)
    present = {name: std for name, std in stds if std is not None}
    if not present:
        raise InputError(
            "expected a prediction with uncertainty; use a student, an ensemble, or a model "
            "with uncertainty columns. Received: a prediction of the mean alone"
        )
    components = _names(components, tuple(present), "components that the prediction has")
    names = _names(targets, heads.targets, "targets")
    chosen = [heads.targets.index(name) for name in names]
    for index in chosen:
        for what, array in (("measured", truth), ("predicted", prediction.mean)):
            values = array[..., index]
            finite = np.isfinite(values)
            if what == "measured" and not np.isnan(values).all():
                finite |= np.isnan(values)
            if not finite.all():
                raise InputError(
                    f"{what} values must be finite; leave out sequences that are not. Received: "
                    f"{_worst(~finite, values)} of {heads.targets[index]}"
                )
    return truth, {name: present[name] for name in components}, chosen


def _names(given: Sequence[str] | None, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    if given is None:
        return known
    names = () if isinstance(given, str) else tuple(given)
    if not names or len({*names}) != len(names) or not {*names} <= {*known}:
        raise InputError(f"expected a list of some of the {what}: {known}. Received: {given!r}")
    return names


def _checked_levels(levels: Sequence[float]) -> list[float]:
    values = [float(level) for level in levels]
    if not values or not all(0.0 < level < 1.0 for level in values):
        raise InputError(f"levels must lie between 0 and 1. Received: {values}")
    if values != sorted({*values}):
        raise InputError(f"levels must rise. Received: {values}")
    return values


def _ends(
    prediction: Prediction, level: float, component: str, interval: Interval
) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = (np.asarray(end) for end in interval(prediction, level, component))
    if not lower.shape == upper.shape == prediction.mean.shape:
        raise InputError(
            f"interval ends must have the mean's shape {prediction.mean.shape}. "
            f"Received: shapes {lower.shape} and {upper.shape}"
        )
    return lower, upper


def _upright(
    lower: np.ndarray, upper: np.ndarray, row: dict[str, object]
) -> tuple[np.ndarray, np.ndarray]:
    upright = lower <= upper
    if not upright.all():
        raise InputError(
            "interval ends must be numbers, the lower at most the upper. Received: "
            f"{_worst(~upright, lower, upper)} of {row['target']} ({row['component']}) at level "
            f"{row['level']}"
        )
    return lower, upper


def _share_and_width(
    measured: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> dict[str, float]:
    inside = (lower <= measured) & (measured <= upper)
    return {
        "coverage": float(np.mean(inside)),
        "size": float(np.mean(np.subtract(upper, lower, dtype=np.float64))),
    }


def _worst(bad: np.ndarray, *arrays: np.ndarray) -> str:
    """How many values are at fault, and the first of them."""
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    values = " to ".join(f"{float(array[place]):g}" for array in arrays)
    row = f"row {place[0]}" if len(place) == 1 else f"row {place[0]}, position {place[1]}"
    return f"{values} in {row} ({int(bad.sum())} such)"
