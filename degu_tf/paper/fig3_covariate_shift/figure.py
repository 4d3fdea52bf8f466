"""Figure 3, drawn from the table of its script."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from degu_tf.paper.data_sets import PANEL
from degu_tf.paper.fig3_covariate_shift import toy
from degu_tf.paper.fig3_covariate_shift.study import METHODS, SHIFTS
from degu_tf.plots.groups import box_handles, draw_boxes
from degu_tf.plots.palette import colour_of
from degu_tf.plots.style import legend_below, legend_line, logarithmic, name_panel, styled

TOY = "Toy"
"""What the column `dataset` says of the toy."""

TOY_WIDTH, WIDTH, HEIGHT = 4.6, 5.6, 5.2
"""Inches of the toy, of a target's panel, and of all."""

_FAR = 20.0
"""Largest error over the smallest, from which on axes are logarithmic."""


@styled
def figure_three(table: pd.DataFrame) -> Figure:
    """Draw the toy in two panels, one above the other, and beside it a panel for each target.

    Parameters
    ----------
    table
        Curves and points of `toy.curves`, whose data set is `TOY`, and rows of `study.distances`.
    """
    errors = table[table["dataset"] != TOY]
    widths = [TOY_WIDTH, WIDTH * errors.groupby(PANEL).ngroups]
    figure = Figure(figsize=(sum(widths), HEIGHT), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=widths)[0]
    _draw_toy(left, table[table["dataset"] == TOY])
    _draw_errors(right, errors)
    return figure


@styled
def toy_figure(table: pd.DataFrame) -> Figure:
    """Draw the toy alone."""
    figure = Figure(figsize=(TOY_WIDTH, HEIGHT), layout="constrained")
    _draw_toy(figure, table[table["dataset"] == TOY])
    return figure


@styled
def errors_figure(table: pd.DataFrame) -> Figure:
    """Draw the panels of the targets alone."""
    errors = table[table["dataset"] != TOY]
    width = WIDTH * errors.groupby(PANEL).ngroups
    figure = Figure(figsize=(width, HEIGHT), layout="constrained")
    _draw_errors(figure, errors)
    return figure


def _draw_errors(figure: Figure | SubFigure, errors: pd.DataFrame) -> None:
    """A panel for each target, lettered from b on."""
    panels = list(errors.groupby(PANEL, sort=False))
    for letter, axes, (key, part) in zip(
        "bcdefgh", figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=False
    ):
        draw_boxes(axes, part, "shift", "method", METHODS, SHIFTS)
        _scale_errors(axes, part["value"])
        axes.set_title(", ".join(key))
        name_panel(axes, letter)
    figure.axes[0].set_ylabel("MSE to the oracle")
    legend_below(figure, box_handles(METHODS))


def _scale_errors(axes: Axes, values: pd.Series) -> None:
    """From zero; logarithmic where one method is so far off that the others would be a line."""
    if 0.0 < values.min() < values.max() / _FAR:
        logarithmic(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)


def _draw_toy(figure: Figure | SubFigure, rows: pd.DataFrame) -> None:
    """Networks and their mean above, students of the mean below, with their training points."""
    upper, lower = figure.subplots(2, 1, sharex=True, sharey=True)
    networks, black = colour_of("ensemble"), "0.1"
    plain, sampled = colour_of("single"), colour_of("student")
    line = {"linewidth": 1.2, "alpha": 0.6}
    _curves(upper, rows, "single", color=networks, **line)
    _curves(upper, rows, "truth", color="0.5", linestyle=":", linewidth=1.4)
    _curves(lower, rows, "student", color=plain, **line)
    _curves(lower, rows, "student_sampled", color=sampled, linewidth=5.0, alpha=0.35)
    points = rows[rows["metric"] == "point"].groupby("method")
    for axes in (upper, lower):
        for low, high in toy.MEASURED:
            axes.axvspan(low, high, color="0.95", linewidth=0, zorder=0)
        _curves(axes, rows, "ensemble", color=black, linewidth=1.6)
        training = points.get_group("truth")
        axes.scatter(training["x"], training["value"], s=20, color="tab:red", zorder=4)
        axes.set(yticks=[], xticks=[])
        axes.margins(x=0.01)
    extra = points.get_group("ensemble")
    lower.scatter(extra["x"], extra["value"], s=44, color="tab:red", marker="+", zorder=4)
    upper.set_title("Networks from different seeds")
    lower.set_title("Students of the ensemble")
    lower.set_xlabel("x (shaded: training data)")
    name_panel(upper, "a")
    dots = {"linestyle": "", "markersize": 5}
    handles = [
        legend_line(networks, "Network"),
        legend_line(black, "Ensemble"),
        legend_line("0.5", "Truth", linestyle=":"),
        legend_line("tab:red", "Training points", marker="o", **dots),
        legend_line("tab:red", "Sampled points", marker="+", **dots),
        legend_line(plain, "Student of training points"),
        legend_line(sampled, "Student of both", linewidth=4.0),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)


def _curves(axes: Axes, rows: pd.DataFrame, method: str, **style: Any) -> None:
    chosen = rows[(rows["metric"] == "curve") & (rows["method"] == method)]
    for _, curve in chosen.groupby("seed"):
        axes.plot(curve["x"], curve["value"], **style)
