"""What all figures share: colours and names of methods, panels, axes, and rows fit to be drawn."""

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from degu_tf.metrics.correlation import correlation_or_nan
from degu_tf.utils.errors import InputError

COLOURS = {
    "single": "tab:blue",
    "student": "tab:orange",
    "dynamic": "tab:cyan",
    "dynamic_evoaug": "tab:cyan",
    "dynamic_mutagenesis": "tab:red",
    "dynamic_shuffle": "tab:purple",
    "ensemble": "tab:green",
    "mprann": "tab:red",
    "model": "tab:purple",
    "without_evoaug": "tab:gray",
    "with_evoaug": "tab:cyan",
    "oracle": "tab:brown",
}
"""Colour of each method, as in the paper's Figs. 2 and 3; but dynamic EvoAug is not green, which is
the ensemble's."""

LABELS = {
    "single": "Standard training",
    "student": "DEGU student",
    "dynamic": "DEGU, labels on the fly",
    "dynamic_evoaug": "DEGU, dynamic EvoAug",
    "dynamic_mutagenesis": "DEGU, dynamic mutagenesis",
    "dynamic_shuffle": "DEGU, dynamic shuffle",
    "ensemble": "Ensemble",
    "mprann": "MPRAnn, all data",
    "model": "Model",
    "without_evoaug": "Without EvoAug",
    "with_evoaug": "With EvoAug",
    "oracle": "EvoAug ensemble",
}
"""What a legend calls each method."""

LOG2 = "log$_2$"
"""The unit of the paper's activities, as written on an axis."""

DENSE = 1000
"""From so many points a scatter becomes a hexagonal density."""

METRICS = {
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "mse": "Mean squared error",
    "rmse_to_ensemble": "RMSE to the ensemble",
}
AXES = {"fraction": "Training data used", "n_members": "Models in the ensemble"}
BASELINES = ("mprann",)
GREY = "0.45"
STYLE = {
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


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorate a function that draws a figure: fonts and frames as in all figures here."""

    @functools.wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def require(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a table that lacks one of the columns."""
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


def methods_of(table: pd.DataFrame) -> list[str]:
    """Methods in a table: the known ones in their fixed order, then others as they come."""
    found = list(dict.fromkeys(table["method"]))
    known = [method for method in COLOURS if method in found]
    return known + [method for method in found if method not in known]


def parts_by_method(table: pd.DataFrame) -> list[tuple[str | None, pd.DataFrame]]:
    """Give each method and its rows; None where the table names no method."""
    if "method" not in table:
        return [(None, table)]
    return [(method, table[table["method"] == method]) for method in methods_of(table)]


def colour_of(method: str | None) -> str:
    """Give a method its colour."""
    return COLOURS.get(method, "0.25")


def label_of(method: str) -> str:
    """Give a method its name in a legend."""
    return LABELS.get(method, method)


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


def legend_below(figure: FigureBase, handles: Sequence[Any]) -> None:
    """A legend under a figure's panels, where it covers no data, in as many rows as its words need.

    The figure may be a part of another, a `SubFigure`.
    """
    if handles:
        columns = legend_columns(handles, figure.bbox.width / figure.dpi)
        figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def legend_columns(handles: Sequence[Any], inches: float) -> int:
    """How many columns, each as wide as its longest label, fit beside each other."""
    widths = [0.08 * len(handle.get_label()) + 0.65 for handle in handles]
    columns = len(handles)
    while columns > 1 and inches < sum(part.max() for part in np.array_split(widths, columns)):
        columns -= 1
    return columns


def legend_line(colour: str, label: str, **style: Any) -> Line2D:
    """Make a line for a legend."""
    return Line2D([], [], color=colour, label=label, **style)


def legend_handle(method: str) -> Line2D:
    """Make the line that stands for a method in a legend."""
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
    """Place ticks at whole numbers."""
    return MaxNLocator(6, integer=True, steps=[1, 2, 5, 10])


def plain_log_ticks(axes: Axes) -> None:
    """Write the ticks of a logarithmic axis as plain numbers."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def limits_of(values: np.ndarray, margin: float = 0.04) -> tuple[float, float]:
    """Lowest and highest value, with a share of their distance added at both ends."""
    low, high = float(values.min()), float(values.max())
    added = margin * (high - low) or 0.5
    return low - added, high + added


def pearson_text(x: np.ndarray, y: np.ndarray) -> str:
    """Write Pearson's r, or that it is undefined."""
    r = correlation_or_nan(x, y)
    return "undefined" if np.isnan(r) else f"{r:.3f}"


def corner_text(axes: Axes, text: str) -> None:
    """Write into the upper left corner of a panel."""
    axes.text(
        0.04, 0.96, text, transform=axes.transAxes, va="top", ha="left",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2.0},
    )  # fmt: skip


def name_panel(axes: Axes, letter: str) -> None:
    """Write a panel's letter above its left corner."""
    axes.set_title(letter, loc="left", fontweight="bold", fontsize=15)


def with_unit(label: str, unit: str) -> str:
    """Add a unit to the label of an axis."""
    return f"{label} ({unit})" if unit else label


def metric_label(metric: str, head: str) -> str:
    """Name a metric of a head for an axis."""
    name = METRICS.get(metric, metric)
    return name if head == "activity" else f"{name}, {head} std"
