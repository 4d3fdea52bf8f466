"""Quickstart: a small ensemble, its students, and their predictions for unseen sequences.

Simulates a reporter assay (or takes your own data), trains teachers, distils them, evaluates all of
them on the test set, predicts with 95 % intervals before and after calibration on the validation
set, and draws it. Epistemic uncertainty is how much the teachers disagree about a sequence: more
data of its kind would lower it. Aleatoric uncertainty is how noisy its measurement is: more
replicates would lower it, more sequences would not. `quick` follows this package's recipe `best` in
fewer steps; `paper` the paper's training.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

import degu_tf as degu
from degu_tf.paper.claims import Claim, Verdict, greater
from degu_tf.paper.correlations import correlations
from degu_tf.paper.data_sets import check_one_file, read_measured
from degu_tf.paper.fig2_performance.study import trained
from degu_tf.paper.networks.setups import Setup, best_setup, small_setup
from degu_tf.paper.quickstart.figure import quickstart_figure
from degu_tf.paper.quickstart.measures import accuracy, distance, inside, percent, spreads
from degu_tf.paper.script import Context, main


@dataclass(frozen=True)
class Settings:
    """Sizes of the simulated data and how teachers and students are trained."""

    n_members: int
    n_students: int
    setup: Setup
    length: int = 249


PRESETS = {
    "smoke": Settings(
        n_members=2,
        n_students=1,
        setup=small_setup("deepstarr", {"width": 0.1}, 1, 3, (300, 100, 100)),
    ),
    "quick": Settings(
        n_members=4,
        n_students=3,
        # chosen on teachers alone: after 1,000 steps on these data three are level with the 5-mer
        # ridge (r 0.80 and 0.85), after 2,000 five of their six r are above it, and so is their
        # ensemble (0.81 and 0.86); with 1,500 the whole takes four minutes
        setup=best_setup("deepstarr", {"width": 0.25}, 1500, (4000, 500, 1000)),
        length=120,
    ),
    "paper": Settings(
        n_members=10,
        n_students=10,
        setup=Setup(degu.ModelSpec("deepstarr"), sizes=(40_000, 4000, 4000)),
    ),
}


def compute(context: Context) -> pd.DataFrame:
    """Predictions for the test set: one row a method, model, sequence and target."""
    splits = _splits(context)
    teachers, students = trained(splits, context.settings.setup, context)
    predictors: dict[str, degu.Ensemble | degu.ModelPredictor] = {
        **{f"single {i}": member for i, member in enumerate(teachers.members)},
        "ensemble": teachers,
        **{f"student {i}": student for i, student in enumerate(students)},
    }
    return pd.concat(
        [_rows(method, predictor, splits) for method, predictor in predictors.items()],
        ignore_index=True,
    )


def networks(context: Context) -> None:
    """Teachers and students."""
    _, students = trained(_splits(context), context.settings.setup, context)
    list(students)


def _splits(context: Context) -> degu.Splits:
    check_one_file(context)
    if context.data:
        return read_measured(context.data[0])
    setup = context.settings.setup
    return degu.simulate(setup.sizes, context.settings.length, seed=context.seed).splits


def _rows(
    method: str, predictor: degu.Ensemble | degu.ModelPredictor, splits: degu.Splits
) -> pd.DataFrame:
    prediction = predictor.predict(splits.test.sequences)
    measured = splits.heads.take(splits.test.targets, "mean")
    name, _, member = method.partition(" ")
    columns = {
        "measured": measured,
        "mean": prediction.mean,
        "aleatoric": prediction.aleatoric,
        "epistemic": prediction.epistemic,
        **(_intervals(predictor, prediction, splits) if name == "student" else {}),
    }
    tables = [
        pd.DataFrame(
            {"method": name, "member": member or name, "sequence": np.arange(len(prediction))}
            | {"target": target}
            | {
                column: np.nan if values is None else values[:, index]
                for column, values in columns.items()
            }
        )
        for index, target in enumerate(splits.heads.targets)
    ]
    return pd.concat(tables)


def _intervals(
    student: degu.ModelPredictor, prediction: degu.Prediction, splits: degu.Splits
) -> dict[str, np.ndarray]:
    """Gaussian 95 % intervals, and conformal ones calibrated on the validation set.

    Where too many uncertainties are no measure, or sequences too few, there are no conformal ones.
    """
    lower, upper = prediction.interval()
    validation = splits.validation
    conformal = degu.Conformal()
    try:
        conformal.fit(student.predict(validation.sequences), validation.targets, splits.heads)
        calibrated = conformal.predict(prediction)
    except degu.InputError as error:
        print(f"No calibrated intervals: {error}")
        calibrated = np.full_like(lower, np.nan), np.full_like(upper, np.nan)
    ends = (lower, upper, *calibrated)
    return dict(zip(("lower", "upper", "calibrated_lower", "calibrated_upper"), ends, strict=True))


def _values(table: pd.DataFrame, method: str) -> np.ndarray:
    """One value a model: the mean over targets."""
    chosen = table[table["method"] == method]
    return chosen.groupby("member")["value"].mean().to_numpy()


def student_beats_single_models(table: pd.DataFrame) -> Verdict:
    """Compare students' Pearson r with their teachers'."""
    scores = accuracy(table)
    return greater(
        _values(scores, "student"),
        _values(scores, "single"),
        "Pearson r, students - single models (mean over targets)",
    )


def student_is_nearer_the_ensemble(table: pd.DataFrame) -> Verdict:
    """Compare the distances to the ensemble's activity."""
    distances = distance(table)
    return greater(
        _values(distances, "single"),
        _values(distances, "student"),
        "RMSE to the ensemble, single models - students (mean over targets)",
    )


draw = quickstart_figure
CLAIMS = (
    Claim(
        "Distilled students predict unseen sequences better than their teachers do singly",
        "Results, 'DEGU approximates the predictive performance of deep ensembles'; Fig. 2",
        student_beats_single_models,
    ),
    Claim(
        "Students approximate the ensemble's function more closely than single models",
        "Results, 'DEGU improves generalization under covariate shifts'; Fig. 3b, c (no shift)",
        student_is_nearer_the_ensemble,
    ),
)


def conclude(table: pd.DataFrame) -> str:
    """Summary in words."""
    each = accuracy(table)
    scores = each.groupby(["target", "method"])["value"].mean()
    best = each[each["method"] == "single"].groupby("target")["value"].max()
    distances = distance(table).groupby(["target", "method"])["value"].mean()
    follows = correlations(spreads(table), ["target"], "epistemic", "of_ensemble")
    follows = follows.set_index("target")["value"]
    lines = ["", "On the test set:"]
    for target in table["target"].unique():
        r, d = scores[target], distances[target]
        rows = table[(table["target"] == target) & (table["method"] == "student")]
        lines += [
            f"  {target}: a single model reaches r = {r['single']:.3f} on average, the ensemble "
            f"{r['ensemble']:.3f}, the students {r['student']:.3f}.",
            f"    A student is {d['student']:.3f} away from the ensemble's predictions (RMSE), a "
            f"single model {d['single']:.3f}.",
            f"    Its epistemic uncertainty follows the ensemble's spread with r = "
            f"{follows[target]:.2f}; its 95 % intervals contain {inside(rows):.0%} of the "
            f"measurements, calibrated {percent(inside(rows, 'calibrated_'))}.",
        ]
        if scores[target]["student"] < best[target]:
            lines.append(
                f"    A student does not reach the best single model's {best[target]:.3f}: the "
                "gain of so small an ensemble is less than single models differ by."
            )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main(globals()))
