"""Figure 3: how near students stay to an oracle when test sequences shift away from the data.

a, a one-dimensional toy: networks from different seeds fitted to a few points, their mean, and
students of that mean, with and without points sampled out of distribution. b, c, one panel a
target: mean squared error to an ensemble trained with EvoAug (the oracle), on the test sequences
and on three sets shifted away from them, of standard training, DEGU, and DEGU with three kinds of
dynamic augmentation; a dot is a model from its own seed. Trained models are shared with
Supplementary Figures 3, 5 and 6.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from degu_tf.paper.claims import (
    Claim,
    Verdict,
    greater,
    in_every,
)
from degu_tf.paper.fig3_covariate_shift import study, toy
from degu_tf.paper.fig3_covariate_shift.study import (
    MATCHING,
    METHODS,
    SHIFTS,
    Setup,
    Study,
    beside_static,
    distances,
    values,
)
from degu_tf.paper.fig3_covariate_shift.toy import Toy
from degu_tf.paper.script import Context, main
from degu_tf.plots.groups import box_handles, draw_boxes
from degu_tf.plots.palette import colour_of
from degu_tf.plots.style import (
    legend_below,
    legend_line,
    name_panel,
    styled,
)

MARGIN = 0.05
"""Share by which an error may be larger and still count among the smallest: decided before any
run, like every test here."""

TOY = "Toy"
PANEL = ["dataset", "target"]


@dataclass(frozen=True, kw_only=True)
class Settings(Setup):
    """What is trained, and the toy."""

    toy: Toy


TOYS = {
    "smoke": Toy(n_members=2, n_students=1, n_sampled=5, steps=20),
    "quick": Toy(),
    "paper": Toy(),
}
PRESETS = {name: Settings(**vars(setup), toy=TOYS[name]) for name, setup in study.PRESETS.items()}
DATA_HELP = study.DATA_HELP


def compute(context: Context) -> pd.DataFrame:
    """Curves and points of the toy, and a row a method, seed, shift and target."""
    fig3 = Study(context)
    return pd.concat(
        [
            toy.curves(context.settings.toy, context.seed).assign(dataset=TOY, target="y"),
            distances(fig3.models(), fig3.oracle, fig3.shifted).assign(dataset=fig3.name),
        ],
        ignore_index=True,
    )


def errors(table: pd.DataFrame, *shifts: str) -> pd.DataFrame:
    """Rows of panels b and c, at some shifts where they are named."""
    rows = table[table["dataset"] != TOY]
    return rows[rows["shift"].isin(shifts)] if shifts else rows


def nearer(part: pd.DataFrame, method: str, than: str) -> Verdict:
    """Welch's test that a method's error is smaller than another's."""
    return greater(
        values(part, than), values(part, method), f"MSE to the oracle, {than} - {method}"
    )


def sampled_points_help(table: pd.DataFrame) -> Verdict:
    """Welch's test of the toy's students, where there are no training points."""
    rows = toy.distances(table[table["dataset"] == TOY])
    return greater(
        values(rows, "student"), values(rows, "student_sampled"),
        "RMSE to the ensemble out of distribution, training points only - sampled points too",
    )  # fmt: skip


def matching_helps(table: pd.DataFrame) -> Verdict:
    """At each shift the scheme that matches it against static students."""

    def decide(part: pd.DataFrame) -> Verdict:
        return nearer(part, MATCHING[part["shift"].iloc[0]], than="student")

    return in_every(errors(table, *MATCHING), [*PANEL, "shift"], decide)


def every_scheme_helps(table: pd.DataFrame) -> Verdict:
    """At each shift each scheme against static students."""
    return in_every(
        beside_static(errors(table, *MATCHING)),
        [*PANEL, "shift", "dynamic"],
        lambda part: nearer(part, part["dynamic"].iloc[0], than="student"),
    )


def matching_is_among_the_best(table: pd.DataFrame) -> Verdict:
    """At each shift the scheme that matches it against the best of all other methods."""

    def decide(part: pd.DataFrame) -> Verdict:
        matching = MATCHING[part["shift"].iloc[0]]
        logs = {method: np.log(values(part, method)) for method in METHODS}
        logs = {method: each for method, each in logs.items() if len(each)}
        own = logs.pop(matching, np.array([]))
        if not logs:
            return greater([], own, "no other method in this run")
        best = min(logs, key=lambda method: logs[method].mean())
        what = f"log MSE to the oracle, {best} - {matching}"
        return greater(logs[best], own, what, threshold=-np.log1p(MARGIN))

    return in_every(errors(table, *MATCHING), [*PANEL, "shift"], decide)


def large_below_intermediate(table: pd.DataFrame) -> Verdict:
    """Paired test over models, for each method."""

    def decide(part: pd.DataFrame) -> Verdict:
        by_shift = part.pivot(index="seed", columns="shift", values="value")
        by_shift = by_shift.reindex(columns=["intermediate", "large"])
        what = "MSE to the oracle, intermediate - large shift"
        return greater(by_shift["intermediate"], by_shift["large"], what, paired=True)

    return in_every(errors(table, "intermediate", "large"), [*PANEL, "method"], decide)


SECTION = 'Results, "DEGU improves generalization under covariate shifts"'
CLAIMS = (
    Claim(
        "Sampled points with the ensemble's labels bring students nearer to the ensemble where "
        "there are no training points (toy).",
        "Fig. 3a",
        sampled_points_help,
    ),
    Claim(
        "Students are nearer to the oracle than standard training (each target, at every shift).",
        "Fig. 3b, c",
        lambda table: in_every(
            errors(table), [*PANEL, "shift"], lambda part: nearer(part, "student", than="single")
        ),
    ),
    Claim(
        "Dynamic augmentation of the kind a shift is made of brings students nearer to the oracle "
        "than static distillation (each target, at every shift).",
        f"Fig. 3b, c; {SECTION}",
        matching_helps,
    ),
    Claim(
        "So does dynamic augmentation of any kind (each target, at every shift, each scheme).",
        f"Fig. 3b, c; {SECTION}",
        every_scheme_helps,
    ),
    Claim(
        "Augmentation of the kind a shift is made of is among the best there: its error is at most "
        f"{MARGIN:.0%} larger than the smallest of the other methods (each target, each shift).",
        f"Fig. 3b, c; {SECTION}",
        matching_is_among_the_best,
    ),
    Claim(
        "The large shift gives smaller errors than the intermediate one (each target and method).",
        f"Fig. 3b, c; {SECTION}",
        large_below_intermediate,
    ),
)


@styled
def draw(table: pd.DataFrame) -> Figure:
    """The toy in two panels, one above the other, and beside it a panel for each target."""
    panels = list(errors(table).groupby(PANEL, sort=False))
    width = 5.6
    figure = Figure(figsize=(4.6 + width * len(panels), 5.2), layout="constrained")
    widths = [4.6, width * len(panels)]
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=widths)[0]
    draw_toy(left, table[table["dataset"] == TOY])
    for letter, axes, (key, part) in zip(
        "bcdefgh", right.subplots(1, len(panels), squeeze=False)[0], panels, strict=False
    ):
        draw_boxes(axes, part, "shift", "method", METHODS, SHIFTS)
        axes.set_ylim(bottom=0)
        axes.set_title(", ".join(key))
        name_panel(axes, letter)
    right.axes[0].set_ylabel("MSE to the oracle")
    legend_below(right, box_handles(METHODS))
    return figure


def draw_toy(figure: Figure | SubFigure, rows: pd.DataFrame) -> None:
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


def conclude(table: pd.DataFrame) -> str:
    """Mean errors by shift and method."""
    means = errors(table).pivot_table(
        index=["target", "shift"], columns="method", values="value", sort=False
    )
    return "MSE to the oracle, mean over seeds:\n" + means.round(4).to_string()


if __name__ == "__main__":
    raise SystemExit(main(globals()))
