"""Supplementary Figure 3: the gain of ensemble and students from better teachers.

Pearson r on the test set of single models, their ensemble and its students, all trained with
EvoAug (exactly one augmentation a minibatch) or all without. A student's label stays that of the
unaugmented sequence, given by its own kind's ensemble. The models without EvoAug, and the ensemble
with it, are Figure 3's.
"""

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
from degu_tf.paper.correlations import correlations
from degu_tf.paper.fig3_covariate_shift import study
from degu_tf.paper.fig3_covariate_shift.study import (
    Study,
    scores,
    values,
)
from degu_tf.paper.script import Context, main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP

WITHOUT, WITH = "without_evoaug", "with_evoaug"
NAMES = {"single": "Single models", "student": "DEGU students", "ensemble": "Ensemble"}

PARTS = 10
"""Parts of the test set on which two ensembles are compared: there is only one of each kind."""


def networks(context: Context) -> None:
    """Both ensembles and the students of each."""
    fig3 = Study(context)
    fig3.students()
    fig3.evoaug_students()


def compute(context: Context) -> pd.DataFrame:
    """One row a training, method, seed, target, head and metric, and for ensembles each part."""
    fig3 = Study(context)
    test, heads = fig3.splits.test, fig3.splits.heads
    tables = []
    for training, ensemble, students in (
        (WITHOUT, fig3.teachers, fig3.students()),
        (WITH, fig3.oracle, fig3.evoaug_students()),
    ):
        tables += [
            scores(
                {"single": ensemble.members, "student": students, "ensemble": [ensemble]},
                test,
                heads,
            ).assign(training=training),
            scores_by_part(ensemble, test, heads).assign(training=training, method="ensemble"),
        ]
    return pd.concat(tables, ignore_index=True).assign(dataset=fig3.name)


def scores_by_part(
    ensemble: degu.Ensemble, split: degu.data.Split, heads: degu.HeadLayout
) -> pd.DataFrame:
    """Pearson r on every tenth sequence from the first, from the second, and so on."""
    predicted = heads.take(ensemble.predict(split.sequences).mean, "mean")
    measured = heads.take(split.targets, "mean")
    seeds = np.arange(len(split)) % PARTS
    rows = [
        pd.DataFrame({"seed": seeds, "target": target, "predicted": x, "measured": y})
        for target, x, y in zip(heads.targets, predicted.T, measured.T, strict=True)
    ]
    table = correlations(pd.concat(rows), ["seed", "target"])
    sizes = np.bincount(seeds, minlength=PARTS)
    labels = {"head": "activity", "metric": "pearson_of_part"}
    return table.assign(**labels, n=sizes[table["seed"]])


def claim(text: str, method: str) -> Claim:
    """A claim that EvoAug raises r of a method, for every target."""
    lone = method == "ensemble"
    metric = "pearson_of_part" if lone else "pearson"
    what = f"r, {method} with EvoAug - without" + (", on parts of the test set" if lone else "")

    def decide(part: pd.DataFrame) -> Verdict:
        better, plain = (values(part[part["training"] == kind], method) for kind in (WITH, WITHOUT))
        return greater(better, plain, what, paired=lone)

    def decide_all(table: pd.DataFrame) -> Verdict:
        rows = table[(table["metric"] == metric) & (table["method"] == method)]
        return in_every(rows, ["dataset", "target"], decide)

    where = 'Supplementary Fig. 3; Results, before "DEGU improves generalization"'
    return Claim(text, where, decide_all)


CLAIMS = (
    claim("EvoAug raises the performance of single models (each target).", "single"),
    claim("It raises that of the ensemble (each target).", "ensemble"),
    claim("It raises that of the students (each target).", "student"),
)


def draw(table: pd.DataFrame) -> Figure:
    """A panel for each target."""
    return degu.plots.boxes(table, x="method", by="training", metric="pearson", names=NAMES)


def conclude(table: pd.DataFrame) -> str:
    """Mean r of each method without and with EvoAug."""
    means = table[table["metric"] == "pearson"].pivot_table(
        index=["target", "method"], columns="training", values="value", sort=False
    )
    means["gain"] = means[WITH] - means[WITHOUT]
    return "Pearson r, mean over seeds:\n" + means.round(3).to_string()


if __name__ == "__main__":
    raise SystemExit(main(globals()))
