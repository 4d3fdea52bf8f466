"""Heat maps of single-nucleotide variants: effects and uncertainties by position and base."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from degu_tf.plots.palette import LETTERS
from degu_tf.plots.style import require, styled
from degu_tf.sequences.alphabet import ALPHABET
from degu_tf.utils.errors import InputError

WIDTH = 13.0
"""Of a figure of heat maps, inches."""

BASES = 120
"""Positions in one line of heat maps."""

STRIP = 0.92
"""Height of one heat map, inches."""

UNMEASURED = "0.86"
REFERENCE = "0.97"
CLIPPED = 0.995
"""Quantile of absolute effects, and of uncertainties, at which colours end."""

_ORDER = ALPHABET[::-1]


@dataclass(frozen=True)
class Layer:
    """One heat map: a column of a table and how it is shown.

    Attributes
    ----------
    column
        Of the table, one value a variant.
    label
        What stands beside the map.
    colours
        A matplotlib colour map.
    signed
        Whether its values have a sign, so that colours are centred on zero.

    Examples
    --------
    >>> layer = Layer("Dev_effect", "effect", "RdBu_r", signed=True)
    """

    column: str
    label: str
    colours: str
    signed: bool = False


def layers_of(target: str) -> tuple[Layer, ...]:
    """Layers of a target: its effect, aleatoric and epistemic uncertainty, as in Fig. 6b.

    Examples
    --------
    >>> [layer.column for layer in layers_of("K562")]
    ['K562_effect', 'K562_aleatoric', 'K562_epistemic']
    """
    return (
        Layer(f"{target}_effect", "Predicted\neffect", "RdBu_r", signed=True),
        Layer(f"{target}_aleatoric", "Aleatoric\nuncertainty", "Purples"),
        Layer(f"{target}_epistemic", "Epistemic\nuncertainty", "Oranges"),
    )


def target_of(layer: Layer) -> str:
    """The target that a layer's column belongs to.

    Examples
    --------
    >>> target_of(layers_of("K562_log2")[0])
    'K562_log2'
    """
    return layer.column.rpartition("_")[0] or layer.column


@styled
def heat_maps(
    table: pd.DataFrame,
    layers: Sequence[Layer],
    *,
    title: str = "",
    unit: str | None = None,
    span: tuple[int, int] | None = None,
    bases: int = BASES,
) -> Figure:
    """Heat maps of single-nucleotide variants, one below the other.

    A dot marks the reference base, dark grey what has no value, uncertainties that came out below
    zero (`t_floored` of `degu mutagenize`) included. Colours of signed values are centred on zero;
    those beyond the 99.5th percentile have the colour of the end.

    Parameters
    ----------
    table
        One row a variant: `position`, `ref`, `alt` and the layers' columns. A layer without any
        finite value, such as the aleatoric one of a model without, is left out.
    layers
        The maps, from the top.
    title
        Above the first.
    unit
        Of all values, written beside the colours; by default the name of the layer's target, in
        whose unit they are.
    span
        First and last position drawn; all by default.
    bases
        Number of positions in a line; longer sequences are broken into lines.

    Raises
    ------
    InputError
        If a column is missing, positions have two reference bases, or nothing is finite.

    Examples
    --------
    >>> table = pd.DataFrame({"position": 1, "ref": "A", "alt": ["C", "G", "T"]})
    >>> figure = heat_maps(table.assign(y_effect=[0.1, -0.2, 0.3]), layers_of("y")[:1])
    >>> figure.axes[0].get_xlabel()
    'Position (bp)'
    """
    require(table, ["position", "ref", "alt", *(layer.column for layer in layers)])
    table = _without_floored(table, layers)
    layers = [layer for layer in layers if np.isfinite(table[layer.column].astype(float)).any()]
    if not layers:
        raise InputError(f"nothing to draw. Received: {len(table)} variants, none with a value")
    if span is not None:
        table = table[table["position"].between(*span)]
    _, reference = reference_of(table)
    n_lines = -(-len(reference) // bases)
    size = -(-len(reference) // n_lines)
    height = n_lines * (len(layers) * STRIP + 0.5) + 0.5
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    draw_heat_maps(figure, table, layers, unit=unit, bases=size)
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


def _without_floored(table: pd.DataFrame, layers: Sequence[Layer]) -> pd.DataFrame:
    """The table with NaN for uncertainties that are no measure, where it says which those are."""
    kept = {}
    for layer in layers:
        component, flags = layer.column.rpartition("_")[-1], f"{target_of(layer)}_floored"
        if component in ("aleatoric", "epistemic") and flags in table:
            kept[layer.column] = table[layer.column].mask(table[flags].isin([component, "both"]))
    return table.assign(**kept)


def draw_heat_maps(
    figure: Figure | SubFigure,
    table: pd.DataFrame,
    layers: Sequence[Layer],
    *,
    unit: str | None = None,
    bases: int = BASES,
) -> list[Axes]:
    """Draw the maps of `heat_maps` into a figure or a part of one; give their axes."""
    table = _without_floored(table, layers)
    first, reference = reference_of(table)
    n_lines = -(-len(reference) // bases)
    grids = {layer.column: grid_of(table, layer.column) for layer in layers}
    norms = {layer.column: _norm(grids[layer.column], layer.signed) for layer in layers}
    lines = figure.subfigures(n_lines, 1, squeeze=False)[:, 0]
    drawn = []
    for number, line in enumerate(lines):
        shown = slice(number * bases, (number + 1) * bases)
        axes = line.subplots(len(layers), 1, sharex=True, squeeze=False)[:, 0]
        for each, layer in zip(axes, layers, strict=True):
            norm = norms[layer.column]
            part = grids[layer.column][:, shown]
            draw_heat_map(each, part, reference[shown], first + shown.start, layer, norm, bases)
            _colour_bar(line, each, layer, norm, grids[layer.column], unit or target_of(layer))
        _letters(axes[-1], reference[shown], first + shown.start, bases)
        drawn += list(axes)
    return drawn


def reference_of(table: pd.DataFrame) -> tuple[int, str]:
    """First position of a table of variants, and the reference from there on, N where unknown.

    Raises
    ------
    InputError
        If a position has two reference bases.
    """
    by_position = table.groupby("position")["ref"]
    if (by_position.nunique() > 1).any():
        position = by_position.nunique().idxmax()
        found = sorted(table.loc[table["position"] == position, "ref"].unique())
        raise InputError(f"expected one reference base a position. Received: {found} at {position}")
    bases = by_position.first()
    first, last = int(bases.index.min()), int(bases.index.max())
    return first, "".join(bases.reindex(range(first, last + 1), fill_value="N"))


def grid_of(table: pd.DataFrame, column: str) -> np.ndarray:
    """Values by base (A C G T) and position, `(4, L)`, NaN where there is none."""
    first, reference = reference_of(table)
    grid = np.full((len(ALPHABET), len(reference)), np.nan)
    known = table[table["alt"].isin(list(ALPHABET))]
    rows = known["alt"].map(ALPHABET.index).to_numpy(int)
    grid[rows, known["position"].to_numpy(int) - first] = known[column].to_numpy(float)
    return grid


def draw_heat_map(
    axes: Axes,
    grid: np.ndarray,
    reference: str,
    first: int,
    layer: Layer,
    norm: Normalize,
    bases: int | None = None,
) -> None:
    """Draw one map `(4, L)`; its first column is position `first`."""
    length = grid.shape[1]
    edges = np.arange(first, first + length + 1) - 0.5
    order = [ALPHABET.index(base) for base in _ORDER]
    axes.axvspan(edges[0], edges[-1], color=UNMEASURED, linewidth=0, zorder=0)
    known = [(i, _ORDER.index(base)) for i, base in enumerate(reference) if base in ALPHABET]
    plain = np.full((4, length), np.nan)
    for i, row in known:
        plain[row, i] = 1.0
    blank = LinearSegmentedColormap.from_list("reference", [REFERENCE, REFERENCE])
    axes.pcolormesh(edges, np.arange(5) - 0.5, plain, cmap=blank, vmin=0, vmax=1, rasterized=True)
    axes.pcolormesh(
        edges, np.arange(5) - 0.5, grid[order], cmap=layer.colours, norm=norm, rasterized=True
    )
    if known:
        places, rows = np.transpose(known)
        axes.scatter(first + places, rows, s=4, color="0.25", linewidths=0, zorder=3)
    axes.set_yticks(range(4), list(_ORDER), fontsize=8, family="monospace")
    axes.set(ylim=(-0.5, 3.5), xlim=(first - 0.5, first + (bases or length) - 0.5))
    axes.tick_params(axis="both", length=0)
    axes.tick_params(axis="x", labelbottom=False)
    axes.set_ylabel(layer.label, rotation=0, ha="right", va="center", fontsize=10.5)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _letters(axes: Axes, reference: str, first: int, bases: int) -> None:
    """Write the reference below the lowest map, and positions below that."""
    size = min(8.5, 72.0 * (WIDTH - 2.2) / bases)
    if size >= 5.0:
        for place, base in enumerate(reference):
            axes.text(
                first + place, -0.7, base, ha="center", va="top", fontsize=size,
                family="monospace", fontweight="bold", color=LETTERS.get(base, "0.5"),
            )  # fmt: skip
    axes.xaxis.set_major_locator(MultipleLocator(20 if first > 9_999 or bases > 150 else 10))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.tick_params(axis="x", labelbottom=True, pad=11, labelsize=9)
    axes.set_xlabel("Position (bp)", fontsize=10)


def _norm(grid: np.ndarray, signed: bool) -> Normalize:
    values = grid[np.isfinite(grid)]
    if not len(values):
        return Normalize(0.0, 1.0)
    if signed:
        end = float(np.quantile(np.abs(values), CLIPPED)) or 1.0
        return TwoSlopeNorm(0.0, -end, end)
    low, high = np.quantile(values, [1.0 - CLIPPED, CLIPPED])
    return Normalize(float(low), float(high) if high > low else float(low) + 1.0)


def _colour_bar(
    figure: Figure | SubFigure,
    axes: Axes,
    layer: Layer,
    norm: Normalize,
    grid: np.ndarray,
    unit: str,
) -> None:
    values = grid[np.isfinite(grid)]
    below, above = (norm(values) < 0.0).any(), (norm(values) > 1.0).any()
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}
    bar = figure.colorbar(
        ScalarMappable(norm, layer.colours), ax=axes, fraction=0.012, pad=0.008, aspect=7,
        extend=extend[int(below), int(above)], extendfrac=0.12,
    )  # fmt: skip
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(3, steps=[1, 2, 5, 10])
    bar.update_ticks()
    bar.ax.tick_params(labelsize=8, length=2)
    bar.set_label(unit, fontsize=max(5.0, min(8.5, 130.0 * STRIP / len(unit))))
