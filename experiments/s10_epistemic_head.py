"""Supplementary Figure 10: a student's epistemic uncertainty beside its teachers' spread.

One panel a data set and target: for each test sequence the standard deviation of the teachers'
predictions, and what the first student predicts for it. The models are Figure 5's.
"""

import pandas as pd
from matplotlib.figure import Figure

import degu_tf as degu
from degu_tf.paper import data_sets
from degu_tf.paper.claims import (
    Claim,
    Verdict,
    above,
    in_every,
)
from degu_tf.paper.correlations import correlations
from degu_tf.paper.fig5_uncertainty import study
from degu_tf.paper.fig5_uncertainty.claims import PANEL, SECTION, STRONG
from degu_tf.paper.networks.weights import Needs
from degu_tf.paper.script import Context, main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP
WEIGHTS = Needs(("single", "student"))


def networks(context: Context) -> None:
    """Teachers and students of each data set."""
    for _, splits, setup in data_sets.data(context):
        study.networks_of_methods(context, splits, setup, ("student",))


def compute(context: Context) -> pd.DataFrame:
    """One row a data set, target, student and test sequence."""
    tables = []
    for name, splits, setup in data_sets.data(context):
        methods = study.Methods(context, splits, setup)
        tables.append(study.epistemic_points(methods).assign(dataset=name))
    return pd.concat(tables, ignore_index=True)


def by_student(table: pd.DataFrame) -> pd.DataFrame:
    """Pearson r of every student's uncertainty with its teachers'."""
    return correlations(table, [*PANEL, "seed"])


def follows(table: pd.DataFrame) -> Verdict:
    """Each target's mean r over students."""
    return in_every(
        by_student(table),
        PANEL,
        lambda part: above(part["value"], STRONG, "r, students' epistemic with the ensemble's std"),
    )


CLAIMS = (
    Claim(
        "Students' predicted epistemic uncertainty is strongly correlated with the ensemble's: "
        f"Pearson r above {STRONG} (each target).",
        f"Supplementary Fig. 10; {SECTION}",
        follows,
    ),
)


def draw(table: pd.DataFrame) -> Figure:
    """A panel for each data set and target, of the first student."""
    names = ("Ensemble's standard deviation", "Student's epistemic uncertainty")
    first = table[table["seed"] == 0]
    return degu.plots.predicted_against_measured(first, data_sets.unit_of(first), names)


def conclude(table: pd.DataFrame) -> str:
    """Mean r of each target."""
    means = by_student(table).groupby(PANEL, sort=False)["value"].mean()
    return "Pearson r, mean over students:\n" + means.round(3).to_string()


if __name__ == "__main__":
    raise SystemExit(main(globals()))
