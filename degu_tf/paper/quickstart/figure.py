"""The quickstart's figure."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from degu_tf.metrics.correlation import correlation
from degu_tf.paper.quickstart.measures import accuracy, inside, percent, spreads
from degu_tf.plots.palette import COLOURS


def quickstart_figure(table: pd.DataFrame) -> Figure:
    """One row a target: performance, a student's predictions, its uncertainty, its intervals."""
    targets = table["target"].unique()
    figure = Figure(figsize=(13.5, 3.4 * len(targets)), layout="constrained")
    scores = accuracy(table)
    for row, target in zip(figure.subplots(len(targets), 4, squeeze=False), targets, strict=True):
        part = table[table["target"] == target]
        students = part[part["method"] == "student"]
        student = students[students["member"] == students["member"].iloc[0]].sort_values("mean")
        _draw_scores(row[0], scores[scores["target"] == target])
        _draw_points(
            row[1], student["measured"], student["mean"], "measured", "predicted by a student"
        )
        spread = spreads(part[part["method"].eq("ensemble") | part.index.isin(student.index)])
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
    axes.set_xticks(range(3), ["standard\ntraining", "DEGU\nstudents", "ensemble"])
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
    for kind, words, alpha in (("calibrated_", "calibrated", 0.15), ("", "as predicted", 0.35)):
        axes.fill_between(
            order,
            some[f"{kind}lower"],
            some[f"{kind}upper"],
            color=COLOURS["student"],
            alpha=alpha,
            linewidth=0,
            label=f"{words}: {percent(inside(student, kind))} inside",
        )
    axes.plot(order, some["mean"], color=COLOURS["student"])
    axes.scatter(order, some["measured"], s=8, color="0.25", linewidths=0)
    axes.set(xlabel="test sequences, by prediction", ylabel="activity, 95 % interval")
    axes.legend(loc="upper left", frameon=False)
