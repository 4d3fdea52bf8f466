"""Figures of intervals, and of uncertainty against error.

Each method has one colour and one marker; before conformal prediction markers are hollow.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from degu_tf.plots.calibration_style import (
    STAGES,
    component_panels,
    is_wide,
    label_left,
    legend_grown,
    method_handle,
    percent,
)
from degu_tf.plots.palette import MARKERS, colour_of, methods_of
from degu_tf.plots.style import (
    GREY,
    finite_rows,
    legend_line,
    limits_of,
    logarithmic,
    require,
    styled,
    unit_of,
    with_unit,
)
from degu_tf.utils.errors import InputError

BEFORE = ("before", "none", "no", "false", "")
"""Words in a column `conformal`, besides False, for intervals before conformal prediction."""

_NOMINAL = "tab:red"


@styled
def coverage_against_size(
    table: pd.DataFrame, level: float = 0.95, unit: str | None = None
) -> Figure:
    """Coverage against mean interval size, a dot a model, as in Fig. 5c.

    The dashed line is the nominal level. The axis of sizes is logarithmic where they differ more
    than tenfold within a panel.

    Parameters
    ----------
    table
        Columns `method`, `level`, `metric` (``"coverage"`` and ``"size"``; others are left out),
        `value`; optional `dataset`, `target`, `component` (panels), `conformal` (False, missing or
        one of `BEFORE`: hollow markers; otherwise filled, as without the column), and columns such
        as `seed` that tell models apart.
    level
        Which nominal level to draw.
    unit
        Unit of the sizes; by default the name of the only target.

    Raises
    ------
    InputError
        If a column or metric is missing, the level is not in the table, or a coverage has no size
        or several.

    Examples
    --------
    >>> table = pd.DataFrame({"metric": ["coverage", "size"], "value": [0.94, 1.8], "level": 0.95})
    >>> table = table.assign(method="student", target="K562")
    >>> coverage_against_size(table).axes[0].get_xlabel()
    'Mean interval size (K562)'
    """
    covered = _coverage(table, level)
    keys = [name for name in table if name not in ("metric", "value", "n", "head")]
    joined = _beside(covered, table[_at(table, level) & (table["metric"] == "size")], keys, "size")
    label = with_unit("Mean interval size", unit_of(table, unit))
    return _coverage_figure(finite_rows(joined, ["value", "size"]), "size", label, level)


@styled
def accuracy_against_coverage(table: pd.DataFrame, level: float = 0.95) -> Figure:
    """Coverage against Pearson's r of the activity, a dot a model, as in Fig. 5d.

    Parameters
    ----------
    table
        As for `coverage_against_size`, with rows of metric ``"pearson"`` instead of ``"size"`` (of
        the activity, if there is a column `head`), such as `degu_tf.metrics.activity.score` gives.
        They belong to a model by the columns besides `component`, `conformal` and `level`.
    level
        Which nominal level to draw.

    Raises
    ------
    InputError
        If a column or metric is missing, the level is not in the table, or a model has no
        correlation or several.

    Examples
    --------
    >>> table = pd.DataFrame({"metric": ["coverage", "pearson"], "value": [0.94, 0.8]})
    >>> table = table.assign(method="student", level=[0.95, None])
    >>> accuracy_against_coverage(table).axes[0].get_xlabel()
    'Pearson r of the activity'
    """
    covered = _coverage(table, level)
    chosen = table["metric"] == "pearson"
    if "head" in table:
        chosen &= table["head"].isna() | (table["head"] == "activity")
    accuracy = table[chosen]
    apart = ("metric", "value", "n", "head", "component", "conformal", "level")
    keys = [name for name in table if name not in apart and accuracy[name].notna().any()]
    joined = _beside(covered, accuracy.drop_duplicates([*keys, "value"]), keys, "pearson")
    joined = finite_rows(joined, ["value", "pearson"])
    return _coverage_figure(joined, "pearson", "Pearson r of the activity", level)


@styled
def reliability(table: pd.DataFrame, metric: str = "coverage") -> Figure:
    """Observed coverage against the nominal level; on the dashed diagonal they agree.

    A line is a method's mean over models, a band reaches from the lowest to the highest.

    Parameters
    ----------
    table
        Columns `method`, `level`, `metric`, `value`, as from
        `degu_tf.metrics.intervals.reliability_curve`;
        optional `dataset`, `target`, `component`, `conformal` (panels).
    metric
        What the metric of the curve's rows is called.

    Raises
    ------
    InputError
        If a column is missing or no row has that metric.

    Examples
    --------
    >>> table = pd.DataFrame({"level": [0.5, 0.9], "value": [0.45, 0.88], "metric": "coverage"})
    >>> reliability(table.assign(method="student")).axes[0].get_ylabel()
    'Observed coverage'
    """
    require(table, ["method", "level", "metric", "value"])
    table = finite_rows(_rows(table, metric), ["level", "value"])
    figure, drawn = component_panels(_stages(table), (3.3, 3.4))
    for axes, part in drawn:
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2)
        for method in methods_of(part):
            grouped = part[part["method"] == method].groupby("level")["value"]
            mean, colour = grouped.mean(), colour_of(method)
            axes.plot(mean.index, mean, color=colour)
            axes.fill_between(
                mean.index, grouped.min(), grouped.max(), color=colour, alpha=0.2, linewidth=0
            )
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="Nominal level")
        percent(axes.xaxis)
        percent(axes.yaxis)
        axes.grid(color="0.92", linewidth=0.8)
    label_left(drawn, "Observed coverage")
    legend_grown(
        figure,
        [
            *(method_handle(method, marker="") for method in methods_of(table)),
            legend_line(GREY, "Nominal level", linestyle="--", linewidth=1.2),
        ],
    )
    return figure


@styled
def sparsification(table: pd.DataFrame, normalised: bool = True, unit: str | None = None) -> Figure:
    """RMSE of the remaining sequences when the most uncertain ones are removed.

    A line is a method's mean over models, the thin dashed line of its colour the best order's; the
    dotted horizontal line is a random order, for normalised curves.

    Parameters
    ----------
    table
        Columns `method`, `curve`, `fraction`, `rmse`, as from
        `degu_tf.metrics.uncertainty.sparsification_curve`;
        optional `dataset`, `target`, `component` (panels).
    normalised
        Whether the curves were divided by the RMSE of all sequences.
    unit
        Unit of curves that were not; by default the name of the only target.

    Raises
    ------
    InputError
        If a column is missing or a curve unknown.

    Examples
    --------
    >>> table = pd.DataFrame({"fraction": [0.0, 0.5], "rmse": [1.0, 0.7], "curve": "uncertainty"})
    >>> sparsification(table.assign(method="student")).axes[0].get_xlabel()
    'Most uncertain removed'
    """
    require(table, ["method", "curve"])
    table = finite_rows(table, ["fraction", "rmse"])
    styles: dict[str, dict[str, Any]] = {
        "uncertainty": {"linewidth": 2.0},
        "oracle": {"linewidth": 1.0, "linestyle": "--", "alpha": 0.7},
    }
    if not {*table["curve"]} <= {*styles}:
        raise InputError(f"expected the curves {list(styles)}. Received: {set(table['curve'])}")
    figure, drawn = component_panels(table, (3.5, 3.3))
    for axes, part in drawn:
        if normalised:
            axes.axhline(1.0, color=GREY, linestyle=":", linewidth=1.4)
        for curve, style in styles.items():
            for method in methods_of(part):
                rows = part[(part["method"] == method) & (part["curve"] == curve)]
                mean = rows.groupby("fraction")["rmse"].mean()
                axes.plot(mean.index, mean, color=colour_of(method), **style)
        axes.set(xlim=(0, 1), xlabel="Most uncertain removed")
        axes.set_ylim(bottom=0)
        percent(axes.xaxis)
        axes.grid(color="0.92", linewidth=0.8)
    label = "RMSE of the rest / of all"
    if not normalised:
        label = with_unit("RMSE of the rest", unit_of(table, unit))
    label_left(drawn, label)
    handles = [method_handle(method, marker="") for method in methods_of(table)]
    handles.append(legend_line(GREY, "Best order", **styles["oracle"]))
    if normalised:
        handles.append(legend_line(GREY, "Random order", linestyle=":", linewidth=1.4))
    legend_grown(figure, handles)
    return figure


@styled
def error_against_uncertainty(table: pd.DataFrame, unit: str | None = None) -> Figure:
    """Root mean squared error against root mean squared std of each bin, as means over models.

    On the dashed line errors are as large as predicted; above it, larger. The horizontal axis
    is logarithmic, and the line bent, where deviations differ more than tenfold within a panel.

    Parameters
    ----------
    table
        Columns `method`, `bin`, `rms_std`, `rmse`, as from
        `degu_tf.metrics.uncertainty.error_by_uncertainty`; optional `dataset`, `target`,
        `component` (panels).
    unit
        Unit of both axes; by default the name of the only target.

    Raises
    ------
    InputError
        If a column is missing or there is nothing to draw.

    Examples
    --------
    >>> table = pd.DataFrame({"bin": [1, 2], "rms_std": [0.2, 0.4], "rmse": [0.3, 0.5]})
    >>> table = table.assign(method="student", target="K562")
    >>> error_against_uncertainty(table).axes[0].get_ylabel()
    'Root mean squared error (K562)'
    """
    require(table, ["method", "bin"])
    table = finite_rows(table, ["rms_std", "rmse"])
    figure, drawn = component_panels(table, (3.5, 3.4))
    for axes, part in drawn:
        for method in methods_of(part):
            bins = part[part["method"] == method].groupby("bin")[["rms_std", "rmse"]].mean()
            axes.plot(
                bins["rms_std"], bins["rmse"], color=colour_of(method), linewidth=1.4,
                marker=MARKERS.get(method, "o"), markersize=5,
            )  # fmt: skip
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        right, top = axes.get_xlim()[1], axes.get_ylim()[1]
        left = 0.0
        if is_wide(part["rms_std"]):
            logarithmic(axes.xaxis)
            left = axes.get_xlim()[0]
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        line = np.linspace(left, right, 400)
        axes.plot(line, line, color=GREY, linestyle="--", linewidth=1.2, zorder=1)
        axes.set(
            xlim=(left, right),
            ylim=(0, top),
            xlabel=with_unit("Predicted standard deviation", unit_of(table, unit)),
        )
        axes.grid(color="0.92", linewidth=0.8)
    label_left(drawn, with_unit("Root mean squared error", unit_of(table, unit)))
    equal = legend_line(GREY, "Error as predicted", linestyle="--", linewidth=1.2)
    legend_grown(figure, [*(method_handle(method) for method in methods_of(table)), equal])
    return figure


def draw_coverage(axes: Axes, table: pd.DataFrame, x: str, level: float) -> None:
    """Draw one panel: column `value` as coverage over column `x`, and the nominal level's line.

    A thin line joins a model before conformal prediction to itself after. The axis of sizes is
    logarithmic where they differ more than tenfold.
    """
    axes.axhline(level, color=_NOMINAL, linestyle="--", linewidth=1.4, zorder=1)
    filled = _after(table)
    keys = [name for name in table if name not in ("conformal", "value", "n", "size", "pearson")]
    for method in methods_of(table):
        own, colour = table["method"] == method, colour_of(method)
        before, after = table[own & ~filled], table[own & filled]
        for rows, face in ((before, "none"), (after, colour)):
            axes.scatter(
                rows[x], rows["value"], s=42, marker=MARKERS.get(method, "o"), facecolors=face,
                edgecolors=colour, linewidths=1.3, alpha=0.85, zorder=3, clip_on=False,
            )  # fmt: skip
        if len(before) and len(after):
            both = before.merge(after, on=keys, suffixes=("_0", "_1")).assign(gap=np.nan)
            ends = [both[[f"{name}_0", f"{name}_1", "gap"]].to_numpy() for name in (x, "value")]
            axes.plot(
                *(values.ravel() for values in ends),
                color=colour, linewidth=0.8, alpha=0.35, zorder=2,
            )  # fmt: skip
    if x == "size" and is_wide(table[x]):
        logarithmic(axes.xaxis)
    elif len(table):
        axes.set_xlim(*limits_of(table[x].to_numpy(), margin=0.07))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    percent(axes.yaxis)
    axes.grid(color="0.92", linewidth=0.8)


def _coverage_figure(table: pd.DataFrame, x: str, label: str, level: float) -> Figure:
    figure, drawn = component_panels(table, (3.5, 3.4))
    low = min(table["value"].min(), level)
    bottom = low - 0.06 * (1.0 - low) - 0.01
    for axes, part in drawn:
        draw_coverage(axes, part, x, level)
        axes.set(ylim=(bottom, 1.0 + 0.02 * (1.0 - bottom)), xlabel=label)
    label_left(drawn, f"Coverage of {level:.0%} intervals")
    legend_grown(figure, coverage_handles(table))
    return figure


def coverage_handles(table: pd.DataFrame) -> list[Line2D]:
    """Legend entries of the methods and stages of a table, and of the nominal level."""
    handles = [method_handle(method, linestyle="") for method in methods_of(table)]
    after = _after(table)
    if after.nunique() > 1:
        handles += [
            legend_line(GREY, name, linestyle="", marker="o", markersize=6, markerfacecolor=face)
            for name, face in (("Before conformal", "none"), ("After conformal", GREY))
        ]
    return [*handles, legend_line(_NOMINAL, "Nominal level", linestyle="--", linewidth=1.4)]


def _rows(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    rows = table[table["metric"] == metric]
    if not len(rows):
        raise InputError(
            f"expected rows of metric {metric!r}. "
            f"Received: metrics {sorted(table['metric'].unique())}"
        )
    return rows


def _at(table: pd.DataFrame, level: float) -> np.ndarray:
    return np.isclose(table["level"].to_numpy(float), level, rtol=0.0, atol=1e-9)


def _coverage(table: pd.DataFrame, level: float) -> pd.DataFrame:
    require(table, ["method", "level", "metric", "value"])
    rows = _rows(table, "coverage")
    chosen = rows[_at(rows, level)]
    if not len(chosen):
        found = sorted({float(value) for value in rows["level"]})
        raise InputError(f"expected rows of level {level}. Received: levels {found}")
    return chosen


def _beside(
    left: pd.DataFrame, right: pd.DataFrame, keys: Sequence[str], metric: str
) -> pd.DataFrame:
    """The rows of `left`, each with the value of `right` whose keys are the same."""
    columns = list(keys)
    repeated = right.duplicated(columns)
    if repeated.any():
        raise InputError(
            f"expected one value of {metric!r} for each {columns}; a column such as seed must tell "
            f"models apart. Received: {int(repeated.sum())} more"
        )
    other = right[[*columns, "value"]].rename(columns={"value": metric})
    joined = left.merge(other, on=columns, how="left", indicator=True)
    alone = joined["_merge"] != "both"
    if alone.any():
        first: Mapping[str, object] = joined.loc[alone.idxmax(), columns].to_dict()
        raise InputError(
            f"expected a row of metric {metric!r} for each coverage. "
            f"Received: none for {int(alone.sum())} of {len(joined)}, such as {first}"
        )
    return joined.drop(columns="_merge")


def _after(table: pd.DataFrame) -> pd.Series:
    """Whether intervals are drawn as after conformal prediction."""
    if "conformal" not in table:
        return pd.Series(True, index=table.index)
    return ~table["conformal"].map(lambda value: str(value).lower()).isin([*BEFORE, "nan"])


def _stages(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column of words for its panels' titles, where it knows of conformal."""
    if "conformal" not in table:
        return table
    words = _after(table).map(dict(zip((False, True), STAGES, strict=True)))
    return table.assign(stage=words)
