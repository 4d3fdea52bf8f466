"""Figure 4 and its supplements, drawn from the table of `degu_tf.paper.fig4_attribution.study`."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from degu_tf.attribution.consistency import NONE, RMSE, STD, t_tests
from degu_tf.attribution.motifs import AUROC
from degu_tf.paper.fig4_attribution.claims import PANEL, rows_of
from degu_tf.paper.fig4_attribution.logo_table import LOGO, SITE
from degu_tf.paper.fig4_attribution.study import ALL, OTHERS
from degu_tf.plots.groups import box_handles, box_places, draw_boxes, kinds_of
from degu_tf.plots.palette import colour_of, label_of, motif_colours
from degu_tf.plots.sequence_logos import STRONG, draw_letters, draw_sites, motif_handles
from degu_tf.plots.style import (
    GREY,
    corner_text,
    densest_window,
    legend_below,
    legend_line,
    limits_of,
    name_panel,
    stacked,
    styled,
)

COLUMN, ROW = 3.2, 3.5
WINDOW = 150
"""Bases of a logo."""

REFERENCES = {ALL: "all teachers", OTHERS: "one left out"}
EXPLAINER_NAMES = {"deepshap": "DeepSHAP", "saliency": "saliency"}

Row = tuple[Callable[[Axes, pd.DataFrame], None], pd.DataFrame, str]
"""Panels of a row: how to draw one, of which rows of the table, and the vertical axis' label."""


@styled
def figure_four(table: pd.DataFrame) -> Figure:
    """Logos of the first panel's first sequence (a), above the rows of `comparison` (b, c, d).

    Parameters
    ----------
    table
        From `degu_tf.paper.fig4_attribution.study.compare_maps`.
    """
    rows = _measures(table, NONE)
    n_panels = table.groupby(PANEL).ngroups
    logos = _first_logos(table)
    height = _height_of(logos)
    width = max(COLUMN * n_panels, 3 * COLUMN)
    figure = Figure(figsize=(width, height + ROW * len(rows) + 0.4), layout="constrained")
    above, below = stacked(figure, [height, ROW * len(rows) + 0.4])
    draw_logos(above, logos)
    name_panel(above.axes[0], "a")
    _draw_comparison(below, table, rows, letters="bcd")
    return figure


@styled
def example(table: pd.DataFrame) -> Figure:
    """Logos of the first panel's first sequence alone.

    Parameters
    ----------
    table
        From `degu_tf.paper.fig4_attribution.study.compare_maps`.
    """
    logos = _first_logos(table)
    figure = Figure(figsize=(3 * COLUMN, _height_of(logos)), layout="constrained")
    draw_logos(figure, logos)
    return figure


@styled
def measure(table: pd.DataFrame, metric: str, scaling: str = NONE) -> Figure:
    """One row of `comparison`.

    Parameters
    ----------
    table
        From `degu_tf.paper.fig4_attribution.study.compare_maps`.
    metric
        Which of the measures: that of the maps' distance, of their spread, or of motifs.
    scaling
        ``"none"``, or ``"largest"`` for the control.
    """
    rows = [row for row in _measures(table, scaling) if (row[1]["metric"] == metric).any()]
    n_panels = table.groupby(PANEL).ngroups
    figure = Figure(figsize=(COLUMN * max(n_panels, 2), ROW + 0.4), layout="constrained")
    _draw_comparison(figure, table, rows)
    return figure


@styled
def comparison(table: pd.DataFrame, scaling: str = NONE) -> Figure:
    """Distance to the ensemble's maps, spread over initialisations, and motifs of each panel.

    Parameters
    ----------
    table
        From `degu_tf.paper.fig4_attribution.study.compare_maps`.
    scaling
        ``"none"``, or ``"largest"`` for the control.
    """
    rows = _measures(table, scaling)
    n_panels = table.groupby(PANEL).ngroups
    figure = Figure(
        figsize=(COLUMN * max(n_panels, 2), ROW * len(rows) + 0.4), layout="constrained"
    )
    _draw_comparison(figure, table, rows, letters="abc")
    return figure


def _first_logos(table: pd.DataFrame) -> pd.DataFrame:
    logos = table[table["metric"].isin([LOGO, SITE])]
    return logos[logos.groupby(PANEL, sort=False).ngroup() == 0]


def _height_of(logos: pd.DataFrame) -> float:
    return 1.35 * logos["method"].nunique() + 0.9


def _measures(table: pd.DataFrame, scaling: str) -> list[Row]:
    """One entry a row of panels."""
    scaled = "" if scaling == NONE else ", scaled maps"
    near, alike = (rows_of(table, metric, scaling) for metric in (RMSE, STD))
    rows: list[Row] = [
        (_draw_distance, near, f"RMSE to the ensemble's map{scaled}"),
        (_draw_spread, alike, f"std of maps{scaled}\n{label_of('student')}"),
    ]
    found = rows_of(table, AUROC)
    if len(found) and scaling == NONE:
        rows.append((_draw_motifs, found, "AUROC of motif positions"))
    return rows


def _draw_comparison(
    figure: Figure | SubFigure,
    table: pd.DataFrame,
    rows: Sequence[Row],
    letters: str = "",
) -> None:
    keys = list(table.groupby(PANEL, sort=False).groups)
    grid = figure.subplots(len(rows), len(keys), squeeze=False)
    for line, (draw, part, label) in enumerate(rows):
        for axes, key in zip(grid[line], keys, strict=True):
            own = part[(part[PANEL] == list(key)).all(axis=1)]
            draw(axes, own)
            if line == 0:
                dataset, target, explainer = key
                name = EXPLAINER_NAMES.get(explainer, explainer)
                axes.set_title(f"{dataset}\n{target}, {name}", fontsize=10.5)
        grid[line, 0].set_ylabel(label)
        if letters:
            name_panel(grid[line, 0], letters[line])
    drawn = pd.concat([part for _, part, _ in rows])
    legend_below(figure, box_handles(kinds_of(drawn)))


def _draw_distance(axes: Axes, rows: pd.DataFrame) -> None:
    """Boxes of models by reference, each pair with the p-value of the independent t-test."""
    draw_boxes(axes, rows, "reference", "method", kinds_of(rows), REFERENCES)
    axes.set_xlabel("mean of")
    for place, (_, part) in enumerate(rows.groupby("reference", sort=False)):
        _write_p(axes, place, part)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.12 * (high - low))


def p_text(value: float) -> str:
    """A p-value as text.

    Examples
    --------
    >>> p_text(0.0312), p_text(3e-7), p_text(0.0)
    ('p = 0.031', 'p = 3.0 × 10$^{-7}$', 'p < 10$^{-300}$')
    """
    if not np.isfinite(value):
        return "p undefined"
    if value < 1e-300:
        return "p < 10$^{-300}$"
    if value >= 0.001:
        return f"p = {value:.2g}"
    digits, exponent = f"{value:.1e}".split("e")
    return f"p = {digits} × 10$^{{{int(exponent)}}}$"


def _write_p(axes: Axes, place: int, part: pd.DataFrame) -> None:
    text = p_text(t_tests(part)["p_value"].iloc[0])
    axes.text(
        place, 0.99, text, transform=axes.get_xaxis_transform(), ha="center", va="top", fontsize=9
    )


def _draw_spread(axes: Axes, rows: pd.DataFrame) -> None:
    """A dot a sequence: students against standard models, with the p-value of the paired test."""
    values = rows.pivot(index="sequence", columns="method", values="value")
    x, y = values["single"].to_numpy(), values["student"].to_numpy()
    limits = limits_of(np.concatenate([x, y]))
    axes.plot(limits, limits, color=GREY, linestyle="--", linewidth=1.2, zorder=1)
    axes.scatter(x, y, s=9, color="0.25", alpha=0.5, linewidths=0, zorder=2)
    axes.set(xlim=limits, ylim=limits, box_aspect=1)
    axes.locator_params(nbins=5)
    axes.set_xlabel(label_of("single"))
    test = t_tests(rows).iloc[0]
    corner_text(axes, f"{test['share_below']:.0%} below\n{p_text(test['p_value'])}")


def _draw_motifs(axes: Axes, rows: pd.DataFrame) -> None:
    """Boxes of models' AUROCs; the ensemble is a diamond with its bootstrap interval."""
    rows = rows.assign(group="")
    kinds = kinds_of(rows)
    draw_boxes(axes, rows, "group", "method", kinds)
    for place, kind in zip(box_places(len(kinds)), kinds, strict=True):
        if kind == "ensemble":
            lone = rows[rows["method"] == kind]
            axes.vlines(place, lone["lower"], lone["upper"], color=colour_of(kind), linewidth=1.3)
    axes.set_xlim(-0.5, 0.5)
    axes.set_xticks([])


def draw_logos(
    figure: Figure | SubFigure, table: pd.DataFrame, names: Mapping[str, str] | None = None
) -> None:
    """Draw a logo for each method, with motif boxes, on the bases where scores are largest.

    Parameters
    ----------
    figure
        A figure, or a part of one.
    table
        Rows of `degu_tf.paper.fig4_attribution.logo_table.logo_rows` and `site_rows` of one
        sequence.
    names
        What the rows are called, by method.
    """
    rows, sites = table[table["metric"] == LOGO], table[table["metric"] == SITE]
    methods = list(dict.fromkeys(rows["method"]))
    values = rows.pivot(index="position", columns="method", values="value")[methods]
    shown = densest_window(values.abs().sum(axis=1).to_numpy(), WINDOW)
    sites = sites[(sites["end"] > shown.start) & (sites["position"] < shown.stop)]
    colours = motif_colours(sites["motif"])
    boxes = sites.rename(columns={"position": "start", "value": "affinity"})
    grid = figure.subplots(len(methods), 1, sharex=True, squeeze=False)[:, 0]
    for axes, method in zip(grid, methods, strict=True):
        part = rows[rows["method"] == method].set_index("position").sort_index().iloc[shown]
        tokens = part["base"].map("ACGTN".index).to_numpy()
        draw_letters(axes, part["value"].to_numpy(), tokens, shown.start)
        axes.locator_params(axis="y", nbins=4)
        draw_sites(axes, boxes, colours, shown)
        title = (names or {}).get(method, label_of(method))
        axes.set_title(title, fontsize=10.5)
    grid[-1].set_xlabel("Position (bp)")
    figure.supylabel("Attribution", fontsize=11)
    handles = motif_handles(colours)
    if (sites["value"] < STRONG).any():
        handles.append(legend_line(GREY, "affinity below a half", linestyle="--", linewidth=1.6))
    legend_below(figure, handles)
