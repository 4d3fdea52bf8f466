"""Box plots and distributions by group."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from degu_tf.plots.palette import colour_of, label_of, methods_of
from degu_tf.plots.style import (
    COLUMNS,
    finite_rows,
    legend_below,
    metric_label,
    panels_of,
    require,
    rows_of,
    styled,
    unit_of,
    with_unit,
)

SPAN = 0.84
"""Share of a group's width that its boxes fill."""


@styled
def boxes(
    table: pd.DataFrame,
    x: str = "shift",
    by: str = "method",
    metric: str = "mse",
    head: str = "activity",
    names: Mapping[str, str] | None = None,
    label: str | None = None,
) -> Figure:
    """Box plots of one metric by group, with a dot for each model, as in Fig. 3b and c.

    Boxes reach from the first to the third quartile, their line is the median, whiskers span all
    values. A lone value is a diamond.

    Parameters
    ----------
    table
        Columns `metric`, `value` and those of `x` and `by`; optional `dataset`, `target` (panels)
        and `head`.
    x
        Column of the groups, in order of appearance.
    by
        Column that tells boxes of a group apart, by colour.
    metric, head
        What to draw.
    names
        What the axis calls the groups.
    label
        What the vertical axis says; the metric's name by default.

    Raises
    ------
    InputError
        If a column is missing or no row has that metric and head.

    Examples
    --------
    >>> table = pd.DataFrame({"shift": ["none", "large"] * 2, "value": [0.1, 0.4, 0.2, 0.5]})
    >>> figure = boxes(table.assign(method="student", metric="mse"))
    >>> [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    ['none', 'large']
    """
    table = rows_of(table, metric, head, [x, by])
    kinds = kinds_of(table, by)
    width = table[x].nunique() * max(0.24 * len(kinds), 1.3)
    figure, panels = panels_of(table, ("dataset", "target"), (width, 3.6))
    for index, (axes, part) in enumerate(panels):
        draw_boxes(axes, part, x, by, kinds, names)
        if index % COLUMNS == 0:
            axes.set_ylabel(metric_label(metric, head) if label is None else label)
    legend_below(figure, box_handles(kinds))
    return figure


def draw_boxes(
    axes: Axes,
    table: pd.DataFrame,
    x: str,
    by: str,
    kinds: Sequence[str],
    names: Mapping[Any, str] | None = None,
) -> None:
    """Draw the boxes of `boxes` into one panel; `kinds` are the values of `by`, in order."""
    groups = list(dict.fromkeys(table[x]))
    places, width = box_places(len(kinds)), 0.8 * SPAN / len(kinds)
    for place, group in enumerate(groups):
        if place % 2:
            axes.axvspan(place - 0.5, place + 0.5, color="0.96", linewidth=0, zorder=0)
        for middle, kind in zip(places, kinds, strict=True):
            values = table.loc[(table[x] == group) & (table[by] == kind), "value"].to_numpy()
            _draw_box(axes, values, place + middle, width, colour_of(kind))
    names = names or {}
    axes.set_xticks(range(len(groups)), [names.get(group, str(group)) for group in groups])
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.margins(y=0.08)
    axes.grid(axis="y", color="0.9", linewidth=0.8)


def box_places(n: int) -> np.ndarray:
    """Places `(n,)` of a group's boxes, relative to the group's.

    Examples
    --------
    >>> box_places(3).round(2).tolist()
    [-0.28, 0.0, 0.28]
    """
    return (np.arange(n) - (n - 1) / 2.0) * SPAN / n


def box_handles(kinds: Sequence[str]) -> list[Patch]:
    """Legend entries of the kinds of boxes."""
    return [
        Patch(facecolor=colour_of(kind), alpha=0.75, linewidth=0, label=label_of(kind))
        for kind in kinds
    ]


def kinds_of(table: pd.DataFrame, by: str = "method") -> list[str]:
    """Values of `by`: those with a colour in their fixed order, then others."""
    return methods_of(pd.DataFrame({"method": table[by].unique()}))


@styled
def distributions(
    table: pd.DataFrame,
    x: str = "shift",
    names: Mapping[str, str] | None = None,
    colour: str = "oracle",
    label: str = "Activity",
    unit: str | None = None,
) -> Figure:
    """Distribution of values in each group: density, quartiles (bar) and median (white dot).

    The dashed line is the first group's median.

    Parameters
    ----------
    table
        Columns `value` and that of `x`; optional `dataset`, `target` (panels).
    x
        Column of the groups, in order of appearance.
    names
        What the axis calls the groups.
    colour
        Whose values they are, by the method's name.
    label, unit
        Of the vertical axis; the unit by default is the name of the only target.

    Raises
    ------
    InputError
        If a column is missing or there is nothing to draw.

    Examples
    --------
    >>> table = pd.DataFrame({"shift": ["none", "none", "large"], "value": [1.0, 2.0, 0.5]})
    >>> distributions(table.assign(target="K562")).axes[0].get_ylabel()
    'Activity (K562)'
    """
    require(table, [x])
    table = finite_rows(table, ["value"])
    shade = colour_of(colour)
    size = (max(1.15 * table[x].nunique(), 3.0), 3.6)
    figure, panels = panels_of(table, ("dataset", "target"), size)
    for index, (axes, part) in enumerate(panels):
        groups = list(dict.fromkeys(part[x]))
        for place, group in enumerate(groups):
            values = part.loc[part[x] == group, "value"].to_numpy()
            if np.ptp(values) > 0.0:
                violin = axes.violinplot(values, [place], widths=0.85, showextrema=False)
                bodies: Any = violin["bodies"]
                bodies[0].set(facecolor=shade, alpha=0.45, edgecolor=shade, linewidth=1.0)
            first, median, third = np.quantile(values, [0.25, 0.5, 0.75])
            axes.vlines(place, first, third, color=shade, linewidth=7)
            axes.scatter(place, median, s=26, color="white", zorder=3)
            if place == 0:
                axes.axhline(median, color="0.45", linestyle="--", linewidth=1.2, zorder=0)
        names_of = names or {}
        axes.set_xticks(range(len(groups)), [names_of.get(group, str(group)) for group in groups])
        axes.tick_params(axis="x", length=0)
        axes.set_xlim(-0.6, len(groups) - 0.4)
        if index % COLUMNS == 0:
            axes.set_ylabel(with_unit(label, unit_of(table, unit)))
    return figure


def _draw_box(axes: Axes, values: np.ndarray, place: float, width: float, colour: str) -> None:
    if len(values) == 1:
        axes.scatter(place, values, marker="D", s=26, color=colour, zorder=3)
    if len(values) < 2:
        return
    line = {"color": colour, "linewidth": 1.3}
    axes.boxplot(
        values, positions=[place], widths=width, whis=(0, 100), patch_artist=True,
        manage_ticks=False, showcaps=False, whiskerprops=line,
        boxprops={"facecolor": colour, "alpha": 0.45, "edgecolor": colour, "linewidth": 1.3},
        medianprops={"color": "0.15", "linewidth": 1.6},
    )  # fmt: skip
    jitter = np.random.default_rng(0).permutation(np.linspace(-0.25, 0.25, len(values))) * width
    axes.scatter(place + jitter, values, s=9, color=colour, linewidths=0, zorder=3)
