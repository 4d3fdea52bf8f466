"""Colours, markers, axes and legends that figures of calibration share."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter

from degu_tf.metrics.intervals import COMPONENTS
from degu_tf.plots import style as panels
from degu_tf.plots.style import (
    COLUMNS,
    legend_below,
    legend_columns,
    legend_line,
    panels_of,
)

COLOURS = {
    "single": panels.COLOURS["single"],
    "student": panels.COLOURS["student"],
    "student_of_heteroscedastic": "tab:olive",
    "student_log_variance": "tab:brown",
    "ensemble": panels.COLOURS["ensemble"],
    "mc_dropout": "tab:purple",
    "heteroscedastic": "tab:red",
    "evidential": "tab:cyan",
    "evidential_released": "tab:cyan",
    "deep_evidential": "tab:pink",
}
"""Colour of each method of Figure 5; those of Figures 2 and 3 keep theirs."""

LABELS = {
    "student_of_heteroscedastic": "DEGU of heteroscedastic",
    "student_log_variance": "DEGU, log-variance",
    "mc_dropout": "MC dropout",
    "heteroscedastic": "Heteroscedastic",
    "evidential": "Evidential",
    "evidential_released": "Evidential (released)",
    "deep_evidential": "Deep evidential",
}
"""What a legend calls the methods that `panels.LABELS` lacks."""

MARKERS = {
    "single": "v",
    "student": "o",
    "student_of_heteroscedastic": "h",
    "student_log_variance": "p",
    "ensemble": "s",
    "mc_dropout": "^",
    "heteroscedastic": "D",
    "evidential": "P",
    "evidential_released": "P",
    "deep_evidential": "X",
}
"""Marker of each method."""

_PANELS = ("dataset", "target", "stage", "component")
STAGES = ("before conformal", "after conformal")
"""What a column `stage` says of intervals."""

_WIDEST = 10.0
_LONGEST = 28
_INCHES = 0.22
_ALONE = (5.2, 3.6)


def methods_of(table: pd.DataFrame) -> list[str]:
    """Methods in a table: those of `COLOURS` in their order, then others as in other figures."""
    found = panels.methods_of(table)
    known = [method for method in COLOURS if method in found]
    return known + [method for method in found if method not in COLOURS]


def colour_of(method: str) -> str:
    """Give a method its colour."""
    return COLOURS.get(method) or panels.colour_of(method)


def label_of(method: str) -> str:
    """Give a method its name in a legend."""
    return LABELS.get(method) or panels.label_of(method)


def component_panels(
    table: pd.DataFrame, size: tuple[float, float]
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """Panels of a table, one wide or as many in a row as there are components."""
    n = table["component"].nunique() if "component" in table else 1
    table = _in_order(table)
    if sum(1 for _ in panels.parts_by(table, _PANELS)) == 1:
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
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel(label)


def is_wide(values: pd.Series) -> bool:
    """Whether positive values span more than a logarithmic axis is needed for."""
    return 0.0 < values.min() < values.max() / _WIDEST


def logarithmic(axis: Axis) -> None:
    """Make an axis logarithmic, with plain numbers."""
    set_scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    set_scale("log")
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def percent(axis: Axis) -> None:
    """Write an axis as percentages."""
    axis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))


def method_handle(method: str, **style: object) -> Line2D:
    """Make the line that stands for a method in a legend."""
    marked = {"marker": MARKERS.get(method, "o"), "markersize": 6, **style}
    return legend_line(colour_of(method), label_of(method), **marked)
