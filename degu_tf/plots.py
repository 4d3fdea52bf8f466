"""Tidy tables in, matplotlib figures out; nothing here knows a model or a file.

Every function returns a `matplotlib.figure.Figure` that belongs to no window and no global state:
save it with `figure.savefig("x.png", dpi=200)`, or leave it as the last value of a cell in a
notebook that has said `%matplotlib inline`. Each method has one colour throughout.
"""

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter
from scipy import stats

from degu_tf.errors import InputError

COLOURS = {
    "single": "tab:blue",
    "student": "tab:orange",
    "ensemble": "tab:green",
    "mprann": "tab:red",
    "model": "tab:purple",
}
"""Colour of each method, as in the paper's Fig. 2."""

LABELS = {
    "single": "Standard training",
    "student": "DEGU student",
    "ensemble": "Ensemble",
    "mprann": "MPRAnn, all data",
    "model": "Model",
}
"""What a legend calls each method."""

LOG2 = "log$_2$"
"""The unit of the paper's activities, as written on an axis."""

DENSE = 1000
"""From so many points a scatter becomes a hexagonal density."""

_METRICS = {
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "mse": "Mean squared error",
    "rmse_to_ensemble": "RMSE to the ensemble",
}
_AXES = {"fraction": "Training data used", "n_members": "Models in the ensemble"}
_BASELINES = ("mprann",)
_GREY = "0.45"
_STYLE = {
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
_PANEL = (3.4, 3.2)
_WIDE = (4.6, 3.3)
_SMALLEST = 4.0
_COLUMNS = 4


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorate a function that draws a figure: fonts and frames as in all figures here."""

    @functools.wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> Figure:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


@styled
def predicted_against_measured(table: pd.DataFrame, unit: str = LOG2) -> Figure:
    """Predictions over measurements, one panel a target, with Pearson's r and the identity line.

    From `DENSE` points a panel shows their density (hexagons, logarithmic colours).

    Parameters
    ----------
    table
        Columns `measured`, `predicted`; optional `dataset`, `target` (panels) and `method` (in
        the panel's title).
    unit
        Unit of both axes.

    Raises
    ------
    InputError
        If a column is missing or there is nothing to draw.
    """
    table = _finite(table, ["measured", "predicted"])
    figure, panels = _panels(table, ("dataset", "target", "method"), (4.2, 3.6))
    for axes, part in panels:
        x, y = part["measured"].to_numpy(), part["predicted"].to_numpy()
        low, high = _limits(np.concatenate([x, y]))
        if len(part) >= DENSE:
            hexagons = axes.hexbin(
                x, y, gridsize=45, extent=(low, high, low, high), bins="log", mincnt=1,
                cmap="viridis", linewidths=0.1,
            )  # fmt: skip
            bar = figure.colorbar(
                hexagons, ax=axes, shrink=0.8, pad=0.02, format="%g", label="Sequences"
            )
            bar.outline.set_visible(False)
        else:
            axes.scatter(x, y, s=14, color="0.25", alpha=0.5, linewidths=0)
        axes.plot([low, high], [low, high], color=_GREY, linestyle="--", linewidth=1.2)
        _corner(axes, f"r = {_pearson(x, y)}\nn = {len(part):,}")
        axes.set(
            xlim=(low, high), ylim=(low, high), aspect="equal",
            xlabel=_with_unit("Measured activity", unit),
            ylabel=_with_unit("Predicted activity", unit),
        )  # fmt: skip
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5, integer=high - low > 4))
    return figure


@styled
def learning_curves(history: pd.DataFrame, title: str | None = None) -> Figure:
    """Training and validation loss by epoch; a dot marks the epoch whose weights were kept.

    Several members are drawn faintly, with their mean where all of them were still training.

    Parameters
    ----------
    history
        Columns `epoch`, `loss`, `val_loss`; optional `member` and `method` (panels).
    title
        Title of a single panel.

    Raises
    ------
    InputError
        If a column is missing or there is nothing to draw.
    """
    history = _finite(history, ["epoch", "loss", "val_loss"])
    figure, panels = _panels(history, ("dataset", "method"), _WIDE, 2)
    for axes, part in panels:
        members = [run.sort_values("epoch") for _, run in _by(part, ("member",))]
        several = len(members) > 1
        for column, colour in (("loss", "0.35"), ("val_loss", "tab:purple")):
            for run in members:
                axes.plot(
                    run["epoch"], run[column], color=colour,
                    alpha=0.3 if several else 1.0, linewidth=1.0 if several else 2.0,
                )  # fmt: skip
            if several:
                shared = min(run["epoch"].max() for run in members)
                mean = part[part["epoch"] <= shared].groupby("epoch")[column].mean()
                axes.plot(mean.index, mean, color=colour)
        best = pd.concat([run.loc[[run["val_loss"].idxmin()]] for run in members])
        axes.scatter(
            best["epoch"], best["val_loss"], s=34, color="tab:purple", edgecolor="white", zorder=3
        )
        axes.set(xlabel="Epoch", ylabel="Loss")
        if (part[["loss", "val_loss"]] > 0).all(axis=None):
            axes.set_yscale("log")
            _plain_log_ticks(axes)
        axes.xaxis.set_major_locator(_whole_numbers())
        if title is not None:
            axes.set_title(title)
    handles = [
        _line("0.35", "Training"),
        _line("tab:purple", "Validation"),
        _line("tab:purple", "Kept epoch", marker="o", linestyle=""),
    ]
    _legend_below(figure, handles)
    return figure


@styled
def performance(table: pd.DataFrame, metric: str = "pearson", head: str = "activity") -> Figure:
    """One metric for each method: a dot a model with the mean, a diamond for a lone value.

    Parameters
    ----------
    table
        Columns `method`, `metric`, `value`; optional `dataset`, `target` (panels) and `head`.
    metric
        Which metric to draw.
    head
        Which head, where the table has several: activity, aleatoric or epistemic.

    Raises
    ------
    InputError
        If a column is missing or no row has that metric and head.
    """
    table = _chosen(table, metric, head, ["method"])
    size = (max(1.0 * table["method"].nunique(), 2.4), 3.4)
    figure, panels = _panels(table, ("dataset", "target"), size)
    for index, (axes, part) in enumerate(panels):
        methods = _methods(part)
        rng = np.random.default_rng(0)
        for place, method in enumerate(methods):
            values = part.loc[part["method"] == method, "value"].to_numpy()
            colour = _colour(method)
            if len(values) == 1:
                axes.scatter(place, values, marker="D", s=70, color=colour, zorder=3)
                continue
            jitter = rng.permutation(np.linspace(-0.16, 0.16, len(values)))
            axes.scatter(place + jitter, values, s=30, color=colour, alpha=0.6, linewidths=0)
            axes.hlines(values.mean(), place - 0.3, place + 0.3, color=colour, linewidth=2.5)
        axes.set_xticks(
            range(len(methods)), [_label(method).replace(" ", "\n") for method in methods]
        )
        axes.set_xlim(-0.6, len(methods) - 0.4)
        axes.margins(y=0.12)
        axes.grid(axis="y", color="0.9", linewidth=0.8)
        if index % _COLUMNS == 0:
            axes.set_ylabel(_metric_label(metric, head))
    return figure


@styled
def performance_against(
    table: pd.DataFrame, x: str = "fraction", metric: str = "pearson", head: str = "activity"
) -> Figure:
    """One metric against the share of training data or the ensemble's size, as in Fig. 2.

    Lines are means over seeds, bands their 95 % confidence intervals (Student's t); a method with
    one value at a place has no band there. The axis spans the values: a band wider than that, as
    two or three seeds can have, runs out of the panel. `mprann` is a dashed horizontal line.

    Parameters
    ----------
    table
        Columns `method`, `metric`, `value` and that of `x`; optional `dataset`, `target` (panels)
        and `head`.
    x
        ``"fraction"``, ``"n_members"`` or another numeric column.
    metric, head
        What to draw.

    Raises
    ------
    InputError
        If a column is missing or no row has that metric and head.
    """
    table = _chosen(table, metric, head, ["method", x])
    figure, panels = _panels(table, ("dataset", "target"))
    for index, (axes, part) in enumerate(panels):
        for method in _methods(part):
            rows, style = part[part["method"] == method], {"color": _colour(method)}
            if method in _BASELINES:
                axes.axhline(rows["value"].mean(), linestyle="--", linewidth=1.6, **style)
                continue
            band = confidence_band(rows, x)
            if len(band) == 1:
                half = band["high"] - band["mean"]
                axes.errorbar(band[x], band["mean"], half, fmt="o", markersize=5, **style)
                continue
            axes.plot(band[x], band["mean"], marker="o", markersize=5, **style)
            axes.fill_between(band[x], band["low"], band["high"], alpha=0.2, linewidth=0, **style)
        low, high = _limits(part["value"].to_numpy(), margin=0.25)
        axes.set_ylim(low, high)
        _ticks_at(axes, x, np.sort(table[x].unique()))
        axes.set_xlabel(_AXES.get(x, x))
        axes.grid(color="0.92", linewidth=0.8)
        if index % _COLUMNS == 0:
            axes.set_ylabel(_metric_label(metric, head))
    _legend_below(figure, [_handle(method) for method in _methods(table)])
    return figure


@styled
def uncertainty_against_error(table: pd.DataFrame, bins: int = 10, unit: str = LOG2) -> Figure:
    """Root mean squared error against predicted standard deviation, in bins of equal count.

    On the dashed line the errors are as large as predicted; above it, larger.

    Parameters
    ----------
    table
        Columns `measured`, `predicted`, `std`; optional `dataset`, `target` (panels) and
        `method`.
    bins
        Number of bins by quantile of `std`; fewer where there are fewer sequences.
    unit
        Unit of both axes.

    Raises
    ------
    InputError
        If a column is missing, or there is nothing to draw or fewer than one bin.
    """
    if bins < 1:
        raise InputError(f"bins must be a whole number from 1. Received: bins={bins}")
    table = _finite(table, ["measured", "predicted", "std"])
    figure, panels = _panels(table, ("dataset", "target"))
    for axes, part in panels:
        top = 0.0
        for method, rows in _by_method(part):
            binned = binned_error(rows, bins)
            axes.plot(
                binned["std"], binned["rmse"], marker="o", markersize=6, color=_colour(method)
            )
            top = max(top, binned.to_numpy().max())
        end = 1.08 * top
        axes.plot([0, end], [0, end], color=_GREY, linestyle="--", linewidth=1.2)
        axes.set(
            xlim=(0, end), ylim=(0, end), aspect="equal",
            xlabel=_with_unit("Predicted standard deviation", unit),
            ylabel=_with_unit("Root mean squared error", unit),
        )  # fmt: skip
    handles = [_handle(method) for method, _ in _by_method(table) if method]
    equal = _line(_GREY, "Error as predicted", linestyle="--", linewidth=1.2)
    _legend_below(figure, [*handles, equal])
    return figure


@styled
def intervals(
    table: pd.DataFrame, level: float | None = None, shown: int = 150, unit: str = LOG2
) -> Figure:
    """Predictions in rising order with their intervals, and the measurements in or out of them.

    Where there are more than `shown` sequences, evenly spaced ones are drawn; the share inside is
    counted over all.

    Parameters
    ----------
    table
        Columns `measured`, `predicted`, `lower`, `upper`; optional `dataset`, `target` (panels)
        and `method` (the ribbon's colour; one method only).
    level
        The share that the intervals are meant to hold, for the text.
    shown
        How many sequences to draw.
    unit
        Unit of the activity.

    Raises
    ------
    InputError
        If a column is missing or there is nothing to draw.
    """
    table = _finite(table, ["measured", "predicted", "lower", "upper"])
    method = next(iter(_methods(table)), "student") if "method" in table else "student"
    figure, panels = _panels(table, ("dataset", "target"), _WIDE, 2)
    for index, (axes, part) in enumerate(panels):
        part = part.sort_values("predicted").reset_index(drop=True)
        inside = part["measured"].between(part["lower"], part["upper"])
        rows = np.unique(np.linspace(0, len(part) - 1, min(shown, len(part))).round().astype(int))
        drawn, within = part.iloc[rows], inside.iloc[rows].to_numpy()
        rank = np.arange(len(rows))
        axes.fill_between(
            rank, drawn["lower"], drawn["upper"], color=_colour(method), alpha=0.3, linewidth=0
        )
        axes.plot(rank, drawn["predicted"], color=_colour(method))
        measured = drawn["measured"].to_numpy()
        axes.scatter(rank[within], measured[within], s=12, color="0.25", linewidths=0, zorder=3)
        axes.scatter(rank[~within], measured[~within], s=26, color="tab:red", marker="x", zorder=3)
        axes.set_title(f"{axes.get_title()}\n{inside.mean():.0%} of measurements inside".strip())
        axes.set_xlabel(
            "Sequences by prediction"
            if len(rows) == len(part)
            else f"Sequences by prediction ({len(rows)} of {len(part):,})"
        )
        axes.set_xticks([])
        if index % 2 == 0:
            axes.set_ylabel(_with_unit("Activity", unit))
    interval = "Interval" if level is None else f"{level:.0%} interval"
    handles = [
        _line(_colour(method), _label(method)),
        Patch(color=_colour(method), alpha=0.3, linewidth=0, label=interval),
        _line("0.25", "Inside", marker="o", markersize=4, linestyle=""),
        _line("tab:red", "Outside", marker="x", linestyle=""),
    ]
    _legend_below(figure, handles)
    return figure


def confidence_band(table: pd.DataFrame, x: str, level: float = 0.95) -> pd.DataFrame:
    """Mean of `value` at each `x`, and the ends of its confidence interval by Student's t.

    Examples
    --------
    >>> table = pd.DataFrame({"fraction": [0.1, 0.1, 1.0], "value": [0.4, 0.6, 0.8]})
    >>> confidence_band(table, "fraction").round(2).values.tolist()
    [[0.1, 0.5, -0.77, 1.77, 2.0], [1.0, 0.8, nan, nan, 1.0]]
    """
    grouped = table.groupby(x)["value"]
    n, mean = grouped.size(), grouped.mean()
    half = stats.t.ppf(0.5 + level / 2.0, np.maximum(n - 1, 1)) * grouped.std() / np.sqrt(n)
    return pd.DataFrame(
        {"mean": mean, "low": mean - half, "high": mean + half, "n": n}
    ).reset_index()


def binned_error(table: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """Mean `std` and root mean squared error in bins of equal count, by rising `std`.

    Examples
    --------
    >>> table = pd.DataFrame({"measured": 0.0, "predicted": [1.0, 3.0], "std": [0.5, 2.0]})
    >>> binned_error(table, bins=2).values.tolist()
    [[0.5, 1.0], [2.0, 3.0]]
    """
    ordered = table.sort_values("std", kind="stable")
    bin_of = np.arange(len(ordered)) * min(bins, len(ordered)) // len(ordered)
    squared = np.square(ordered["predicted"] - ordered["measured"])
    return pd.DataFrame(
        {
            "std": ordered["std"].groupby(bin_of).mean(),
            "rmse": np.sqrt(squared.groupby(bin_of).mean()),
        }
    )


def _require(table: pd.DataFrame, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in table]
    if missing:
        raise InputError(
            f"the table needs the columns {list(columns)}; {missing} missing. "
            f"Received: columns {list(table.columns)}"
        )


def _finite(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Rows whose `columns` are all finite; a warning says how many are not."""
    _require(table, columns)
    finite = np.isfinite(table[list(columns)].to_numpy(float)).all(axis=1)
    if not finite.any():
        raise InputError(f"nothing to draw. Received: a table of {len(table)} rows, none finite")
    if not finite.all():
        warnings.warn(
            f"{np.sum(~finite)} of {len(table)} rows are not finite and are not drawn",
            stacklevel=4,
        )
    return table[finite].reset_index(drop=True)


def _chosen(table: pd.DataFrame, metric: str, head: str, columns: Sequence[str]) -> pd.DataFrame:
    """Rows of one metric and head, with the finite values."""
    _require(table, [*columns, "metric", "value"])
    chosen = table["metric"] == metric
    if "head" in table:
        chosen &= table["head"] == head
    if not chosen.any():
        raise InputError(
            f"expected rows of metric {metric!r} and head {head!r}. Received: metrics "
            f"{sorted(table['metric'].unique())}, heads "
            f"{sorted(table['head'].unique()) if 'head' in table else '(no such column)'}"
        )
    return _finite(table[chosen], ["value"])


def _by(
    table: pd.DataFrame, names: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """Parts of a table by those of the named columns it has, in order of appearance."""
    present = [name for name in names if name in table and table[name].notna().any()]
    if not present:
        yield (), table
        return
    for key, part in table.groupby(present, sort=False, dropna=False):
        yield tuple(str(value) for value in key), part


def _methods(table: pd.DataFrame) -> list[str]:
    """Methods in a table: the known ones in their fixed order, then others as they come."""
    found = list(dict.fromkeys(table["method"]))
    known = [method for method in COLOURS if method in found]
    return known + [method for method in found if method not in known]


def _by_method(table: pd.DataFrame) -> list[tuple[str | None, pd.DataFrame]]:
    if "method" not in table:
        return [(None, table)]
    return [(method, table[table["method"] == method]) for method in _methods(table)]


def _colour(method: str | None) -> str:
    return COLOURS.get(method, "0.25")


def _label(method: str) -> str:
    return LABELS.get(method, method)


def _panels(
    table: pd.DataFrame,
    names: Sequence[str],
    size: tuple[float, float] = _PANEL,
    columns: int = _COLUMNS,
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """A figure with one titled panel, of a size in inches, for each part of the table."""
    parts = list(_by(table, names))
    n_columns = min(columns, len(parts))
    n_rows = -(-len(parts) // n_columns)
    figure = Figure(
        figsize=(max(size[0] * n_columns + 0.4, _SMALLEST), size[1] * n_rows + 0.4),
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


def _legend_below(figure: Figure, handles: Sequence[Any]) -> None:
    """A legend under the panels, where it covers no data, in as many rows as its words need."""
    inches = sum(0.08 * len(handle.get_label()) + 0.65 for handle in handles)
    rows = -(-inches // figure.get_figwidth())
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=int(-(-len(handles) // rows))
        )


def _line(colour: str, label: str, **style: Any) -> Line2D:
    return Line2D([], [], color=colour, label=label, **style)


def _handle(method: str) -> Line2D:
    style = {"linestyle": "--"} if method in _BASELINES else {"marker": "o", "markersize": 5}
    return _line(_colour(method), _label(method), **style)


def _ticks_at(axes: Axes, x: str, values: np.ndarray) -> None:
    """Ticks at the values that were run, as percentages where they are fractions."""
    if x == "fraction":
        axes.set_xticks(values)
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
        axes.set_xlim(0.0, 1.04)
    else:
        axes.xaxis.set_major_locator(_whole_numbers())


def _whole_numbers() -> MaxNLocator:
    return MaxNLocator(6, integer=True, steps=[1, 2, 5, 10])


def _plain_log_ticks(axes: Axes) -> None:
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _limits(values: np.ndarray, margin: float = 0.04) -> tuple[float, float]:
    """Lowest and highest value, with a share of their distance added at both ends."""
    low, high = float(values.min()), float(values.max())
    added = margin * (high - low) or 0.5
    return low - added, high + added


def _pearson(x: np.ndarray, y: np.ndarray) -> str:
    if len(x) < 2 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return "undefined"
    return f"{stats.pearsonr(x, y).statistic:.3f}"


def _corner(axes: Axes, text: str) -> None:
    axes.text(
        0.04, 0.96, text, transform=axes.transAxes, va="top", ha="left",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2.0},
    )  # fmt: skip


def _with_unit(label: str, unit: str) -> str:
    return f"{label} ({unit})" if unit else label


def _metric_label(metric: str, head: str) -> str:
    name = _METRICS.get(metric, metric)
    return name if head == "activity" else f"{name}, {head} std"
