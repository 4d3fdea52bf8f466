"""Supplementary Figure 1, drawn from the table of `degu_tf.paper.s01_profiles.study`."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from degu_tf.attribution.consistency import NONE, STD
from degu_tf.metrics.profiles import BY_BIN, COUNTS, WHOLE
from degu_tf.paper.s01_profiles.study import TRACK
from degu_tf.plots.boxes import box_handles, draw_boxes, kinds_of
from degu_tf.plots.style import legend_below, name_panel, styled
from degu_tf.plots.tracks import draw_tracks

METRICS = {WHOLE: "whole\nchromosome", BY_BIN: "mean of\nbins", COUNTS: "log counts\nof bins"}
HEADS = {"aleatoric": "aleatoric,\nto replicates' std", "epistemic": "epistemic,\nto teachers' std"}
PANEL, LOCUS = (4.3, 3.5), 4.4


@styled
def supplementary_one(table: pd.DataFrame) -> Figure:
    """Correlations (a), spread of attribution maps (b), uncertainty heads (c), and loci (d).

    Parameters
    ----------
    table
        From `profile_study.compare_profiles`, of one data set; its first target is drawn.
    """
    table = table[table["target"] == table["target"].iloc[0]]
    loci = table[table["metric"] == TRACK]
    heights = [PANEL[1], LOCUS]
    figure = Figure(figsize=(3 * PANEL[0], sum(heights)), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=heights)
    panels = above.subplots(1, 3, width_ratios=[1.25, 0.8, 1.0])
    scores = table[table["metric"].isin(METRICS)]
    kinds = kinds_of(scores)

    activity = scores[scores["head"] == "activity"]
    _draw(panels[0], activity, "metric", kinds, METRICS, "Pearson r, coverage")
    maps = table[(table["metric"] == STD) & (table["scaling"] == NONE)]
    names = {"activity": "activity"}
    _draw(panels[1], maps, "head", [kind for kind in kinds if kind in set(maps["method"])], names,
          "std of maps over initialisations")  # fmt: skip
    panels[1].set_xticks([])
    panels[1].set_xlabel(f"{maps['sequence'].nunique()} test bins, each a dot")
    heads = scores[(scores["metric"] == WHOLE) & scores["head"].isin(HEADS)]
    _draw(panels[2], heads, "head", kinds, HEADS, "Pearson r, whole chromosome")
    for axes, letter in zip(panels, "abc", strict=True):
        name_panel(axes, letter)
    legend_below(above, box_handles(kinds))

    draw_tracks(below, loci)
    below.axes[0].set_title("d", loc="left", fontweight="bold", fontsize=15)
    return figure


def _draw(
    axes: Axes, rows: pd.DataFrame, x: str, kinds: list[str], names: dict[str, str], label: str
) -> None:
    draw_boxes(axes, rows, x, "method", kinds, names)
    axes.set_ylabel(label)
