"""Teachers and students of two recipes on training sets of several sizes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from degu_tf.data.splits import Splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.recipes import RECIPES
from degu_tf.heads import Prediction
from degu_tf.metrics.correlation import correlation
from degu_tf.metrics.kmer_ridge import KmerRidge
from degu_tf.metrics.share_kept import MEAN, share_kept
from degu_tf.models.predictor import ModelPredictor
from degu_tf.paper.networks.setups import in_steps_of
from degu_tf.paper.networks.store import Store
from degu_tf.paper.networks.trained_models import student_seed
from degu_tf.training.model_spec import ModelSpec


@dataclass(frozen=True)
class Settings:
    """What is trained.

    Attributes
    ----------
    spec
        Architecture of teachers and students.
    n_members, n_students
        Teachers of each ensemble, and students of each.
    sizes
        Training sequences; None for all.
    recipes
        Names of the recipes.
    steps
        Optimiser steps of teachers and of students in place of those of recipes that count in
        steps (the paper's does not); None for the recipe's.
    at_most
        Most training, validation and test sequences that are simulated or taken.
    length
        Bases of simulated sequences; None for STARR-seq's.
    """

    spec: ModelSpec
    n_members: int
    n_students: int
    sizes: tuple[int | None, ...]
    recipes: tuple[str, ...] = ("paper", "best")
    steps: int | None = None
    at_most: tuple[int, int, int] | None = None
    length: int | None = None


def shares(splits: Splits, settings: Settings, store: Store, seed: int) -> pd.DataFrame:
    """One row a size, recipe, student and target, and one for the mean over targets.

    Columns: `n_train`, `recipe`, `seed` (of the student), those of `share_kept`, `best_single`,
    `kmer_ridge` (r of the two), and of the epistemic head `epistemic` (r with the ensemble's
    spread), `spread` (mean predicted over mean true spread), and `fidelity` (r of the student's
    activity with the ensemble's).
    """
    tables = []
    for size in settings.sizes:
        part = splits if size is None else splits.subset(size)
        ridge = KmerRidge().fit(part.train.sequences, part.heads.take(part.train.targets, "mean"))
        measured = part.heads.take(part.test.targets, "mean")
        baseline = _r(ridge.predict(part.test.sequences), measured)
        for name in settings.recipes:
            teachers, students = trained(part, name, settings, store, seed)
            for index, student in enumerate(students):
                table = _judged(student, teachers, part, measured)
                labels = {"n_train": len(part.train), "recipe": name, "seed": index}
                tables.append(table.assign(kmer_ridge=[*baseline, baseline.mean()], **labels))
    return pd.concat(tables, ignore_index=True)


def networks(splits: Splits, settings: Settings, store: Store, seed: int) -> None:
    """Teachers and students of every size and recipe."""
    for size in settings.sizes:
        part = splits if size is None else splits.subset(size)
        for name in settings.recipes:
            _, students = trained(part, name, settings, store, seed)
            list(students)


def trained(
    splits: Splits, name: str, settings: Settings, store: Store, seed: int
) -> tuple[Ensemble, Iterator[ModelPredictor]]:
    """Teachers and students of a recipe; students are trained when they are taken."""
    recipe = in_steps_of(RECIPES[name], settings.steps)
    teachers = store.teachers(
        splits,
        settings.spec,
        settings.n_members,
        recipe.teacher_settings(splits),
        seed,
        unlearned=recipe.unlearned,
    )
    spec = recipe.student_spec(settings.spec)
    students = store.students(
        teachers,
        splits,
        [student_seed(seed, index) for index in range(settings.n_students)],
        spec,
        recipe.student_settings(splits, spec),
        distillation=recipe.student_labels(splits),
    )
    return teachers, students


def _judged(
    student: ModelPredictor, teachers: Ensemble, splits: Splits, measured: np.ndarray
) -> pd.DataFrame:
    sequences = splits.test.sequences
    predicted, ensemble = student.predict(sequences), teachers.predict(sequences)
    members = np.stack([member.predict(sequences).mean for member in teachers.members])
    table = share_kept(predicted.mean, members, measured, splits.heads.targets)
    best = np.max([_r(member, measured) for member in members], axis=0)
    columns = {
        "best_single": best,
        "fidelity": _r(predicted.mean, ensemble.mean),
        "epistemic": _r(_spread(predicted), _spread(ensemble)),
        "spread": _spread(predicted).mean(axis=0) / _spread(ensemble).mean(axis=0),
    }
    assert table["target"].iloc[-1] == MEAN
    return table.assign(**{name: [*each, each.mean()] for name, each in columns.items()})


def _spread(prediction: Prediction) -> np.ndarray:
    if prediction.epistemic is None:
        raise ValueError("ensembles and their students have an epistemic uncertainty")
    return prediction.epistemic


def _r(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([correlation(a[:, i], b[:, i]) for i in range(a.shape[1])])
