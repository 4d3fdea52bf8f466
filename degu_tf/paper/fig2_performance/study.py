"""Single models, students and the ensemble on the same data: what several figures compare."""

from collections.abc import Iterator

import pandas as pd

from degu_tf.data.splits import Splits
from degu_tf.distillation.baseline import Baseline
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.evaluation import evaluate_ensemble
from degu_tf.metrics.activity import score
from degu_tf.metrics.kmer_ridge import KmerRidge
from degu_tf.models.predictor import ModelPredictor
from degu_tf.paper.networks.setups import Setup
from degu_tf.paper.networks.trained_models import student_seed
from degu_tf.paper.script import Context


def trained(
    splits: Splits, setup: Setup, context: Context
) -> tuple[Ensemble, Iterator[ModelPredictor]]:
    """Teachers and their students, which are trained when they are taken."""
    settings, store, seed = context.settings, context.store, context.seed
    spec = setup.teacher_spec(splits)
    teachers = store.teachers(
        splits,
        spec,
        settings.n_members,
        setup.teacher_settings(splits),
        seed,
        unlearned=setup.unlearned,
    )
    seeds = [student_seed(seed, index) for index in range(settings.n_students)]
    return teachers, store.students(teachers, splits, seeds, **setup.student(splits, spec))


def compare(splits: Splits, setup: Setup, context: Context) -> pd.DataFrame:
    """Train teachers and students and score each of them, and the ensemble, on the test set.

    Beside them stands a ridge on k-mer counts of the same training sequences (`kmer_ridge`).
    `context.settings` has `n_members` and `n_students`. Every row has a `seed`: the number of the
    member or student, 0 for the ensemble.
    """
    teachers, students = trained(splits, setup, context)
    means = splits.heads.take(splits.train.targets, "mean")
    ridge = Baseline(KmerRidge().fit(splits.train.sequences, means), len(means), is_runs_data=True)
    tables = [
        evaluate_ensemble(teachers, splits.test, splits.heads),
        ridge.evaluate(splits.test, splits.heads),
    ]
    for index, student in enumerate(students):
        prediction = student.predict(splits.test.sequences)
        labels = {"method": "student", "member": index}
        tables.append(score(prediction, splits.test.targets, splits.heads, **labels))
    table = pd.concat(tables, ignore_index=True).rename(columns={"member": "seed"})
    return table.fillna({"seed": 0})


# What claims are decided on.
