"""Supplementary Figure 4: how many teachers an ensemble needs, and how many its students need.

One growing ensemble gives ensembles of every size; students are distilled from its first members.
An ensemble's spread comes from disjoint groups of its 30 members, so its values are independent:
there are six ensembles of 5, three of 10 and one of 20. (The paper trained 25; five more make the
third ensemble of 10.)
"""

from collections.abc import Callable
from dataclasses import dataclass

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
from degu_tf.paper.data_sets import activity_data
from degu_tf.paper.networks.setups import SEVERAL_TARGETS
from degu_tf.paper.networks.trained_models import student_seed
from degu_tf.paper.recipes import ENSEMBLE_SIZES, recipe
from degu_tf.paper.s04_ensemble_size.study import ensembles
from degu_tf.paper.script import Context, main

DATA_HELP = (
    "HDF5 file (paper: STARR-seq) made by `degu prepare` or released. Simulated data without"
)

MARGIN = 0.005
"""Pearson r below which a further gain counts as a plateau: decided before any run."""

ENSEMBLE_PLATEAU, STUDENT_PLATEAU = 10, 5


@dataclass(frozen=True)
class Settings:
    """Members trained, sizes, students of each, how to train, and most sequences (None: all)."""

    n_members: int
    sizes: tuple[int, ...]
    n_students: int
    spec: degu.ModelSpec
    training: degu.TrainingSettings
    at_most: tuple[int, int, int] | None = None
    length: int | None = None


_QUICK = SEVERAL_TARGETS["quick"]
PRESETS = {
    "smoke": Settings(
        n_members=4,
        sizes=(2, 4),
        n_students=2,
        spec=degu.ModelSpec("deepstarr", {"width": 0.05}),
        training=degu.TrainingSettings(epochs=1, batch_size=32),
        at_most=(64, 32, 64),
    ),
    "quick": Settings(
        n_members=30,
        sizes=(2, 5, 10, 20),
        n_students=5,
        spec=_QUICK.spec,
        training=_QUICK.training,
        at_most=_QUICK.sizes,
        length=_QUICK.length,
    ),
    "paper": Settings(
        n_members=30,
        sizes=ENSEMBLE_SIZES,
        n_students=recipe("starrseq").n_students,
        spec=recipe("starrseq").spec,
        training=recipe("starrseq").settings,
    ),
}


PARTS = "sizes"


def networks(context: Context) -> None:
    """All teachers, and the students of the first so many of them."""
    settings = context.settings
    _, splits = activity_data(context, settings.at_most, settings.length)
    members = members_of(context, splits)
    for size in settings.sizes:
        for index in range(settings.n_students):
            student_of(context, splits, members, size, index)


def members_of(context: Context, splits: degu.Splits) -> degu.Ensemble:
    """All teachers."""
    settings = context.settings
    return context.store.teachers(
        splits, settings.spec, settings.n_members, settings.training, context.seed
    )


def student_of(
    context: Context, splits: degu.Splits, members: degu.Ensemble, size: int, index: int
) -> degu.ModelPredictor:
    """A student of the first `size` teachers."""
    return context.store.student(
        members.subset(size),
        splits,
        settings=context.settings.training,
        seed=student_seed(context.seed, index),
    )


def compute(context: Context) -> pd.DataFrame:
    """One row a method, ensemble size, seed, target and metric."""
    settings = context.settings
    name, splits = activity_data(context, settings.at_most, settings.length)
    if max(settings.sizes) > settings.n_members:
        raise degu.InputError(
            f"the sizes are {settings.sizes}. Received: --members {settings.n_members}, too few"
        )
    members = members_of(context, splits)
    tables = ensembles(members, splits, settings.sizes)
    for size in settings.sizes:
        for index in range(settings.n_students):
            student = student_of(context, splits, members, size, index)
            labels = {"method": "student", "n_members": size, "seed": index}
            prediction = student.predict(splits.test.sequences)
            tables.append(
                degu.metrics.score(prediction, splits.test.targets, splits.heads, **labels)
            )
    return pd.concat(tables, ignore_index=True).assign(dataset=name)


def values(rows: pd.DataFrame, method: str, size: int) -> np.ndarray:
    """Pearson r of one method at one size, a value a seed or group of members."""
    chosen = (rows["method"] == method) & (rows["n_members"] == size)
    return rows[chosen & (rows["metric"] == "pearson")]["value"].to_numpy()


def grows(part: pd.DataFrame) -> Verdict:
    """Welch's test of ensembles of ten against pairs."""
    what = f"r, ensembles of {ENSEMBLE_PLATEAU} - of 2"
    return greater(values(part, "ensemble", ENSEMBLE_PLATEAU), values(part, "ensemble", 2), what)


def levels_off(method: str, plateau: int) -> Callable[[pd.DataFrame], Verdict]:
    """A test that the largest size is no more than the margin above the plateau."""

    def decide(part: pd.DataFrame) -> Verdict:
        largest = part["n_members"].max()
        what = f"r, {method} at {plateau} - at {largest} teachers"
        beyond = values(part, method, largest) if largest > plateau else np.array([])
        return greater(values(part, method, plateau), beyond, what, threshold=-MARGIN)

    return decide


def gap_widens(part: pd.DataFrame) -> Verdict:
    """Welch's test of how far students stay behind their own teachers, largest against five."""
    largest = part["n_members"].max()

    def gap(size: int) -> np.ndarray:
        teachers = values(part, "ensemble", size)[:1]
        return teachers - values(part, "student", size) if len(teachers) else np.array([])

    beyond = gap(largest) if largest > STUDENT_PLATEAU else np.array([])
    what = f"r, gap of students to teachers at {largest} - at {STUDENT_PLATEAU}"
    return greater(beyond, gap(STUDENT_PLATEAU), what)


def claim(text: str, decide: Callable[[pd.DataFrame], Verdict]) -> Claim:
    """A claim about every target."""
    where = 'Supplementary Fig. 4; Results, before "DEGU improves generalization"'
    return Claim(text, where, lambda table: in_every(table, ["dataset", "target"], decide))


CLAIMS = (
    claim("An ensemble of ten predicts better than one of two (each target).", grows),
    claim(
        f"The ensemble levels off around ten: the largest is at most {MARGIN} higher in r "
        "(each target).",
        levels_off("ensemble", ENSEMBLE_PLATEAU),
    ),
    claim(
        "Students level off around five teachers: those of the largest ensemble are at most "
        f"{MARGIN} higher in r (each target).",
        levels_off("student", STUDENT_PLATEAU),
    ),
    claim(
        "Beyond five teachers the gap between ensemble and students widens (each target).",
        gap_widens,
    ),
)


def draw(table: pd.DataFrame) -> Figure:
    """A panel for each target; single models stand at one."""
    return degu.plots.performance_against(table, x="n_members")


def conclude(table: pd.DataFrame) -> str:
    """Mean r of each method by size."""
    rows = table[table["metric"] == "pearson"]
    means = rows.pivot_table(index=["target", "n_members"], columns="method", values="value")
    return "Pearson r, mean over seeds or groups:\n" + means.round(3).to_string()


if __name__ == "__main__":
    raise SystemExit(main(globals()))
