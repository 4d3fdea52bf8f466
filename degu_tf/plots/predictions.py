"""Figures of predictions: against measurements, by method, by amount of training data."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy import stats

from degu_tf.plots.palette import colour_of, label_of, methods_of
from degu_tf.plots.style import (
    AXES,
    BASELINES,
    COLUMNS,
    DENSE,
    GREY,
    WIDE,
    corner_text,
    finite_rows,
    legend_below,
    legend_handle,
    legend_line,
    limits_of,
    logarithmic,
    metric_label,
    panels_of,
    parts_by,
    pearson_text,
    rows_of,
    styled,
    ticks_at,
    unit_of,
    whole_numbers,
    with_unit,
)


@styled
def predicted_against_measured(
    table: pd.DataFrame,
    unit: str | None = None,
    names: tuple[str, str] = ("Measured activity", "Predicted activity"),
) -> Figure:
    """Predictions over measurements, one panel a target, with Pearson's r and the identity line.

    From `DENSE` points a panel shows their density (hexagons, logarithmic colours).

    Parameters
    ----------
    table
        Columns `measured`, `predicted`; optional `dataset`, `target` (panels) and `method` (in
        the panel's title).
    unit
        Unit of both axes; by default the name of the only target.
    names
        What was measured and what was predicted.

    Raises
    ------
    InputError
        If a column is missing or there is nothing to draw.

    Examples
    --------
    >>> table = pd.DataFrame({"measured": [0.0, 1.0, 2.0], "predicted": [0.1, 0.8, 1.9]})
    >>> predicted_against_measured(table.assign(target="K562")).axes[0].get_ylabel()
    'Predicted activity (K562)'
    """
    table = finite_rows(table, ["measured", "predicted"])
    unit = unit_of(table, unit)
    figure, panels = panels_of(table, ("dataset", "target", "method"), (4.2, 3.6))
    for axes, part in panels:
        x, y = part["measured"].to_numpy(), part["predicted"].to_numpy()
        low, high = limits_of(np.concatenate([x, y]))
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
        axes.plot([low, high], [low, high], color=GREY, linestyle="--", linewidth=1.2)
        corner_text(axes, f"r = {pearson_text(x, y)}\nn = {len(part):,}")
        axes.set(
            xlim=(low, high), ylim=(low, high), aspect="equal",
            xlabel=with_unit(names[0], unit), ylabel=with_unit(names[1], unit),
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

    Examples
    --------
    >>> history = pd.DataFrame({"epoch": [1, 2], "loss": [0.9, 0.5], "val_loss": [0.8, 0.7]})
    >>> learning_curves(history, title="Student").axes[0].get_title()
    'Student'
    """
    history = finite_rows(history, ["epoch", "loss", "val_loss"])
    figure, panels = panels_of(history, ("dataset", "method"), WIDE, 2)
    for axes, part in panels:
        members = [run.sort_values("epoch") for _, run in parts_by(part, ("member",))]
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
            logarithmic(axes.yaxis)
        axes.xaxis.set_major_locator(whole_numbers())
        if title is not None:
            axes.set_title(title)
    handles = [
        legend_line("0.35", "Training"),
        legend_line("tab:purple", "Validation"),
        legend_line("tab:purple", "Kept epoch", marker="o", linestyle=""),
    ]
    legend_below(figure, handles)
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

    Examples
    --------
    >>> table = pd.DataFrame({"method": ["single", "single", "student"], "value": [0.6, 0.7, 0.8]})
    >>> performance(table.assign(metric="pearson")).axes[0].get_ylabel()
    'Pearson r'
    """
    table = rows_of(table, metric, head, ["method"])
    size = (max(1.0 * table["method"].nunique(), 2.4), 3.4)
    figure, panels = panels_of(table, ("dataset", "target"), size)
    for index, (axes, part) in enumerate(panels):
        methods = methods_of(part)
        rng = np.random.default_rng(0)
        for place, method in enumerate(methods):
            values = part.loc[part["method"] == method, "value"].to_numpy()
            colour = colour_of(method)
            if len(values) == 1:
                axes.scatter(place, values, marker="D", s=70, color=colour, zorder=3)
                continue
            jitter = rng.permutation(np.linspace(-0.16, 0.16, len(values)))
            axes.scatter(place + jitter, values, s=30, color=colour, alpha=0.6, linewidths=0)
            axes.hlines(values.mean(), place - 0.3, place + 0.3, color=colour, linewidth=2.5)
        axes.set_xticks(
            range(len(methods)), [label_of(method).replace(" ", "\n") for method in methods]
        )
        axes.set_xlim(-0.6, len(methods) - 0.4)
        axes.margins(y=0.12)
        axes.grid(axis="y", color="0.9", linewidth=0.8)
        if index % COLUMNS == 0:
            axes.set_ylabel(metric_label(metric, head))
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

    Examples
    --------
    >>> table = pd.DataFrame({"fraction": [0.1, 1.0], "value": [0.5, 0.8], "method": "student"})
    >>> performance_against(table.assign(metric="pearson")).axes[0].get_xlabel()
    'Training data used'
    """
    table = rows_of(table, metric, head, ["method", x])
    figure, panels = panels_of(table, ("dataset", "target"))
    for index, (axes, part) in enumerate(panels):
        draw_performance(axes, part, x)
        ticks_at(axes, x, np.sort(table[x].unique()))
        if index % COLUMNS == 0:
            axes.set_ylabel(metric_label(metric, head))
    legend_below(figure, [legend_handle(method) for method in methods_of(table)])
    return figure


def draw_performance(axes: Axes, rows: pd.DataFrame, x: str = "fraction") -> None:
    """Draw one panel of `performance_against`: rows of one metric, head, data set and target."""
    for method in methods_of(rows):
        own, colour = rows[rows["method"] == method], colour_of(method)
        if method in BASELINES:
            axes.axhline(own["value"].mean(), linestyle="--", linewidth=1.6, color=colour)
            continue
        band = confidence_band(own, x)
        if len(band) == 1:
            half = band["high"] - band["mean"]
            axes.errorbar(band[x], band["mean"], half, fmt="o", markersize=5, color=colour)
            continue
        axes.plot(band[x], band["mean"], marker="o", markersize=5, color=colour)
        axes.fill_between(band[x], band["low"], band["high"], color=colour, alpha=0.2, linewidth=0)
    axes.set_ylim(*limits_of(rows["value"].to_numpy(), margin=0.25))
    ticks_at(axes, x, np.sort(rows[x].unique()))
    axes.set_xlabel(AXES.get(x, x))
    axes.grid(color="0.92", linewidth=0.8)


@styled
def intervals(
    table: pd.DataFrame, level: float | None = None, shown: int = 150, unit: str | None = None
) -> Figure:
    """Sequences by predicted activity, with their intervals and the measurements in or out of them.

    Where there are more than `shown` sequences, evenly spaced ones are drawn; the share inside is
    counted over all. Sequences whose uncertainty was floored have no interval to be in or out of:
    they are drawn hollow and not counted.

    Parameters
    ----------
    table
        Columns `measured`, `predicted`, `lower`, `upper`; optional `dataset`, `target` (panels),
        `method` (the ribbon's colour; one method only) and `floored` (booleans, such as
        `Prediction.flagged()`).
    level
        Nominal level of the intervals, for the legend.
    shown
        How many sequences to draw.
    unit
        Unit of the activity; by default the name of the only target.

    Raises
    ------
    InputError
        If a column is missing or there is nothing to draw.

    Examples
    --------
    >>> table = pd.DataFrame({"measured": [0.0, 3.0], "predicted": [0.1, 1.0]})
    >>> table = table.assign(lower=table["predicted"] - 1, upper=table["predicted"] + 1)
    >>> intervals(table, level=0.95).axes[0].get_title()
    '50% of measurements inside'
    """
    table = finite_rows(table, ["measured", "predicted", "lower", "upper"])
    method = next(iter(methods_of(table)), "student") if "method" in table else "student"
    figure, panels = panels_of(table, ("dataset", "target"), WIDE, 2)
    for index, (axes, part) in enumerate(panels):
        part = part.sort_values("predicted").reset_index(drop=True)
        inside = part["measured"].between(part["lower"], part["upper"])
        floored = part["floored"].astype(bool) if "floored" in part else inside & False
        rows = np.unique(np.linspace(0, len(part) - 1, min(shown, len(part))).round().astype(int))
        drawn, flagged = part.iloc[rows], floored.iloc[rows].to_numpy()
        within = inside.iloc[rows].to_numpy() & ~flagged
        outside = ~within & ~flagged
        rank = np.arange(len(rows))
        axes.fill_between(
            rank, drawn["lower"], drawn["upper"], color=colour_of(method), alpha=0.3, linewidth=0
        )
        axes.plot(rank, drawn["predicted"], color=colour_of(method))
        measured = drawn["measured"].to_numpy()
        axes.scatter(rank[within], measured[within], s=12, color="0.25", linewidths=0, zorder=3)
        axes.scatter(rank[outside], measured[outside], s=26, color="tab:red", marker="x", zorder=3)
        axes.scatter(
            rank[flagged], measured[flagged], s=16, facecolors="none", edgecolors="0.5", zorder=3
        )
        title = f"{inside[~floored].mean():.0%} of measurements inside"
        if floored.any():
            title += f", {floored.sum()} not counted"
        axes.set_title(f"{axes.get_title()}\n{title}".strip())
        axes.set_xlabel(
            "Sequences by prediction"
            if len(rows) == len(part)
            else f"Sequences by prediction ({len(rows)} of {len(part):,})"
        )
        axes.set_xticks([])
        if index % 2 == 0:
            axes.set_ylabel(with_unit("Activity", unit_of(table, unit)))
    interval = "Interval" if level is None else f"{level:.0%} interval"
    handles = [
        legend_line(colour_of(method), label_of(method)),
        Patch(color=colour_of(method), alpha=0.3, linewidth=0, label=interval),
        legend_line("0.25", "Inside", marker="o", markersize=4, linestyle=""),
        legend_line("tab:red", "Outside", marker="x", linestyle=""),
    ]
    if "floored" in table and table["floored"].astype(bool).any():
        hollow = {"marker": "o", "markersize": 4, "markerfacecolor": "none", "linestyle": ""}
        handles.append(legend_line("0.5", "Uncertainty floored", **hollow))
    legend_below(figure, handles)
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
