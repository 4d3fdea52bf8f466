"""Single models, students and the ensemble on the same data: what several figures compare."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from degu_tf.data.hdf5 import read_splits
from degu_tf.data.simulated import simulate
from degu_tf.data.splits import Splits
from degu_tf.errors import InputError
from degu_tf.experiment import Context, Verdict, at_most, greater, student_seed
from degu_tf.heads import HeadLayout
from degu_tf.metrics import score
from degu_tf.recipes import recipe
from degu_tf.runs import evaluate_ensemble
from degu_tf.training import ModelSpec, TrainingSettings

PANEL = ["dataset", "target"]


@dataclass(frozen=True)
class Setup:
    """An architecture, how it is trained, and sizes of train, validation and test (None: all)."""

    spec: ModelSpec
    training: TrainingSettings
    sizes: tuple[int, int, int] | None = None


def small_setup(
    name: str,
    options: dict,
    epochs: int,
    steps: int,
    sizes: tuple[int, int, int],
    learning_rate: float = 2e-3,
) -> Setup:
    """Little data and time: a higher rate, and the same number of steps at every share."""
    training = TrainingSettings(
        epochs=epochs, batch_size=32, steps_per_epoch=steps, learning_rate=learning_rate
    )
    return Setup(ModelSpec(name, options), training, sizes)


def published_setup(name: str) -> Setup:
    """Architecture and training of a recipe, on all data."""
    return Setup(recipe(name).spec, recipe(name).settings)


def data_sets(
    context: Context,
    several: Setup,
    one: Setup,
    lengths: tuple[int, int] = (249, 230),
    target: str = "Hk",
) -> Iterator[tuple[str, Splits, Setup]]:
    """Name, data and setup of each data set: the user's files, or two that are simulated.

    Data with several targets are taken as STARR-seq is in the paper, activity only; data with one
    target as lentiMPRA is, with an aleatoric column where replicates were measured.

    Parameters
    ----------
    context
        What the script was given.
    several, one
        Setup for data with several targets and with one.
    lengths
        Bases of the simulated sequences, STARR-seq's and lentiMPRA's.
    target
        Which of the simulated targets plays lentiMPRA.

    Raises
    ------
    InputError
        If files have the same name, or the paper preset has none.
    """
    if not context.data:
        if context.preset == "paper":
            raise InputError(
                "the paper preset needs the data: --data starrseq.h5 k562.h5 hepg2.h5, files that "
                "`degu prepare` made or that were released. Received: no --data"
            )
        splits = simulate(several.sizes, lengths[0], context.seed).splits
        yield "Simulated STARR-seq", splits.without_uncertainty(), several
        splits = simulate(one.sizes, lengths[1], context.seed + 1).splits
        yield "Simulated lentiMPRA", one_target(splits, target), one
        return
    names = [path.stem for path in context.data]
    if len(set(names)) < len(names):
        raise InputError(f"files must have different names: they name panels. Received: {names}")
    for path in context.data:
        splits = read_splits(path)
        setup = several if splits.heads.n_targets > 1 else one
        splits = at_most(splits, setup.sizes)
        yield path.stem, splits.without_uncertainty() if setup is several else splits, setup


def one_target(splits: Splits, target: str) -> Splits:
    """The data of one target, with its aleatoric column."""
    heads = HeadLayout((target,), aleatoric=splits.heads.aleatoric)
    columns = [splits.heads.column(name) for name in heads.columns]
    parts = {
        name: dataclasses.replace(split, targets=split.targets[:, columns])
        for name, split in splits.items()
    }
    return Splits(**parts, heads=heads)


def compare(splits: Splits, setup: Setup, context: Context) -> pd.DataFrame:
    """Train teachers and students and score each of them, and the ensemble, on the test set.

    `context.settings` has `n_members` and `n_students`. Every row has a `seed`: the number of the
    member or student, 0 for the ensemble.
    """
    settings, store, seed = context.settings, context.store, context.seed
    teachers = store.teachers(splits, setup.spec, settings.n_members, setup.training, seed)
    tables = [evaluate_ensemble(teachers, splits.test, splits.heads)]
    for index in range(settings.n_students):
        student = store.student(
            teachers, splits, settings=setup.training, seed=student_seed(seed, index)
        )
        prediction = student.predict(splits.test.sequences)
        labels = {"method": "student", "member": index}
        tables.append(score(prediction, splits.test.targets, splits.heads, **labels))
    table = pd.concat(tables, ignore_index=True).rename(columns={"member": "seed"})
    return table.fillna({"seed": 0})


# What claims are decided on.


def activity(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with Pearson r of activity."""
    return table[(table["metric"] == "pearson") & (table["head"] == "activity")]


def at(table: pd.DataFrame, fraction: float) -> pd.DataFrame:
    """Rows of activity at one share of the training data."""
    rows = activity(table)
    return rows[np.isclose(rows["fraction"], fraction)]


def several_targets(rows: pd.DataFrame) -> pd.Series:
    """Which rows are of a data set with several targets, as STARR-seq has."""
    return rows.groupby("dataset")["target"].transform("nunique") > 1


def values(rows: pd.DataFrame, method: str, fraction: float | None = None) -> np.ndarray:
    """Values of a method, one a seed, at one share of the data where one is named."""
    rows = rows[rows["method"] == method]
    if fraction is not None:
        rows = rows[np.isclose(rows["fraction"], fraction)]
    return rows["value"].to_numpy()


def by_seed(rows: pd.DataFrame, method: str) -> pd.Series:
    """Values of a method, a mean over all panels and shares for each seed."""
    means = rows.groupby(["method", "seed"])["value"].mean()
    return means.get(method, pd.Series(dtype=float))


def gains(rows: pd.DataFrame) -> np.ndarray:
    """What students gain over single models, mean over panels and shares, one value a seed."""
    student, single = by_seed(rows, "student"), by_seed(rows, "single")
    n = min(len(student), len(single))
    return student.to_numpy()[:n] - single.to_numpy()[:n]


def students_beat_singles(part: pd.DataFrame) -> Verdict:
    """Welch's test of students against single models."""
    return greater(values(part, "student"), values(part, "single"), "r, students - single models")


def students_match_ensemble(part: pd.DataFrame, margin: float) -> Verdict:
    """Test that students are at most a margin below the ensemble."""
    what = "r, students - ensemble"
    return greater(values(part, "student"), values(part, "ensemble"), what, threshold=-margin)
