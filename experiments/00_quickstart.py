"""Quickstart: a small ensemble, its student, and their predictions for unseen sequences.

Simulates a reporter assay (or takes your own data), trains teachers, distils them, evaluates both
on the test set, predicts with 95 % intervals, and draws it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import degu_tf as degu
from degu_tf.metrics.activity import rmse
from degu_tf.metrics.correlation import correlation
from degu_tf.paper.claims import Claim, Verdict, greater
from degu_tf.paper.data_sets import read_measured
from degu_tf.paper.script import Context, main
from degu_tf.plots.palette import COLOURS


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
    spec = degu.ModelSpec(settings.model, {"width": settings.width})
    training = degu.TrainingSettings(epochs=settings.epochs)
    teachers = context.store.teachers(splits, spec, settings.n_members, training, context.seed)
    student = context.store.student(teachers, splits, settings=training, seed=context.seed)
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


def _pearson(table: pd.DataFrame) -> pd.DataFrame:
    """Pearson's r of activity with the measurement, one row a model and target."""
    groups = table.groupby(["method", "member", "target"], sort=False)
    values = groups.apply(lambda rows: correlation(rows["mean"], rows["measured"]))
    return values.rename("value").reset_index()


def _beside_ensemble(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Rows of single models and student with the ensemble's value of `column` for the sequence."""
    ensemble = table[table["method"] == "ensemble"].set_index(["sequence", "target"])[column]
    others = table[table["method"] != "ensemble"]
    return others.join(ensemble.rename("of_ensemble"), on=["sequence", "target"])


def _distance(table: pd.DataFrame) -> pd.DataFrame:
    """RMSE of each model's activity to the ensemble's, one row a model and target."""
    groups = _beside_ensemble(table, "mean").groupby(["method", "member", "target"], sort=False)
    values = groups.apply(
        lambda rows: float(rmse(rows[["mean"]].to_numpy(), rows[["of_ensemble"]].to_numpy())[0])
    )
    return values.rename("value").reset_index()


def draw(table: pd.DataFrame) -> Figure:
    """One row a target: performance, the student's predictions, its uncertainty, its intervals."""
    targets = table["target"].unique()
    figure = Figure(figsize=(13.5, 3.4 * len(targets)), layout="constrained")
    scores = _pearson(table)
    for row, target in zip(figure.subplots(len(targets), 4, squeeze=False), targets, strict=True):
        part = table[table["target"] == target]
        student = part[part["method"] == "student"].sort_values("mean")
        _draw_scores(row[0], scores[scores["target"] == target])
        _draw_points(
            row[1], student["measured"], student["mean"], "measured", "predicted by the student"
        )
        spread = _beside_ensemble(part, "epistemic")
        spread = spread[spread["method"] == "student"]
        _draw_points(
            row[2],
            spread["of_ensemble"],
            spread["epistemic"],
            "std over the ensemble",
            "student's epistemic std",
        )
        _draw_intervals(row[3], student)
        row[0].set_title(target, loc="left", fontweight="bold")
    return figure


def _draw_scores(axes: Axes, scores: pd.DataFrame) -> None:
    for place, method in enumerate(("single", "student", "ensemble")):
        values = scores.loc[scores["method"] == method, "value"]
        axes.scatter([place] * len(values), values, s=45, color=COLOURS[method], alpha=0.8)
    axes.set_xticks(range(3), ["standard\ntraining", "DEGU\nstudent", "ensemble"])
    axes.set(ylabel="Pearson r, test set", xlim=(-0.5, 2.5))
    axes.margins(y=0.2)


def _draw_points(axes: Axes, x: pd.Series, y: pd.Series, xlabel: str, ylabel: str) -> None:
    axes.scatter(x, y, s=8, color=COLOURS["student"], alpha=0.4, linewidths=0)
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    axes.plot([low, high], [low, high], color="0.5", linewidth=1, linestyle="--")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.text(0.05, 0.92, f"r = {correlation(x, y):.2f}", transform=axes.transAxes)


def _draw_intervals(axes: Axes, student: pd.DataFrame, shown: int = 120) -> None:
    some = student.iloc[np.linspace(0, len(student) - 1, min(shown, len(student))).astype(int)]
    order = np.arange(len(some))
    axes.fill_between(
        order,
        some["lower"],
        some["upper"],
        color=COLOURS["student"],
        alpha=0.25,
        linewidth=0,
    )
    axes.plot(order, some["mean"], color=COLOURS["student"])
    axes.scatter(order, some["measured"], s=8, color="0.25", linewidths=0)
    axes.set(xlabel="test sequences, by prediction", ylabel="activity, 95 % interval")
    axes.text(0.05, 0.92, f"{_inside(student):.0%} inside", transform=axes.transAxes)


def _inside(rows: pd.DataFrame) -> float:
    return float(rows["measured"].between(rows["lower"], rows["upper"]).mean())


def _values(table: pd.DataFrame, method: str) -> np.ndarray:
    """One value a model: the mean over targets."""
    chosen = table[table["method"] == method]
    return chosen.groupby("member")["value"].mean().to_numpy()


def student_beats_single_models(table: pd.DataFrame) -> Verdict:
    """Compare the student's Pearson r with its teachers', one by one."""
    scores = _pearson(table)
    return greater(
        _values(scores, "student"),
        _values(scores, "single"),
        "Pearson r, student - single models (mean over targets)",
    )


def student_is_nearer_the_ensemble(table: pd.DataFrame) -> Verdict:
    """Compare the distances to the ensemble's activity."""
    distances = _distance(table)
    return greater(
        _values(distances, "single"),
        _values(distances, "student"),
        "RMSE to the ensemble, single models - student (mean over targets)",
    )


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
    scores = _pearson(table).groupby(["target", "method"])["value"].mean()
    distances = _distance(table).groupby(["target", "method"])["value"].mean()
    lines = ["", "On the test set:"]
    for target in table["target"].unique():
        r, d = scores[target], distances[target]
        rows = table[(table["target"] == target) & (table["method"] == "student")]
        spread = _beside_ensemble(table[table["target"] == target], "epistemic")
        spread = spread[spread["method"] == "student"]
        lines += [
            f"  {target}: a single model reaches r = {r['single']:.3f} on average, the ensemble "
            f"{r['ensemble']:.3f}, the student {r['student']:.3f}.",
            f"    The student is {d['student']:.3f} away from the ensemble's predictions (RMSE), a "
            f"single model {d['single']:.3f}.",
            f"    Its epistemic uncertainty follows the ensemble's spread with r = "
            f"{correlation(spread['epistemic'], spread['of_ensemble']):.2f}; its 95 % intervals "
            f"contain {_inside(rows):.0%} of the measurements.",
        ]
    lines.append(
        "  Intervals are Gaussian and not calibrated; a share well below 95 % means overconfidence."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main(globals()))
