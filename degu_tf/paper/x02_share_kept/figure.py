"""Accuracy of single models, ensemble and student by size and recipe, and the share kept."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from degu_tf.metrics.share_kept import MEAN
from degu_tf.plots.palette import COLOURS, LABELS
from degu_tf.plots.style import legend_below, legend_line, styled

METHODS = ("single", "ensemble", "student")


@styled
def share_kept_figure(table: pd.DataFrame) -> Figure:
    """A panel a recipe with mean r against size, and one with the share kept and its interval."""
    rows = table[table["target"] == MEAN]
    recipes = list(dict.fromkeys(rows["recipe"]))
    figure = Figure(figsize=(3.4 * (len(recipes) + 1), 3.3), layout="constrained")
    panels = figure.subplots(1, len(recipes) + 1)
    for axes, recipe in zip(panels, recipes, strict=False):
        own = rows[rows["recipe"] == recipe].groupby("n_train")
        for method in (*METHODS, "kmer_ridge"):
            mean = own[method].mean()
            style = "s--" if method == "kmer_ridge" else "o-"
            axes.plot(mean.index, mean, style, color=COLOURS[method], markersize=5)
        axes.set(title=f"recipe {recipe}", xscale="log", xlabel="Training sequences")
    limits = [axes.get_ylim() for axes in panels[:-1]]
    for axes in panels[:-1]:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    panels[0].set_ylabel("Pearson r, mean over targets")
    last = panels[-1]
    last.axhline(1.0, color=COLOURS["ensemble"], linewidth=1.2)
    last.axhline(0.0, color=COLOURS["single"], linewidth=1.2)
    for index, recipe in enumerate(recipes):
        own = rows[rows["recipe"] == recipe]
        x = own["n_train"] * 1.08 ** (index - (len(recipes) - 1) / 2)
        colour = f"C{index + 3}"
        last.vlines(x, own["low"], own["high"], colors=colour, linewidth=2.0)
        last.plot(x, own["share"], "o", markersize=5, color=colour, label=recipe)
    last.set(title="Share of the gain kept", xscale="log", xlabel="Training sequences")
    last.set_ylim(max(-1.0, last.get_ylim()[0]), min(2.0, last.get_ylim()[1]))
    last.legend(frameon=False)
    sizes = np.sort(rows["n_train"].unique())
    for axes in panels:
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(sizes[0] / 1.4, sizes[-1] * 1.4)
        axes.grid(color="0.92", linewidth=0.8)
    legend_below(
        figure, [legend_line(COLOURS[name], LABELS[name]) for name in (*METHODS, "kmer_ridge")]
    )
    return figure
