"""Supplementary Figure 2: DREAM-RNN students against single models and the ensemble.

Test performance (Pearson r) against the share of the training data, on STARR-seq (activity only)
and on lentiMPRA (with an aleatoric head where replicates were measured). Both forms of the network
are trained: that of the paper's text and that of the released weights, all by the paper's
procedure, so that the released form's own (AdamW, one cycle) plays no part.
"""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import degu_tf as degu
from degu_tf.paper.claims import (
    Claim,
    Verdict,
    greater,
    in_every,
)
from degu_tf.paper.data_sets import PANEL, data_sets
from degu_tf.paper.fig2_performance.claims import (
    activity,
    at,
    gains,
    several_targets,
    students_beat_singles,
    students_match_ensemble,
)
from degu_tf.paper.fig2_performance.study import compare, trained
from degu_tf.paper.networks.setups import Setup, published_setup, small_setup
from degu_tf.paper.recipes import FRACTIONS, recipe
from degu_tf.paper.script import Context, main

DATA_HELP = (
    "HDF5 files, one a data set (paper: STARR-seq, lentiMPRA K562 and HepG2), made by `degu "
    "prepare` or released; panels are named after them. Simulated data without"
)

MARGIN = 0.01
"""Pearson r that still counts as close: decided before any run, like every test here."""


@dataclass(frozen=True)
class Settings:
    """What is trained."""

    fractions: tuple[float, ...]
    n_members: int
    n_students: int
    several_targets: Setup
    one_target: Setup
    variants: tuple[str, ...] = ("paper", "released")


_DROPOUT = {"conv_dropout": 0.1, "final_dropout": 0.1}
_SMOKE = small_setup("dream_rnn", {"width": 0.02}, 1, 2, (80, 32, 64), length=40)
_QUICK = small_setup(
    "dream_rnn",
    {"width": 0.0625, **_DROPOUT},
    8,
    40,
    (3000, 300, 1000),
    learning_rate=5e-3,
    length=60,
)
PRESETS = {
    "smoke": Settings((1.0,), 2, 1, _SMOKE, _SMOKE),
    "quick": Settings((0.25, 1.0), 3, 3, _QUICK, _QUICK),
    "paper": Settings(
        FRACTIONS,
        recipe("dream_rnn_starrseq").n_members,
        recipe("dream_rnn_starrseq").n_students,
        published_setup("dream_rnn_starrseq"),
        published_setup("dream_rnn_k562"),
    ),
}


PARTS = "variants"


def parts_of(context: Context) -> Iterator[tuple[dict[str, Any], degu.Splits, Setup]]:
    """Data and setup of each share of each data set, a variant after the other, with labels."""
    settings = context.settings
    for name, splits, setup in data_sets(context, settings.several_targets, settings.one_target):
        for variant in settings.variants:
            spec = degu.ModelSpec(setup.spec.name, {**setup.spec.options, "variant": variant})
            for fraction in settings.fractions:
                labels = {"dataset": name, "variant": variant, "fraction": fraction}
                yield labels, splits.fraction(fraction), dataclasses.replace(setup, spec=spec)


def networks(context: Context) -> None:
    """Teachers and students of each variant."""
    for _, splits, setup in parts_of(context):
        _, students = trained(splits, setup, context)
        list(students)


def compute(context: Context) -> pd.DataFrame:
    """One row a data set, variant, method, share of the data, seed, target, head and metric."""
    tables = []
    for labels, splits, setup in parts_of(context):
        table = compare(splits, setup, context)
        tables.append(table.assign(**labels, n_train=len(splits.train)))
    return pd.concat(tables, ignore_index=True)


def students_gain(table: pd.DataFrame) -> Verdict:
    """Students of all STARR-seq data against single models, each promoter and variant."""
    rows = at(table, 1.0)
    return in_every(rows[several_targets(rows)], [*PANEL, "variant"], students_beat_singles)


def students_track(table: pd.DataFrame) -> Verdict:
    """Students of lentiMPRA data against their ensemble, each variant and share."""
    rows = activity(table)
    return in_every(
        rows[~several_targets(rows)],
        [*PANEL, "variant", "fraction"],
        lambda part: students_match_ensemble(part, MARGIN),
    )


def more_on_lentimpra(table: pd.DataFrame) -> Verdict:
    """Gains of students over single models, mean over the rest: lentiMPRA against STARR-seq."""
    rows = activity(table)
    several = several_targets(rows)
    return greater(gains(rows[~several]), gains(rows[several]), "gain in r, lentiMPRA - STARR-seq")


def grows_with_data(table: pd.DataFrame) -> Verdict:
    """Gains on STARR-seq, mean over promoters and variants: all data against the least."""
    rows = activity(table)
    rows = rows[several_targets(rows)]
    least, most = rows["fraction"].min(), rows["fraction"].max()
    fewer = gains(at(rows, least)) if least < most else np.array([])
    return greater(gains(at(rows, most)), fewer, f"gain in r, {most:.0%} - {least:.0%} of the data")


def claim(text: str, decide: Callable[[pd.DataFrame], Verdict]) -> Claim:
    """A claim about the figure."""
    where = (
        "Supplementary Fig. 2; Results, "
        '"DEGU approximates the predictive performance of deep ensembles"'
    )
    return Claim(text, where, decide)


CLAIMS = (
    claim(
        f"On lentiMPRA data, students track the ensemble: at most {MARGIN} lower in r (each cell "
        "line, variant and share of the data).",
        students_track,
    ),
    claim(
        "On STARR-seq, students of all training data predict better than single models (each "
        "promoter and variant).",
        students_gain,
    ),
    claim(
        "Students gain more over single models on lentiMPRA than on STARR-seq (mean over all).",
        more_on_lentimpra,
    ),
    claim(
        "On STARR-seq, they gain more with all training data than with the least (mean over "
        "promoters and variants).",
        grows_with_data,
    ),
)


def draw(table: pd.DataFrame) -> Figure:
    """A panel for each data set, variant and target."""
    named = table["dataset"] + "\n" + table["variant"] + " variant"
    return degu.plots.performance_against(table.assign(dataset=named), x="fraction")


def conclude(table: pd.DataFrame) -> str:
    """Mean r of each method."""
    means = activity(table).pivot_table(
        index=[*PANEL, "variant", "fraction"], columns="method", values="value", sort=False
    )
    columns = ["single", "student", "ensemble"]
    return "Pearson r, mean over seeds:\n" + means[columns].round(3).to_string()


if __name__ == "__main__":
    raise SystemExit(main(globals()))
