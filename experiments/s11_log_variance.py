"""Supplementary Figure 11: epistemic uncertainty learnt as a log-variance instead of a deviation.

Pearson r of students' epistemic heads with the ensemble's standard deviation, against the share of
the training data: students whose labels are standard deviations, as everywhere else, and students
whose labels are the logarithms of their squares. Teachers are those of Figures 2 and 5.
"""

import pandas as pd
from matplotlib.figure import Figure

import degu_tf as degu
from degu_tf.paper import data_sets
from degu_tf.paper.fig5_uncertainty import study
from degu_tf.paper.fig5_uncertainty.claims import PANEL, epistemic_follows, heads
from degu_tf.paper.networks.weights import Needs
from degu_tf.paper.script import Context, main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP
WEIGHTS = Needs(("single", "student_log_variance"), ("student",))


PARTS = "fractions"


def networks(context: Context) -> None:
    """Both kinds of students at each share of the data, and their teachers."""
    for _, splits, setup in data_sets.data(context):
        for method in ("student", "student_log_variance"):
            study.networks_of_shares(context, splits, setup, method)


def compute(context: Context) -> pd.DataFrame:
    """Heads of both kinds of students at each share of the data."""
    return pd.concat(
        [
            study.head_performance(context, splits, setup, form, dataset=name)
            for name, splits, setup in data_sets.data(context)
            for form in ("std", "log_variance")
        ],
        ignore_index=True,
    )


def draw(table: pd.DataFrame) -> Figure:
    """A panel for each data set and target."""
    return degu.plots.performance_against(table, head="epistemic")


def conclude(table: pd.DataFrame) -> str:
    """Mean r of each kind at each share."""
    means = heads(table, "epistemic").pivot_table(
        index=[*PANEL, "fraction"], columns="method", values="value", sort=False
    )
    return "Pearson r of epistemic heads, mean over seeds:\n" + means.round(3).to_string()


CLAIMS = (epistemic_follows("student_log_variance"),)

if __name__ == "__main__":
    raise SystemExit(main(globals()))
