"""Supplementary Figure 15: the uncertainty of variants against their predicted effect.

Aleatoric and epistemic uncertainty that a student predicts for the alternative allele, a dot a
variant, a column an experiment, with the median of bins that hold equally many variants. Students
are those of Figure 6.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from degu_tf.paper.fig6_variants import claims, compare, study
from degu_tf.paper.script import Context, main
from degu_tf.plots.style import (
    GREY,
    LOG2,
    corner_text,
    legend_below,
    legend_line,
    styled,
    with_unit,
)

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP

COLOURS = {"aleatoric": "tab:purple", "epistemic": "tab:orange"}
COLUMN, ROW = 3.3, 3.1
BINS = 12


def compute(context: Context) -> pd.DataFrame:
    """Effects and uncertainties by students."""
    return study.study(context, (compare.REPRESENTATIVE,))


@styled
def draw(table: pd.DataFrame) -> Figure:
    """A column for each experiment and a row for each uncertainty; a dot is a variant."""
    rows = table[table["what"] == compare.VARIANT]
    names = list(dict.fromkeys(rows["experiment"]))
    parts = [name for name in COLOURS if (rows["metric"] == name).any()]
    size = (max(COLUMN * len(names), 5.0), ROW * len(parts) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(parts), len(names), squeeze=False, sharex="col")
    for place, name in enumerate(names):
        variants = compare.wide_variants(table, name)
        for axes, part in zip(grid[:, place], parts, strict=True):
            _draw_dots(axes, variants["effect"], variants[part], COLOURS[part])
            if place == 0:
                axes.set_ylabel(with_unit(f"{part.capitalize()} uncertainty", LOG2))
            _write_rho(axes, variants["effect"], variants[part])
        grid[0, place].set_title(name)
        grid[-1, place].set_xlabel(with_unit("Predicted effect", LOG2))
    legend_below(figure, [legend_line("0.15", "Median of equally filled bins", marker="o")])
    return figure


def _draw_dots(axes: Axes, x: pd.Series, y: pd.Series, colour: str) -> None:
    """A dot for each variant, and medians of equally filled bins of the effect."""
    axes.scatter(x, y, s=7, color=colour, alpha=0.35, linewidths=0, rasterized=True)
    parts = np.array_split(np.argsort(x.to_numpy(), kind="stable"), min(BINS, len(x)))
    middles, medians = ([np.median(each.to_numpy()[part]) for part in parts] for each in (x, y))
    axes.plot(middles, medians, color="0.15", linewidth=1.8, marker="o", markersize=3.5)
    axes.axvline(0.0, color=GREY, linewidth=1.0, linestyle="--", zorder=0)


def _write_rho(axes: Axes, effect: pd.Series, std: pd.Series) -> None:
    rho = effect.abs().corr(std, method="spearman")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.18 * (high - low))
    corner_text(axes, f"ρ with |effect| = {rho:.2f}")


CLAIMS = claims.UNCERTAINTY_CLAIMS
conclude = claims.conclude_uncertainty

if __name__ == "__main__":
    raise SystemExit(main(globals()))
