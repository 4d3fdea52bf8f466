"""Maps as logos, and Figure 4's panels: arrays and tidy tables in, matplotlib figures out."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from degu_tf.attribution.consistency import RMSE, STD
from degu_tf.attribution.map_files import Maps
from degu_tf.attribution.motifs import importance
from degu_tf.data.simulation.grammar import NAMES as MOTIF_NAMES
from degu_tf.heads import total_std
from degu_tf.models.predictor import as_array
from degu_tf.plots.boxes import draw_boxes, kinds_of
from degu_tf.plots.style import (
    COLUMNS,
    GREY,
    colour_of,
    corner_text,
    label_of,
    limits_of,
    panels_of,
    require,
    rows_of,
    styled,
)
from degu_tf.sequences.encoding import from_one_hot
from degu_tf.utils.errors import InputError

LETTERS = {"A": "#109648", "C": "#255c99", "G": "#f7a400", "T": "#d62839"}
"""Colours of the bases."""

WINDOW = 300
"""Longer sequences show so many bases, those around their largest scores."""

STRONG = 0.5
"""Sites of this affinity or more have a solid box, others a dashed one (Fig. 4a)."""

_PANELS = ("dataset", "model", "target", "scaling")
_MOTIF_COLOURS = (
    "tab:blue", "tab:red", "tab:green", "tab:purple", "tab:brown", "tab:pink", "tab:olive",
    "tab:cyan",
)  # fmt: skip
_SCALINGS = {"none": "", "largest": "\nmaps scaled to their largest score"}
_ROW = (13.0, 1.45)
BOX_SPAN = 0.84


@styled
def logos(
    scores: np.ndarray,
    sequences: object,
    titles: Sequence[str],
    sites: pd.DataFrame | None = None,
    *,
    window: int | tuple[int, int] = WINDOW,
    share_scale: bool = False,
    label: str = "Attribution",
) -> Figure:
    """Maps as rows of letters, as high as the corrected score of the base that stands there.

    Parameters
    ----------
    scores
        Maps `(N, L, 4)`, one a row, best hypothetical ones (see
        `degu_tf.attribution.motifs.importance`); the same sequence may come again with another
        model's map.
    sequences
        Strings, tokens `(N, L)` or one-hot; unknown bases have no letter.
    titles
        One for each row.
    sites
        Boxes around known motifs: columns `sequence` (row of the figure), `motif`, `start`, `end`,
        and `affinity` where there is one: solid from `STRONG` on, else dashed.
    window
        Bases shown of longer sequences, around the largest scores of all rows; or first and last
        (excluded) to be shown.
    share_scale
        Whether all rows have one vertical scale.
    label
        What the vertical axes say.

    Raises
    ------
    InputError
        If shapes or numbers do not match.
    """
    values = np.nan_to_num(importance(scores, sequences))
    if len(titles) != len(values):
        raise InputError(f"expected {len(values)} titles, one a row. Received: {len(titles)}")
    start, end = _window(values, window)
    tokens = _tokens(sequences)
    n = len(values)
    figure = Figure(figsize=(_ROW[0], _ROW[1] * n + 0.75), layout="constrained")
    grid = figure.subplots(n, 1, sharex=True, sharey=share_scale, squeeze=False)[:, 0]
    colours = {} if sites is None else _motif_colours(sites)
    for row, (axes, title) in enumerate(zip(grid, titles, strict=True)):
        draw_letters(axes, values[row, start:end], tokens[row, start:end], start)
        axes.set_title(title, loc="left", fontsize=11)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="x", length=0, labelbottom=row == n - 1)
        axes.locator_params(axis="y", nbins=3)
        if sites is not None:
            draw_sites(axes, sites[sites["sequence"] == row], colours, (start, end))
    grid[-1].set_xlabel("Position (bp)")
    figure.supylabel(label, fontsize=11)
    if colours:
        handles = [
            Patch(facecolor="none", edgecolor=colour, linewidth=1.6, label=motif)
            for motif, colour in colours.items()
        ]
        if "affinity" in sites:
            handles += [
                Line2D([], [], color=GREY, linewidth=1.4, linestyle=style, label=words)
                for style, words in (("-", "strong match"), ("--", "weak match"))
            ]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def activity_title(maps: Maps, row: int, unit: str = "") -> str:
    """A title for a logo: the sequence, its activity, and how sure the predictor is of it.

    Parameters
    ----------
    maps
        Maps with predictions.
    row
        Which of them.
    unit
        Of the activity.

    Examples
    --------
    >>> one = np.ones(1)
    >>> maps = Maps("Dev", "Dev", "saliency", ["chr2L:5"], one, one, one, one, one,
    ...             activity=3.2 * one, aleatoric=0.3 * one, epistemic=0.4 * one)
    >>> activity_title(maps, 0)
    'chr2L:5   Dev 3.20 ± 0.50 (epistemic 0.40, aleatoric 0.30)'
    """
    activity = maps.value if maps.activity is None else maps.activity
    parts = {
        name: float(getattr(maps, name)[row])
        for name in ("epistemic", "aleatoric")
        if getattr(maps, name) is not None
    }
    text = f"{maps.names[row]}   {maps.target} {float(activity[row]):.2f}"
    if parts:
        text += f" ± {total_std(*parts.values()):.2f}"
    text += f" {unit}" if unit else ""
    if parts:
        text += f" ({', '.join(f'{name} {value:.2f}' for name, value in parts.items())})"
    return text if maps.head == maps.target else f"{text}   map of {maps.head}"


@styled
def rmse_boxes(
    table: pd.DataFrame,
    tests: pd.DataFrame | None = None,
    names: Mapping[str, str] | None = None,
    label: str = "RMSE to the ensemble's map",
) -> Figure:
    """Distance of every model's maps to the ensemble's mean maps, by method (Fig. 4b).

    Boxes reach from the first to the third quartile, their line is the median, whiskers span all
    models, which are dots. A bracket has the p-value of the independent t-test.

    Parameters
    ----------
    table
        Rows of `degu_tf.attribution.consistency.similarity`; `dataset`, `model`, `target` and
        `scaling`, where there are any, make panels.
    tests
        Rows of `t_tests` for the brackets, with the same columns for panels.
    names
        What the axis calls the methods.
    label
        What the vertical axis says.

    Raises
    ------
    InputError
        If a column is missing or no row has that metric.
    """
    table = rows_of(table, RMSE, "activity", ["method"]).assign(group="")
    kinds = kinds_of(table)
    places = (np.arange(len(kinds)) - (len(kinds) - 1) / 2.0) * BOX_SPAN / len(kinds)
    where = dict(zip(kinds, places, strict=True))
    words = {kind: label_of(kind).replace(" ", "\n", 1) for kind in kinds} | dict(names or {})
    figure, panels = panels_of(_with_panels(table), ("panel",), (0.8 + 1.15 * len(kinds), 3.7))
    for index, (axes, part) in enumerate(panels):
        draw_boxes(axes, part, "group", "method", kinds)
        axes.set_xlim(-0.5, 0.5)
        axes.set_xticks(places, [words[kind] for kind in kinds])
        if index % COLUMNS == 0:
            axes.set_ylabel(label)
        if tests is not None:
            _draw_brackets(axes, part, _of_panel(tests, RMSE, part), where)
    return figure


@styled
def consistency_scatter(
    table: pd.DataFrame,
    tests: pd.DataFrame | None = None,
    first: str = "student",
    second: str = "single",
    label: str = "std of maps",
) -> Figure:
    """Spread of every sequence's maps over models: one method against another (Fig. 4c).

    A dot is a sequence. Below the diagonal the maps of `first` are more alike than those of
    `second`; the corner says for what share, and the p-value of the paired t-test.

    Parameters
    ----------
    table
        Rows of `degu_tf.attribution.consistency.consistency`; `dataset`, `model`, `target` and
        `scaling`, where there are any, make panels.
    tests
        Rows of `t_tests` for the p-values, with the same columns for panels.
    first, second
        The methods of the vertical and of the horizontal axis.
    label
        What the axes say after the methods' names.

    Raises
    ------
    InputError
        If a column is missing or a method has no rows.
    """
    table = rows_of(table, STD, "activity", ["method", "sequence"])
    figure, panels = panels_of(_with_panels(table), ("panel",), (3.7, 4.0))
    for index, (axes, part) in enumerate(panels):
        values = part.pivot(index="sequence", columns="method", values="value")
        require(values, [first, second])
        x, y = values[second].to_numpy(), values[first].to_numpy()
        low, high = limits_of(np.concatenate([x, y]))
        axes.plot([low, high], [low, high], color=GREY, linestyle="--", linewidth=1.2, zorder=1)
        axes.scatter(
            x, y, s=9 if len(x) > 300 else 16, alpha=0.5, linewidths=0, color=colour_of(first)
        )
        axes.set(xlim=(low, high), ylim=(low, high), box_aspect=1)
        axes.locator_params(nbins=5)
        axes.set_xlabel(f"{label_of(second)}, {label}")
        if index % COLUMNS == 0:
            axes.set_ylabel(f"{label_of(first)}, {label}")
        text = f"{np.mean(y < x):.0%} below\nn = {len(x)}"
        found = None if tests is None else _of_panel(tests, STD, part)
        if found is not None and len(found):
            text += f"\n{p_text(found['p_value'].iloc[0])}"
        corner_text(axes, text)
    return figure


def p_text(value: float) -> str:
    """Write a p-value as figures do.

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


def _with_panels(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column of panels' titles."""
    present = [name for name in ("dataset", "model", "target") if name in table]
    titles = table[present].astype(str).agg(", ".join, axis=1) if present else ""
    if "scaling" in table:
        titles = titles + table["scaling"].replace(_SCALINGS)
    return table.assign(panel=titles)


def _of_panel(tests: pd.DataFrame, metric: str, part: pd.DataFrame) -> pd.DataFrame:
    """The tests of a metric that belong to the rows of a panel."""
    chosen = tests[tests["metric"] == metric]
    for name in _PANELS:
        if name in chosen and name in part:
            chosen = chosen[chosen[name] == part[name].iloc[0]]
    return chosen


def _draw_brackets(
    axes: Axes, table: pd.DataFrame, tests: pd.DataFrame, places: Mapping[str, float]
) -> None:
    low, top = axes.get_ylim()
    step = 0.13 * (top - low)
    for level, test in enumerate(tests.itertuples()):
        if {test.first, test.second} <= {*places}:
            ends = [places[test.first], places[test.second]]
            y = top + (level + 0.15) * step
            drop = y - 0.15 * step
            axes.plot(
                np.repeat(sorted(ends), 2), [drop, y, y, drop], color="0.3", linewidth=1.2,
                clip_on=False,
            )  # fmt: skip
            axes.text(np.mean(ends), y + 0.08 * step, p_text(test.p_value), ha="center",
                      va="bottom", fontsize=10)  # fmt: skip
            axes.set_ylim(low, y + 0.75 * step)


def _tokens(sequences: object) -> np.ndarray:
    array = as_array(sequences)
    return array if array.ndim == 2 else from_one_hot(array)


def _window(values: np.ndarray, window: int | tuple[int, int]) -> tuple[int, int]:
    length = values.shape[1]
    if isinstance(window, tuple):
        start, end = window
        if not 0 <= start < end <= length:
            raise InputError(f"expected a window within {length} bases. Received: {window}")
        return start, end
    if window >= length:
        return 0, length
    summed = np.cumsum(np.r_[0.0, np.abs(values).sum(axis=0)])
    start = int(np.argmax(summed[window:] - summed[:-window]))
    return start, start + window


def draw_letters(axes: Axes, values: np.ndarray, tokens: np.ndarray, start: int) -> None:
    """Draw the bases `(L,)` from position `start` on, each as high as its value `(L,)`."""
    import logomaker

    heights = np.zeros((len(values), 4))
    known = tokens < 4
    heights[np.flatnonzero(known), tokens[known]] = values[known]
    frame = pd.DataFrame(
        heights, columns=list(LETTERS), index=np.arange(start, start + len(values))
    )
    logomaker.Logo(frame, ax=axes, color_scheme=LETTERS, baseline_width=0.6, zorder=2)
    low, high = limits_of(np.r_[values, 0.0], 0.08)
    axes.set(xlim=(start - 0.5, start + len(values) - 0.5), ylim=(low, high))


def _motif_colours(sites: pd.DataFrame) -> dict[str, str]:
    found = list(dict.fromkeys(sites["motif"]))
    order = [name for name in MOTIF_NAMES if name in found]
    order += [name for name in found if name not in order]
    return {name: _MOTIF_COLOURS[index % len(_MOTIF_COLOURS)] for index, name in enumerate(order)}


def draw_sites(
    axes: Axes, sites: pd.DataFrame, colours: Mapping[str, str], shown: tuple[int, int]
) -> None:
    """Draw a box for each site (`motif`, `start`, `end`, maybe `affinity`) where it is shown."""
    low, high = axes.get_ylim()
    for site in sites.itertuples():
        start, end = max(site.start, shown[0]), min(site.end, shown[1])
        if start >= end:
            continue
        weak = getattr(site, "affinity", 1.0) < STRONG
        axes.add_patch(
            Rectangle(
                (start - 0.5, low), end - start, high - low, facecolor="none", clip_on=False,
                edgecolor=colours[site.motif], linewidth=1.6, linestyle="--" if weak else "-",
            )
        )  # fmt: skip
