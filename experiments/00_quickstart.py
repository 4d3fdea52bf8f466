"""Quickstart: a small ensemble, its student, and what both say of sequences they have not seen.

Simulates a reporter assay (or takes your own data), trains teachers, distils them, evaluates both
on the test set, predicts with 95 % intervals, and draws it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from degu_tf import plots
from degu_tf.data.hdf5 import read_splits
from degu_tf.data.simulated import simulate
from degu_tf.data.splits import Splits
from degu_tf.experiment import Claim, Context, Script, Verdict, greater
from degu_tf.heads import Prediction
from degu_tf.metrics import correlation, rmse
from degu_tf.training import ModelSpec, TrainingSettings


@dataclass(frozen=True)
class Settings:
    """Sizes of the simulated data and how teachers and student are trained."""

    sizes: tuple[int, int, int]
    n_members: int
    width: float
    epochs: int
    model: str = "deepstarr"


PRESETS = {
    "smoke": Settings((300, 100, 100), n_members=2, width=0.1, epochs=2),
    "quick": Settings((4000, 500, 1000), n_members=4, width=0.25, epochs=20),
    "paper": Settings((40000, 4000, 4000), n_members=10, width=1.0, epochs=100),
}


def compute(context: Context) -> pd.DataFrame:
    """Predictions for the test set: one row a method, sequence and target."""
    settings = context.settings
    splits = _splits(context)
    spec = ModelSpec(settings.model, {"width": settings.width})
    training = TrainingSettings(epochs=settings.epochs)
    teachers = context.store.teachers(splits, spec, settings.n_members, training, context.seed)
    student = context.store.student(teachers, splits, settings=training, seed=context.seed)
    predictors = {f"single {i}": member for i, member in enumerate(teachers.members)}
    predictors |= {"ensemble": teachers, "student": student}
    return pd.concat(
        [
            _rows(method, predictor.predict(splits.test.sequences), splits)
            for method, predictor in predictors.items()
        ],
        ignore_index=True,
    )


def _splits(context: Context) -> Splits:
    if context.data:
        return read_splits(context.data[0])
    return simulate(context.settings.sizes, seed=context.seed).splits


def _rows(method: str, prediction: Prediction, splits: Splits) -> pd.DataFrame:
    measured = splits.heads.take(splits.test.targets, "mean")
    tables = []
    for index, target in enumerate(splits.heads.targets):
        columns = {
            name: np.nan if values is None else values[:, index]
            for name, values in (
                ("measured", measured),
                ("mean", prediction.mean),
                ("aleatoric", prediction.aleatoric),
                ("epistemic", prediction.epistemic),
                ("total", prediction.total),
            )
        }
        tables.append(
            pd.DataFrame(
                {
                    "method": method.split()[0],
                    "member": method.split()[-1],
                    "sequence": np.arange(len(prediction)),
                    "target": target,
                    **columns,
                }
            )
        )
    return pd.concat(tables)
