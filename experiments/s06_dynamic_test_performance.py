"""Supplementary Figure 6: students with dynamic augmentation on the unchanged test set.

Pearson r on the measured test sequences of standard training, static students, students with three
kinds of dynamic augmentation, and their teachers' ensemble. The models are Figure 3's.
"""

import pandas as pd
from matplotlib.figure import Figure

import degu_tf as degu
from degu_tf.paper.claims import (
    Claim,
    Verdict,
    greater,
    in_every,
)
from degu_tf.paper.fig3_covariate_shift import study
from degu_tf.paper.fig3_covariate_shift.study import (
    Study,
    beside_static,
    scores,
    values,
)
from degu_tf.paper.networks.trained_models import DYNAMIC
from degu_tf.paper.script import Context, main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP

PANEL = ["dataset", "target"]


def networks(context: Context) -> None:
    """Teachers and all students."""
    Study(context).models()


def compute(context: Context) -> pd.DataFrame:
    """One row a method, seed, target, head and metric."""
    fig3 = Study(context)
    test, heads = fig3.splits.test, fig3.splits.heads
    table = scores({**fig3.models(), "ensemble": [fig3.teachers]}, test, heads)
    return table.assign(dataset=fig3.name)


def correlations(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with Pearson r."""
    return table[table["metric"] == "pearson"]


def gain(part: pd.DataFrame) -> Verdict:
    """Welch's test of students of one dynamic method against static ones."""
    method = part["dynamic"].iloc[0]
    return greater(values(part, method), values(part, "student"), f"r, {method} - student")


def mean_gain(part: pd.DataFrame) -> Verdict:
    """Welch's test of dynamic students, each seed's mean over schemes, against static ones."""
    rows = part[part["method"].isin(DYNAMIC)]
    dynamic = rows.groupby("seed")["value"].mean()
    return greater(dynamic, values(part, "student"), "r, dynamic (mean of schemes) - student")


WHERE = 'Supplementary Fig. 6; Results, "DEGU improves generalization under covariate shifts"'
CLAIMS = (
    Claim(
        "Dynamic augmentation improves students on the test set (mean over schemes, each target).",
        WHERE,
        lambda table: in_every(correlations(table), PANEL, mean_gain),
    ),
    Claim(
        "It does so consistently (each scheme, each target).",
        WHERE,
        lambda table: in_every(beside_static(correlations(table)), [*PANEL, "dynamic"], gain),
    ),
)


def draw(table: pd.DataFrame) -> Figure:
    """A panel for each target."""
    return degu.plots.performance(table)


def conclude(table: pd.DataFrame) -> str:
    """Mean r of each method."""
    means = correlations(table).pivot_table(
        index="target", columns="method", values="value", sort=False
    )
    return "Pearson r, mean over seeds:\n" + means.round(3).to_string()


if __name__ == "__main__":
    raise SystemExit(main(globals()))
