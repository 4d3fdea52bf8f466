"""Panels, axes and legends that figures of calibration share."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from degu_tf.metrics.intervals import COMPONENTS
from degu_tf.plots.palette import MARKERS, colour_of, label_of
from degu_tf.plots.style import (
    COLUMNS,
    legend_below,
    legend_columns,
    legend_line,
    panels_of,
    parts_by,
)

_PANELS = ("dataset", "target", "stage", "component")
STAGES = ("before conformal", "after conformal")
"""What a column `stage` says of intervals."""

_WIDEST = 10.0
_LONGEST = 28
_INCHES = 0.22
_ALONE = (5.2, 3.6)


def component_panels(
    table: pd.DataFrame, size: tuple[float, float]
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """Panels of a table, one wide or as many in a row as there are components."""
    n = table["component"].nunique() if "component" in table else 1
    table = _in_order(table)
    if sum(1 for _ in parts_by(table, _PANELS)) == 1:
        size = _ALONE
    figure, drawn = panels_of(table, _PANELS, size, n if n > 1 else COLUMNS)
    for axes, _ in drawn:
        axes.set_title(_broken(axes.get_title()))
    return figure, drawn


def _broken(title: str) -> str:
    """A title that is too long for its panel in two lines."""
    if len(title) <= _LONGEST:
        return title[:1].upper() + title[1:]
    words = title.split(", ")
    lines = (words[: len(words) // 2], words[len(words) // 2 :])
    return "\n".join(", ".join(line) for line in lines if line)


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by data set and target as they come, then before and after, then component."""
    first = {"stage": STAGES, "component": COMPONENTS}
    for name in reversed([name for name in _PANELS if name in table]):
        order = dict.fromkeys([*first.get(name, ()), *table[name].dropna().unique()])
        places = {value: place for place, value in enumerate(order)}
        table = table.sort_values(name, key=lambda column, p=places: column.map(p), kind="stable")
    return table


def legend_grown(figure: Figure, handles: Sequence[Line2D]) -> None:
    """A legend below, for which the figure grows."""
    rows = -(-len(handles) // legend_columns(handles, figure.get_figwidth()))
    figure.set_figheight(figure.get_figheight() + _INCHES * rows)
    legend_below(figure, handles)


def label_left(drawn: Sequence[tuple[Axes, pd.DataFrame]], label: str) -> None:
    """Label the vertical axes of the panels in the first column."""
    for axes, _ in drawn:
        place = axes.get_subplotspec()
        if place is not None and place.is_first_col():
            axes.set_ylabel(label)


def is_wide(values: pd.Series) -> bool:
    """Whether values are positive and span more than tenfold."""
    return 0.0 < values.min() < values.max() / _WIDEST


def percent(axis: Axis) -> None:
    """Format an axis as percentages, with decimals where ticks are nearer than whole ones."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100.0 * value:.4g}%"))


def method_handle(method: str, **style: Any) -> Line2D:
    """Legend entry of a method: its colour and marker."""
    marked = {"marker": MARKERS.get(method, "o"), "markersize": 6, **style}
    return legend_line(colour_of(method), label_of(method), **marked)
