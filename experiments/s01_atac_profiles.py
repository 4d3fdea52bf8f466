"""Supplementary Figure 1: ATAC-seq profiles at base resolution, with an uncertainty for each base.

a, Pearson correlation of predicted and measured coverage: across whole test chromosomes (the
paper's measure), within bins, and of the bins' log counts. b, standard deviation of saliency maps
over initialisations, of the test bins with the largest coverage; a profile's prediction is
averaged over its length. c, correlation of the aleatoric heads with the standard deviation of
replicates, and of students' epistemic heads with their teachers' spread. d, the test bins with the
largest coverage: measured tracks, one student's prediction with its band, and the parts of its
uncertainty. Beside the paper's students, which learn labels of whole bins, are students whose
teachers label every random part as it is drawn. Without data a small genome is simulated, with
planted motifs and three replicate tracks.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from degu_tf.metrics.profiles import BY_BIN, COUNTS, WHOLE
from degu_tf.paper.s01_profiles import claims, study
from degu_tf.paper.s01_profiles.claims import NONE, STD
from degu_tf.paper.script import main
from degu_tf.plots.groups import box_handles, draw_boxes, kinds_of
from degu_tf.plots.profiles import draw_tracks
from degu_tf.plots.style import legend_below, name_panel, stacked, styled

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP

compute = study.compare_profiles

METRICS = {WHOLE: "whole\nchromosome", BY_BIN: "mean of\nbins", COUNTS: "log counts\nof bins"}
HEADS = {"aleatoric": "aleatoric,\nto replicates' std", "epistemic": "epistemic,\nto teachers' std"}
WIDTH, HEIGHTS = 12.9, (3.5, 4.4)


@styled
def draw(table: pd.DataFrame) -> Figure:
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

    draw_tracks(below, table[table["metric"] == study.TRACK])
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


CLAIMS = claims.CLAIMS
conclude = claims.conclude

if __name__ == "__main__":
    raise SystemExit(main(globals()))
