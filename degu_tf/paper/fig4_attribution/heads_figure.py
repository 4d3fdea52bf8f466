"""Maps of every head beside the true effects of motifs (`experiments/x01_*.py`)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from degu_tf.data.simulation.grammar import NAMES
from degu_tf.paper.fig4_attribution.claims import rows_of
from degu_tf.paper.fig4_attribution.figure import COLUMN, draw_logos
from degu_tf.paper.fig4_attribution.logo_table import LOGO, SITE
from degu_tf.paper.fig4_attribution.uncertainty_heads import SITE_SCORE
from degu_tf.plots.style import GREY, legend_below, legend_line, name_panel, stacked, styled

COLOURS = {"activity": "0.25", "aleatoric": "tab:purple", "epistemic": "tab:orange"}
WORDS = {
    "activity": "Activity",
    "aleatoric": "Aleatoric uncertainty",
    "epistemic": "Epistemic uncertainty",
}


@styled
def heads_and_motifs(table: pd.DataFrame) -> Figure:
    """Logos of one sequence for each head (a), and motifs' effect on it (b) where there are any."""
    keys = ["dataset", "target"]
    logo = table[table["metric"].isin([LOGO, SITE])]
    richest = logo[logo["metric"] == LOGO].groupby(keys, sort=False)["method"].nunique().idxmax()
    logo = logo[(logo[keys] == list(richest)).all(axis=1)]
    scores = rows_of(table, SITE_SCORE)
    n_heads = logo.loc[logo["metric"] == LOGO, "method"].nunique()
    heights = [1.35 * n_heads + 0.9]
    if len(scores):
        heights.append(3.0 * scores.groupby(keys).ngroups + 0.4)
    figure = Figure(figsize=(3.6 * COLUMN, sum(heights)), layout="constrained")
    parts = stacked(figure, heights)
    draw_logos(parts[0], logo, {head: f"{richest[0]}: {word}" for head, word in WORDS.items()})
    name_panel(parts[0].axes[0], "a")
    if len(scores):
        _draw_effects(parts[1], scores, keys, n_heads)
    return figure


def _draw_effects(
    figure: Figure | SubFigure, scores: pd.DataFrame, keys: list[str], n_heads: int
) -> None:
    """A row a data set and a column a head."""
    parts = list(scores.groupby(keys, sort=False))
    grid = figure.subplots(len(parts), n_heads, squeeze=False)
    for line, (key, part) in enumerate(parts):
        motifs = [motif for motif in NAMES if (part["motif"] == motif).any()]
        present = [head for head in WORDS if (part["head"] == head).any()]
        for axes, head in zip(grid[line], present, strict=False):
            _draw_head(axes, part[part["head"] == head], motifs, COLOURS[head])
            axes.set_title(f"{', '.join(key)}\n{WORDS[head]}", fontsize=10.5)
        for axes in grid[line][len(present) :]:
            axes.remove()
        grid[line, 0].set_ylabel("Score of a site")
    name_panel(grid[0, 0], "b")
    if (scores["method"] == "truth").any():
        handles = [
            Patch(facecolor="0.85", label="True effect of the site"),
            legend_line("0.25", "A student", linestyle="", marker="o", markersize=5),
        ]
        legend_below(figure, handles)


def _draw_head(axes: Axes, scores: pd.DataFrame, motifs: list[str], colour: str) -> None:
    """A dot a student, a bar the truth, for each motif."""
    for place, motif in enumerate(motifs):
        for method, group in scores[scores["motif"] == motif].groupby("method"):
            if method == "truth":
                axes.bar(place, group["value"], width=0.7, color="0.85", zorder=1)
            else:
                spots = place + np.linspace(-0.15, 0.15, len(group))
                axes.scatter(spots, group["value"], s=22, color=colour, zorder=3)
    axes.axhline(0.0, color=GREY, linewidth=1.0)
    axes.set_xticks(range(len(motifs)), motifs, rotation=45, ha="right")
