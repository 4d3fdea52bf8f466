"""Figure 3: how near students stay to an oracle when test sequences shift away from the data.

a, a one-dimensional toy: networks from different seeds fitted to a few points, their mean, and
students of that mean, with and without points sampled out of distribution. b, c, one panel a
target: mean squared error to an ensemble trained with EvoAug (the oracle), on the test sequences
and on three sets shifted away from them, of standard training, DEGU, and DEGU with three kinds of
dynamic augmentation; a dot is a model from its own seed. Trained models are shared with
Supplementary Figures 3, 5 and 6.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from degu_tf.paper.claims import (
    Claim,
    Verdict,
    greater,
    in_every,
)
from degu_tf.paper.data_sets import PANEL
from degu_tf.paper.fig3_covariate_shift import figure, study, toy
from degu_tf.paper.fig3_covariate_shift.figure import TOY
from degu_tf.paper.fig3_covariate_shift.study import (
    MATCHING,
    METHODS,
    Setup,
    Study,
    beside_static,
    distances,
    values,
)
from degu_tf.paper.fig3_covariate_shift.toy import Toy
from degu_tf.paper.script import Context, main

MARGIN = 0.05
"""Share by which an error may be larger and still count among the smallest: decided before any
run, like every test here."""


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


def networks(context: Context) -> None:
    """The oracle and all models; the toy's small networks, seconds each, are fitted every time."""
    fig3 = Study(context)
    _ = fig3.oracle, fig3.models()


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


draw = figure.figure_three


def conclude(table: pd.DataFrame) -> str:
    """Mean errors by shift and method."""
    means = errors(table).pivot_table(
        index=["target", "shift"], columns="method", values="value", sort=False
    )
    return "MSE to the oracle, mean over seeds:\n" + means.round(4).to_string()


if __name__ == "__main__":
    raise SystemExit(main(globals()))
