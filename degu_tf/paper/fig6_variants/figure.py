"""Figure 6 and its supplements, drawn from the table of `degu_tf.paper.fig6_variants.study`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from degu_tf.metrics.correlation import KINDS
from degu_tf.metrics.effects import ALL, PERCENTILES
from degu_tf.paper.absent import empty_panel
from degu_tf.paper.data_sets import unit_of
from degu_tf.paper.fig6_variants.claims import BEST, performance
from degu_tf.paper.fig6_variants.compare import PANEL, VARIANT, wide_variants
from degu_tf.paper.fig6_variants.experiments import MEASURED
from degu_tf.plots.groups import box_handles, box_places, draw_boxes, kinds_of
from degu_tf.plots.palette import LABELS, colour_of
from degu_tf.plots.style import (
    GREY,
    corner_text,
    densest_window,
    finite_rows,
    legend_below,
    legend_line,
    metric_label,
    name_panel,
    stacked,
    styled,
    with_unit,
)
from degu_tf.plots.variant_maps import (
    BASES,
    STRIP,
    WIDTH,
    Layer,
    draw_heat_maps,
)

PREFERRED = "PKLR-48h"
"""The experiment of Fig. 6; without it, the first one is drawn."""

LAYERS = (
    Layer(MEASURED, "Measured\neffect", "RdBu_r", signed=True),
    Layer("effect", "Predicted\neffect", "RdBu_r", signed=True),
    Layer("aleatoric", "Aleatoric\nuncertainty", "Purples"),
    Layer("epistemic", "Epistemic\nuncertainty", "Oranges"),
)
NAMES = {
    "single": "standard",
    "student": "DEGU",
    "dynamic_evoaug": "+ EvoAug",
    "dynamic_mutagenesis": "+ mutagenesis",
    "dynamic_shuffle": "+ shuffle",
}
"""Tick labels of the methods; a plus marks DEGU with a dynamic augmentation."""

STRATA = {**{p: f"< {p}th" for p in PERCENTILES}, ALL: "all"}
PERCENTILE_AXIS = "Percentile of total uncertainty"
COMPONENTS = {"aleatoric": "tab:purple", "epistemic": "tab:orange"}
COLUMN, ROW = 3.3, 3.1
BINS = 12
"""Of variants by effect, in each of which the median uncertainty is drawn."""


@styled
def figure_six(table: pd.DataFrame) -> Figure:
    """Performance by method (a), heat maps (b) and confident variants (c) of one experiment.

    Parameters
    ----------
    table
        From `degu_tf.paper.fig6_variants.study.study`.
    """
    experiment = main_experiment(table)
    own = table[table["experiment"] == experiment]
    variants, layers = _maps_of(own)
    maps = len(layers) * STRIP + 0.9
    figure = Figure(figsize=(WIDTH, ROW + maps + 0.7), layout="constrained")
    above, below = stacked(figure, [ROW + 0.7, maps])
    left, right = above.subfigures(1, 2, squeeze=False, width_ratios=[1.15, 1.0])[0]
    left.suptitle("All variants: correlation with measured effects", fontsize=11.5)
    right.suptitle("Confident variants: correlation with measured effects", fontsize=11.5)
    _draw_methods(left.subplots(1, 2, squeeze=False), own, letter="a")
    legend_below(left, [*box_handles(_boxed(own)), _ensemble_line()])
    _draw_strata(right.subplots(1, 2, squeeze=False), own, letter="c")
    legend_below(right, [*box_handles([BEST]), _ensemble_line("Ensemble, all variants")])
    axes = draw_heat_maps(below, variants, layers, unit=unit_of(own))
    name_panel(axes[0], "b")
    figure.suptitle(f"Single-nucleotide variants of {experiment}", fontsize=13)
    return figure


@styled
def effect_maps(table: pd.DataFrame) -> Figure:
    """Heat maps of one experiment alone, on the bases with the largest effects.

    Parameters
    ----------
    table
        Rows of one experiment, from `degu_tf.paper.fig6_variants.study.study`.
    """
    variants, layers = _maps_of(table)
    figure = Figure(figsize=(WIDTH, len(layers) * STRIP + 0.9), layout="constrained")
    draw_heat_maps(figure, variants, layers, unit=unit_of(table))
    return figure


@styled
def methods(table: pd.DataFrame) -> Figure:
    """Performance by method in every experiment (Supplementary Fig. 14)."""
    figure, grid, keys = _grid(table)
    _draw_methods(grid, table, keys)
    legend_below(figure, [*box_handles(_boxed(table)), _ensemble_line()])
    return figure


@styled
def strata(table: pd.DataFrame) -> Figure:
    """Performance on confident variants in every experiment (Supplementary Fig. 16)."""
    figure, grid, keys = _grid(table)
    _draw_strata(grid, table, keys=keys)
    legend_below(figure, [*box_handles([BEST]), _ensemble_line("Ensemble, all variants")])
    return figure


@styled
def uncertainty_against_effect(table: pd.DataFrame) -> Figure:
    """A column for each experiment and a row for each uncertainty; a dot is a variant."""
    rows = table[table["what"] == VARIANT]
    names = list(dict.fromkeys(rows["experiment"]))
    parts = [name for name in COMPONENTS if (rows["metric"] == name).any()]
    size = (max(COLUMN * len(names), 5.0), ROW * len(parts) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(parts), len(names), squeeze=False, sharex="col")
    for place, name in enumerate(names):
        variants = wide_variants(table, name)
        for axes, part in zip(grid[:, place], parts, strict=True):
            _draw_dots(axes, variants["effect"], variants[part], COMPONENTS[part])
            if place == 0:
                axes.set_ylabel(with_unit(f"{part.capitalize()} uncertainty", unit_of(table)))
            _write_rho(axes, variants["effect"], variants[part])
        grid[0, place].set_title(name)
        own = table[table["experiment"] == name]
        grid[-1, place].set_xlabel(with_unit("Predicted effect", unit_of(own)))
    legend_below(figure, [legend_line("0.15", "Median of equally filled bins", marker="o")])
    return figure


def main_experiment(table: pd.DataFrame) -> str:
    """The experiment that Figure 6 shows: `PREFERRED`, or the first."""
    names = list(dict.fromkeys(table["experiment"]))
    return PREFERRED if PREFERRED in names else names[0]


def _maps_of(table: pd.DataFrame) -> tuple[pd.DataFrame, list[Layer]]:
    """Variants and layers of the heat maps of one experiment's rows."""
    variants = wide_variants(table, table["experiment"].iloc[0])
    layers = [each for each in LAYERS if each.column in variants]
    return _densest(variants, BASES), layers


def _boxed(table: pd.DataFrame) -> list[str]:
    found = kinds_of(performance(table))
    return [method for method in found if method != "ensemble"]


def _ensemble_line(label: str = LABELS["ensemble"]) -> Line2D:
    return legend_line(colour_of("ensemble"), label, linewidth=1.8)


def _grid(table: pd.DataFrame) -> tuple[Figure, np.ndarray, list[tuple[str, str]]]:
    """A column an experiment, and a row each for Pearson's r and Spearman's rho."""
    keys = list(performance(table).groupby(PANEL, sort=False).groups)
    size = (max(COLUMN * len(keys), 6.0), ROW * len(KINDS) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(len(KINDS), len(keys), squeeze=False, sharey="row"), keys


def _draw_methods(
    grid: np.ndarray,
    table: pd.DataFrame,
    keys: Sequence[tuple[str, str]] | None = None,
    letter: str = "",
) -> None:
    """Boxes by method; the two correlations are rows where there are keys, else columns."""
    rows = performance(table).assign(group="")
    kinds = _boxed(rows)
    for label, axes, part, title in _cells(grid, rows, keys):
        ensemble = part[part["method"] == "ensemble"]["value"].mean()
        boxed = finite_rows(part[part["method"] != "ensemble"], ["value"])
        _draw_beside_ensemble(axes, boxed, "group", "method", kinds, ensemble)
        words = [NAMES.get(kind, kind) for kind in kinds]
        axes.set_xticks(box_places(len(kinds)), words, rotation=30, ha="right")
        axes.set_ylabel(label)
        axes.set_title(title)
    if letter:
        name_panel(grid[0, 0], letter)


def _draw_strata(
    grid: np.ndarray,
    table: pd.DataFrame,
    keys: Sequence[tuple[str, str]] | None = None,
    letter: str = "",
) -> None:
    """Boxes by percentile of total uncertainty, of the students of random mutagenesis."""
    rows = pd.concat([performance(table, below) for below in STRATA])
    for label, axes, part, title in _cells(grid, rows, keys):
        whole = part[(part["method"] == "ensemble") & (part["below"] == ALL)]["value"].mean()
        shown = part[part["method"] == BEST]
        axes.set_title(title)
        axes.set_ylabel(label)
        if not len(shown):
            empty_panel(axes, BEST)
            continue
        boxed = finite_rows(shown, ["value"])
        _draw_beside_ensemble(axes, boxed, "below", "method", [BEST], whole, STRATA)
        axes.set_xlabel(PERCENTILE_AXIS, fontsize=10)
    if letter:
        name_panel(grid[0, 0], letter)


def _draw_beside_ensemble(
    axes: Axes,
    table: pd.DataFrame,
    x: str,
    by: str,
    kinds: Sequence[str],
    ensemble: float | None,
    names: Mapping[Any, str] | None = None,
) -> None:
    """Boxes, and the ensemble's value as a line across them."""
    draw_boxes(axes, table, x, by, kinds, names)
    if ensemble is not None and np.isfinite(ensemble):
        axes.axhline(ensemble, color=colour_of("ensemble"), linewidth=1.8, zorder=2)


def _cells(
    grid: np.ndarray, rows: pd.DataFrame, keys: Sequence[tuple[str, str]] | None
) -> Iterator[tuple[str, Axes, pd.DataFrame, str]]:
    """Every panel: what its vertical axis says, its axes, its rows and its title."""
    for line, kind in enumerate(KINDS):
        of_kind = rows[rows["metric"] == kind]
        if keys is None:
            yield metric_label(kind, "activity"), grid[0, line], of_kind, ""
            continue
        for place, key in enumerate(keys):
            part = of_kind[(of_kind[PANEL] == list(key)).all(axis=1)]
            label = f"{metric_label(kind, 'activity')} with measured effects" if place == 0 else ""
            yield label, grid[line, place], part, key[1] if line == 0 else ""


def _densest(variants: pd.DataFrame, width: int) -> pd.DataFrame:
    """Variants of the `width` positions in which measured effects are largest."""
    column = MEASURED if MEASURED in variants else "effect"
    sizes = variants.groupby("position")[column].apply(lambda part: part.abs().mean())
    positions = np.arange(sizes.index.min(), sizes.index.max() + 1)
    shown = positions[densest_window(sizes.reindex(positions).fillna(0.0).to_numpy(), width)]
    return variants[variants["position"].between(shown[0], shown[-1])]


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
