"""What all figures share: fonts, panels, axes, legends, and the rows that can be drawn."""

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from string import ascii_lowercase
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    LogFormatterMathtext,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    PercentFormatter,
)

from degu_tf.metrics.correlation import correlation_or_nan
from degu_tf.plots.palette import LABELS, colour_of, label_of
from degu_tf.utils.errors import InputError

LOG2 = "log$_2$"
"""A binary logarithm as a unit on an axis: that of the paper's activities."""

DENSE = 1000
"""Number of points from which a scatter becomes a hexagonal density."""

METRICS = {
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "mse": "Mean squared error",
    "rmse_to_ensemble": "RMSE to the ensemble",
}
AXES = {"fraction": "Training data used", "n_members": "Models in the ensemble"}
BASELINES = ("mprann",)
GREY = "0.45"
STYLE: dict[Any, Any] = {
    "font.size": 11.0,
    "axes.titlesize": 12.0,
    "axes.labelsize": 11.0,
    "xtick.labelsize": 10.0,
    "ytick.labelsize": 10.0,
    "legend.fontsize": 10.0,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "lines.linewidth": 2.0,
    "mathtext.default": "regular",
}
PANEL = (3.4, 3.2)
WIDE = (4.6, 3.3)
SMALLEST = 4.0
COLUMNS = 4


Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Decorate a function that draws a figure: fonts and frames as in all figures here."""

    @functools.wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def require(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Check that a table has all of the columns.

    Raises
    ------
    InputError
        If one is missing.
    """
    missing = [name for name in columns if name not in table]
    if missing:
        raise InputError(
            f"the table needs the columns {list(columns)}; {missing} missing. "
            f"Received: columns {list(table.columns)}"
        )


def finite_rows(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Rows whose `columns` are all finite; a warning says how many are not."""
    require(table, columns)
    finite = np.isfinite(table[list(columns)].to_numpy(float)).all(axis=1)
    if not finite.any():
        raise InputError(f"nothing to draw. Received: a table of {len(table)} rows, none finite")
    if not finite.all():
        warnings.warn(
            f"{np.sum(~finite)} of {len(table)} rows are not finite and are not drawn",
            stacklevel=4,
        )
    return table[finite].reset_index(drop=True)


def rows_of(table: pd.DataFrame, metric: str, head: str, columns: Sequence[str]) -> pd.DataFrame:
    """Rows of one metric and head, with the finite values."""
    require(table, [*columns, "metric", "value"])
    chosen = table["metric"] == metric
    if "head" in table:
        chosen &= table["head"] == head
    if not chosen.any():
        raise InputError(
            f"expected rows of metric {metric!r} and head {head!r}. Received: metrics "
            f"{sorted(table['metric'].unique())}, heads "
            f"{sorted(table['head'].unique()) if 'head' in table else '(no such column)'}"
        )
    return finite_rows(table[chosen], ["value"])


def parts_by(
    table: pd.DataFrame, names: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """Parts of a table by those of the named columns it has, in order of appearance."""
    present = [name for name in names if name in table and table[name].notna().any()]
    if not present:
        yield (), table
        return
    for key, part in table.groupby(present, sort=False, dropna=False):
        yield tuple(str(value) for value in key), part


def densest_window(weights: np.ndarray, width: int) -> slice:
    """The window of `width` places, or all of fewer, whose weights `(L,)` have the largest sum.

    Examples
    --------
    >>> densest_window(np.array([0.0, 1.0, 3.0, 2.0, 0.0]), 2)
    slice(2, 4, None)
    """
    if len(weights) <= width:
        return slice(0, len(weights))
    start = int(np.argmax(np.convolve(weights, np.ones(width), mode="valid")))
    return slice(start, start + width)


def panels_of(
    table: pd.DataFrame,
    names: Sequence[str],
    size: tuple[float, float] = PANEL,
    columns: int = COLUMNS,
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """A figure with one titled panel, of a size in inches, for each part of the table."""
    parts = list(parts_by(table, names))
    n_columns = min(columns, len(parts))
    n_rows = -(-len(parts) // n_columns)
    figure = Figure(
        figsize=(max(size[0] * n_columns + 0.4, SMALLEST), size[1] * n_rows + 0.4),
        layout="constrained",
    )
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes in grid[len(parts) :]:
        axes.remove()
    panels = []
    for axes, (key, part) in zip(grid, parts, strict=False):
        words = [LABELS.get(word, word) for word in key]
        axes.set_title(", ".join(word for word in words if word != "activity" or len(words) == 1))
        panels.append((axes, part))
    return figure, panels


def stacked(figure: Figure, heights: Sequence[float]) -> list[SubFigure]:
    """Parts of a figure, one below the other, with these relative heights."""
    return list(figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])


def legend_below(figure: Figure | SubFigure, handles: Sequence[Any]) -> None:
    """A legend below a figure's panels, in as many rows as its labels need."""
    if handles:
        columns = legend_columns(handles, figure.bbox.width / figure.dpi)
        figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def legend_columns(handles: Sequence[Any], inches: float) -> int:
    """Number of legend columns, each as wide as its longest label, that fit side by side."""
    widths = [0.08 * len(handle.get_label()) + 0.65 for handle in handles]
    columns = len(handles)
    while columns > 1 and inches < sum(part.max() for part in np.array_split(widths, columns)):
        columns -= 1
    return columns


def legend_line(colour: str, label: str, **style: Any) -> Line2D:
    """Legend entry of a line."""
    return Line2D([], [], color=colour, label=label, **style)


def legend_handle(method: str) -> Line2D:
    """Legend entry of a method: a line with dots, dashed for a baseline."""
    style = {"linestyle": "--"} if method in BASELINES else {"marker": "o", "markersize": 5}
    return legend_line(colour_of(method), label_of(method), **style)


def ticks_at(axes: Axes, x: str, values: np.ndarray) -> None:
    """Ticks at the values that were run, as percentages where they are fractions."""
    if x == "fraction":
        axes.set_xticks(values)
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
        axes.set_xlim(0.0, 1.04)
    else:
        axes.xaxis.set_major_locator(whole_numbers())


def whole_numbers() -> MaxNLocator:
    """Tick locator for whole numbers."""
    return MaxNLocator(6, integer=True, steps=[1, 2, 5, 10])


def logarithmic(axis: XAxis | YAxis) -> None:
    """Make the axis of a drawn panel logarithmic, with plain numbers that do not overlap."""
    scale = axis.axes.set_xscale if isinstance(axis, XAxis) else axis.axes.set_yscale
    scale("log")
    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    if decades < 1.0:
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    elif decades < 2.0:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    else:
        axis.set_major_locator(LogLocator(numticks=5))
    axis.set_major_formatter("{x:g}" if decades < 4.0 else LogFormatterMathtext())
    axis.set_minor_formatter(NullFormatter())


def limits_of(values: np.ndarray, margin: float = 0.04) -> tuple[float, float]:
    """Lowest and highest value, with a share of their distance added at both ends."""
    low, high = float(values.min()), float(values.max())
    added = margin * (high - low) or 0.5
    return low - added, high + added


def pearson_text(x: np.ndarray, y: np.ndarray) -> str:
    """Pearson's r as text, or ``"undefined"``."""
    r = correlation_or_nan(x, y)
    return "undefined" if np.isnan(r) else f"{r:.3f}"


def corner_text(axes: Axes, text: str) -> None:
    """Write text in the upper left corner of a panel."""
    axes.text(
        0.04, 0.96, text, transform=axes.transAxes, va="top", ha="left",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2.0},
    )  # fmt: skip


def name_panel(axes: Axes, letter: str) -> None:
    """Write a panel's letter above its upper left corner."""
    axes.set_title(letter, loc="left", fontweight="bold", fontsize=15)


def unit_of(table: pd.DataFrame, unit: str | None) -> str:
    """The unit of a table's values: the one given, or the name of its only target.

    Of several targets, whose panels are titled by them, there is none.

    Examples
    --------
    >>> table = pd.DataFrame({"target": ["K562", "K562"]})
    >>> unit_of(table, None), unit_of(table, "RPM")
    ('K562', 'RPM')
    """
    if unit is not None:
        return unit
    targets = list(table["target"].unique()) if "target" in table else []
    return str(targets[0]) if len(targets) == 1 else ""


def with_unit(label: str, unit: str) -> str:
    """Axis label with its unit."""
    return f"{label} ({unit})" if unit else label


def metric_label(metric: str, head: str) -> str:
    """Axis label of a metric of a head."""
    name = METRICS.get(metric, metric)
    return name if head == "activity" else f"{name}, {head} std"


def letter_panels(figure: Figure) -> None:
    """Letter the panels that have a title in reading order, but for a lone one.

    A figure that has letters keeps them.

    Examples
    --------
    >>> figure = Figure()
    >>> for axes in figure.subplots(1, 2):
    ...     _ = axes.set_title("target")
    >>> letter_panels(figure)
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['a', 'b']
    """
    panels = [axes for axes in figure.axes if axes.get_title()]
    if len(panels) < 2 or any(axes.get_title(loc="left") for axes in figure.axes):
        return
    for letter, axes in zip(ascii_lowercase, panels, strict=False):
        name_panel(axes, letter)
