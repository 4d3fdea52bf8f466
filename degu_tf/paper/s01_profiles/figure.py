"""Supplementary Figure 1, drawn from the table of `degu_tf.paper.s01_profiles.study`."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from degu_tf.metrics.profiles import BY_BIN, COUNTS, WHOLE
from degu_tf.paper.s01_profiles.claims import NONE, STD
from degu_tf.paper.s01_profiles.study import TRACK
from degu_tf.plots.groups import box_handles, draw_boxes, kinds_of
from degu_tf.plots.profiles import draw_tracks
from degu_tf.plots.style import legend_below, name_panel, stacked, styled

METRICS = {WHOLE: "whole\nchromosome", BY_BIN: "mean of\nbins", COUNTS: "log counts\nof bins"}
HEADS = {"aleatoric": "aleatoric,\nto replicates' std", "epistemic": "epistemic,\nto teachers' std"}
WIDTH, HEIGHTS = 12.9, (3.5, 4.4)


@styled
def profiles_figure(table: pd.DataFrame) -> Figure:
    """Correlations (a), spread of maps (b) and uncertainty heads (c) above, loci (d) below."""
    table = table[table["target"] == table["target"].iloc[0]]
    figure = Figure(figsize=(WIDTH, sum(HEIGHTS)), layout="constrained")
    above, below = stacked(figure, HEIGHTS)
    panels = above.subplots(1, 3, width_ratios=[1.25, 0.8, 1.0])
    scores = table[table["metric"].isin(METRICS)]
    kinds = kinds_of(scores)

    activity = scores[scores["head"] == "activity"]
    _boxes(panels[0], activity, "metric", kinds, METRICS, "Pearson r, coverage")
    _spread(panels[1], table[(table["metric"] == STD) & (table["scaling"] == NONE)], kinds)
    heads = scores[(scores["metric"] == WHOLE) & scores["head"].isin(HEADS)]
    _boxes(panels[2], heads, "head", kinds, HEADS, "Pearson r, whole chromosome")
    for axes, letter in zip(panels, "abc", strict=True):
        name_panel(axes, letter)
    legend_below(above, box_handles(kinds))

    draw_tracks(below, table[table["metric"] == TRACK])
    name_panel(below.axes[0], "d")
    return figure


def _spread(axes: Axes, maps: pd.DataFrame, kinds: list[str]) -> None:
    kinds = [kind for kind in kinds if kind in set(maps["method"])]
    _boxes(axes, maps, "head", kinds, {}, "std of maps over initialisations")
    axes.set_xticks([])
    axes.set_xlabel(f"{maps['sequence'].nunique()} test bins, each a dot")


def _boxes(
    axes: Axes, rows: pd.DataFrame, x: str, kinds: list[str], names: dict[str, str], label: str
) -> None:
    draw_boxes(axes, rows, x, "method", kinds, names)
    axes.set_ylabel(label)
