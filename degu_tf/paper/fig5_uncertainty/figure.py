"""Figure 5 and its supplements, drawn from the table of `degu_tf.paper.fig5_uncertainty.study`."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure, SubFigure

from degu_tf.paper.absent import ABSENT, empty_panel
from degu_tf.paper.data_sets import unit_of
from degu_tf.paper.fig5_uncertainty.study import BOTH, LEVEL
from degu_tf.plots import calibration
from degu_tf.plots.palette import methods_of
from degu_tf.plots.predictions import draw_performance
from degu_tf.plots.style import (
    corner_text,
    legend_below,
    legend_handle,
    metric_label,
    name_panel,
    stacked,
    styled,
    with_unit,
)

ROW = 3.4
WIDTH = 10.8
ACCURACY = "Pearson r of the activity"

SIZE, PEARSON = "size", "pearson"
"""What coverage is drawn against, in rows from the top."""


@styled
def figure_five(table: pd.DataFrame, target: int = 0) -> Figure:
    """Heads against the share of the data (a, b), intervals (c) and accuracy (d) of each method.

    Parameters
    ----------
    table
        From `degu_tf.paper.fig5_uncertainty.study.figure_five`.
    target
        Which target of data with several is drawn, by its place.
    """
    heads = _heads(table, target)
    methods = _intervals(table)
    if not len(methods):
        figure = Figure(figsize=(WIDTH, ROW), layout="constrained")
        _draw_heads(figure, heads)
        return figure
    datasets = list(methods["dataset"].unique())
    figure = Figure(figsize=(WIDTH, ROW * (1.15 + 2.1 * len(datasets))), layout="constrained")
    above, below = stacked(figure, [1.15, 2.1 * len(datasets)])
    _draw_heads(above, heads)
    _draw_methods(below, methods, datasets, letters="cd")
    return figure


@styled
def uncertainty_heads(table: pd.DataFrame, target: int = 0) -> Figure:
    """Panels a and b of Figure 5 alone; `target` as for `figure_five`."""
    figure = Figure(figsize=(WIDTH, ROW), layout="constrained")
    _draw_heads(figure, _heads(table, target))
    return figure


@styled
def coverage_against(table: pd.DataFrame, x: str) -> Figure:
    """Panels c or d of Figure 5 alone, of each data set: coverage against `SIZE` or `PEARSON`."""
    methods = _intervals(table)
    datasets = list(methods["dataset"].unique())
    figure = Figure(figsize=(WIDTH, ROW * 1.15 * len(datasets)), layout="constrained")
    _draw_methods(figure, methods, datasets, (x,))
    return figure


@styled
def intervals_and_accuracy(table: pd.DataFrame) -> Figure:
    """Panels c and d of Figure 5 alone."""
    methods = _intervals(table)
    datasets = list(methods["dataset"].unique())
    figure = Figure(figsize=(WIDTH, ROW * 2.1 * len(datasets)), layout="constrained")
    _draw_methods(figure, methods, datasets, letters="ab")
    return figure


def _heads(table: pd.DataFrame, target: int) -> pd.DataFrame:
    """Rows of panels a and b: Pearson r of uncertainty heads of one target of each data set.

    The target is counted in the data's order, whether or not its values are finite.
    """
    rows = table[table["head"].notna() & (table["metric"] == "pearson")]
    chosen = []
    for _, part in rows.groupby("dataset", sort=False):
        targets = list(part["target"].unique())
        chosen.append(part[part["target"] == targets[min(target, len(targets) - 1)]])
    if ABSENT in table:  # heads whose methods' weights were not given
        chosen.append(table[(table["metric"] == ABSENT) & table["head"].notna()])
    drawn = pd.concat(chosen, ignore_index=True)
    return drawn[drawn["head"].isin(["epistemic", "aleatoric"])]


def _intervals(table: pd.DataFrame) -> pd.DataFrame:
    """One row an interval: its coverage as `value`, its `size`, and its model's `pearson`."""
    if "component" not in table:
        return pd.DataFrame(columns=["dataset"])
    model = ["dataset", "target", "method", "seed"]
    rows = table[table["metric"].isin(["coverage", "size"]) & table["value"].notna()]
    wide = rows.pivot(
        index=[*model, "component", "conformal"], columns="metric", values="value"
    ).reset_index()
    accuracy = table[(table["metric"] == "pearson") & table["head"].isna()]
    accuracy = accuracy.set_index(model)["value"].rename("pearson")
    return wide.join(accuracy, on=model).rename(columns={"coverage": "value"})


def _draw_heads(figure: Figure | SubFigure, rows: pd.DataFrame) -> None:
    """A panel for each head of each data set."""
    panels = [
        (head, dataset, part)
        for head in ("epistemic", "aleatoric")
        for dataset, part in rows[rows["head"] == head].groupby("dataset", sort=False)
    ]
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    named = set()
    for axes, (head, dataset, part) in zip(grid, panels, strict=True):
        finite = part[part["value"].notna()]
        if len(finite):
            draw_performance(axes, finite)
        elif (part["metric"] == ABSENT).all():
            empty_panel(axes, part["method"].iloc[0])
        else:
            axes.set(xticks=[], yticks=[])
            corner_text(axes, "r is undefined")
        target = part["target"].dropna().iloc[:1]
        axes.set_title(", ".join([dataset, *target]), fontsize=10.5)
        axes.set_ylabel(metric_label("pearson", head))
        if head not in named:
            name_panel(axes, "a" if head == "epistemic" else "b")
        named.add(head)
    present = rows[rows["metric"] != ABSENT]
    legend_below(figure, [legend_handle(method) for method in methods_of(present)])


def _draw_methods(
    figure: Figure | SubFigure,
    rows: pd.DataFrame,
    datasets: list[str],
    against: Sequence[str] = (SIZE, PEARSON),
    *,
    letters: str = "",
) -> None:
    """For each data set a row of coverage against size and one of accuracy, or one of them."""
    grid = figure.subplots(len(against) * len(datasets), len(BOTH), squeeze=False)
    for place, dataset in enumerate(datasets):
        own = rows[rows["dataset"] == dataset]
        labels = {SIZE: with_unit("Mean interval size", unit_of(own)), PEARSON: ACCURACY}
        for line, x in enumerate(against):
            number = len(against) * place + line
            for axes, component in zip(grid[number], BOTH, strict=True):
                part = own[own["component"] == component]
                calibration.draw_coverage(axes, part, x, LEVEL)
                axes.set_xlabel(labels[x])
                axes.set_title(f"{dataset}, {component}" if line == 0 else "", fontsize=10.5)
            first = grid[number, 0]
            first.set_ylabel(f"Coverage of {LEVEL:.0%} intervals")
            if letters and place == 0:
                name_panel(first, letters[line])
    legend_below(figure, calibration.coverage_handles(rows))
