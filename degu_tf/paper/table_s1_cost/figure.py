"""Supplementary Table 1 as a figure: medians of what its script measured."""

import pandas as pd
from matplotlib.figure import Figure

from degu_tf.plots.palette import COLOURS
from degu_tf.plots.style import styled

METRICS = {
    "parameters": "Parameters",
    "flops": "FLOPs a sequence",
    "ms_per_sequence": "Time a sequence",
    "peak_mib": "Peak memory",
}
NAMES = {"deepstarr": "DeepSTARR", "residualbind": "ResidualBind"}


def medians(table: pd.DataFrame) -> pd.DataFrame:
    """Median of each metric for ensemble and student, and their ratio."""
    wide = table.pivot_table(
        index=["architecture", "metric"], columns="method", values="value", aggfunc="median",
        sort=False,
    )  # fmt: skip
    wide["student / ensemble"] = wide["student"] / wide["ensemble"]
    return wide.rename_axis(columns=None)


@styled
def cost_shares(table: pd.DataFrame) -> Figure:
    """The student's cost as a share of the ensemble's, a panel an architecture."""
    shares, n_members = medians(table)["student / ensemble"], table["n_members"].iloc[0]
    architectures = list(dict.fromkeys(table["architecture"]))
    figure = Figure(figsize=(4.4 * len(architectures) + 0.8, 2.9), layout="constrained")
    row = figure.subplots(1, len(architectures), sharey=True, squeeze=False)[0]
    for axes, name in zip(row, architectures, strict=True):
        values = shares[name].reindex(list(METRICS))
        axes.axvline(1.0, color=COLOURS["ensemble"])
        axes.axvline(1.0 / n_members, color="0.45", linestyle="--", linewidth=1.2)
        bars = axes.barh(list(METRICS.values()), values, color=COLOURS["student"])
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        axes.bar_label(bars, [f"{value:.0%}" for value in values], padding=5, bbox=behind)
        axes.set(title=NAMES.get(name, name), xlim=(0.0, 1.12))
        axes.xaxis.set_major_formatter("{x:.0%}")
    row[0].invert_yaxis()
    figure.supxlabel(
        f"Student's cost as a share of the ensemble's (green; dashed: one of {n_members} models)",
        fontsize=11,
    )
    return figure
