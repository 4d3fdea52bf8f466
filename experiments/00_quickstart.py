"""Quickstart: a small ensemble, its student, and their predictions for unseen sequences.

Simulates a reporter assay (or takes your own data), trains teachers, distils them, evaluates both
on the test set, predicts with 95 % intervals, and draws it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

import degu_tf as degu
from degu_tf.paper.claims import Claim, Verdict, greater
from degu_tf.paper.correlations import correlations
from degu_tf.paper.data_sets import read_measured
from degu_tf.paper.quickstart.figure import quickstart_figure
from degu_tf.paper.quickstart.measures import accuracy, distance, inside, spreads
from degu_tf.paper.script import Context, main


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
    splits, teachers, student = networks(context)
    predictors: dict[str, degu.Ensemble | degu.ModelPredictor] = {
        **{f"single {i}": member for i, member in enumerate(teachers.members)},
        "ensemble": teachers,
        "student": student,
    }
    return pd.concat(
        [
            _rows(method, predictor.predict(splits.test.sequences), splits)
            for method, predictor in predictors.items()
        ],
        ignore_index=True,
    )


def networks(context: Context) -> tuple[degu.Splits, degu.Ensemble, degu.ModelPredictor]:
    """The data, teachers of them, and a student."""
    settings = context.settings
    splits = _splits(context)
    spec = degu.ModelSpec(settings.model, {"width": settings.width})
    training = degu.TrainingSettings(epochs=settings.epochs)
    teachers = context.store.teachers(splits, spec, settings.n_members, training, context.seed)
    student = context.store.student(teachers, splits, settings=training, seed=context.seed)
    return splits, teachers, student


def _splits(context: Context) -> degu.Splits:
    if context.data:
        return read_measured(context.data[0])
    return degu.simulate(context.settings.sizes, seed=context.seed).splits


def _rows(method: str, prediction: degu.Prediction, splits: degu.Splits) -> pd.DataFrame:
    measured = splits.heads.take(splits.test.targets, "mean")
    known = prediction.total is not None
    lower, upper = prediction.interval() if known else (None, None)
    tables = []
    for index, target in enumerate(splits.heads.targets):
        columns = {
            name: np.nan if values is None else values[:, index]
            for name, values in (
                ("measured", measured),
                ("mean", prediction.mean),
                ("aleatoric", prediction.aleatoric),
                ("epistemic", prediction.epistemic),
                ("lower", lower),
                ("upper", upper),
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


def _values(table: pd.DataFrame, method: str) -> np.ndarray:
    """One value a model: the mean over targets."""
    chosen = table[table["method"] == method]
    return chosen.groupby("member")["value"].mean().to_numpy()


def student_beats_single_models(table: pd.DataFrame) -> Verdict:
    """Compare the student's Pearson r with its teachers', one by one."""
    scores = accuracy(table)
    return greater(
        _values(scores, "student"),
        _values(scores, "single"),
        "Pearson r, student - single models (mean over targets)",
    )


def student_is_nearer_the_ensemble(table: pd.DataFrame) -> Verdict:
    """Compare the distances to the ensemble's activity."""
    distances = distance(table)
    return greater(
        _values(distances, "single"),
        _values(distances, "student"),
        "RMSE to the ensemble, single models - student (mean over targets)",
    )


draw = quickstart_figure
CLAIMS = (
    Claim(
        "A distilled student predicts unseen sequences better than its teachers do singly",
        "Results, 'DEGU approximates the predictive performance of deep ensembles'; Fig. 2",
        student_beats_single_models,
    ),
    Claim(
        "A student approximates the ensemble's function more closely than a single model",
        "Results, 'DEGU improves generalization under covariate shifts'; Fig. 3b, c (no shift)",
        student_is_nearer_the_ensemble,
    ),
)


def conclude(table: pd.DataFrame) -> str:
    """Summary in words."""
    scores = accuracy(table).groupby(["target", "method"])["value"].mean()
    distances = distance(table).groupby(["target", "method"])["value"].mean()
    follows = correlations(spreads(table), ["target"], "epistemic", "of_ensemble")
    follows = follows.set_index("target")["value"]
    lines = ["", "On the test set:"]
    for target in table["target"].unique():
        r, d = scores[target], distances[target]
        rows = table[(table["target"] == target) & (table["method"] == "student")]
        lines += [
            f"  {target}: a single model reaches r = {r['single']:.3f} on average, the ensemble "
            f"{r['ensemble']:.3f}, the student {r['student']:.3f}.",
            f"    The student is {d['student']:.3f} away from the ensemble's predictions (RMSE), a "
            f"single model {d['single']:.3f}.",
            f"    Its epistemic uncertainty follows the ensemble's spread with r = "
            f"{follows[target]:.2f}; its 95 % intervals contain {inside(rows):.0%} of the "
            "measurements.",
        ]
    lines.append(
        "  Intervals are Gaussian and not calibrated; a share well below 95 % means overconfidence."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main(globals()))
