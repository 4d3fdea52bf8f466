"""Attribution maps as sequence logos, with boxes around motifs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from degu_tf.plots.palette import LETTERS, motif_colours
from degu_tf.plots.style import GREY, densest_window, legend_line, limits_of, styled
from degu_tf.sequences.encoding import as_tokens
from degu_tf.utils.errors import InputError

WINDOW = 300
"""Number of bases shown of longer sequences, around their largest scores."""

STRONG = 0.5
"""Sites of this affinity or more have a solid box, others a dashed one (Fig. 4a)."""

_ROW = (13.0, 1.45)


@styled
def logos(
    importance: np.ndarray,
    sequences: Sequence[str] | np.ndarray,
    titles: Sequence[str],
    sites: pd.DataFrame | None = None,
    *,
    window: int | tuple[int, int] = WINDOW,
    share_scale: bool = False,
    label: str = "Attribution",
) -> Figure:
    """Sequence logos: each base as high as its importance.

    Parameters
    ----------
    importance
        Values `(N, L)`, one row a logo, such as `degu_tf.attribution.motifs.importance` makes of
        maps; NaN draws no letter. The same sequence may have several rows, such as one a model.
    sequences
        Strings, tokens `(N, L)` or one-hot `(N, L, 4)`; unknown bases have no letter.
    titles
        One for each row.
    sites
        Boxes around known motifs: columns `sequence` (row of the figure), `motif`, `start`, `end`,
        and `affinity` where there is one: solid from `STRONG` on, else dashed.
    window
        Number of bases shown of longer sequences, around the largest importance of all rows; or
        first and last (excluded) base shown.
    share_scale
        Whether all rows have one vertical scale.
    label
        Label of the vertical axes.

    Raises
    ------
    InputError
        If shapes or numbers do not match.

    Examples
    --------
    >>> figure = logos(np.array([[0.1, 0.9, -0.2, 0.4]]), ["ACGT"], ["first"])
    >>> figure.axes[0].get_title(loc="left")
    'first'
    """
    tokens, values = as_tokens(sequences), np.nan_to_num(importance)
    if values.shape != tokens.shape:
        raise InputError(
            f"expected one value for each base, shape {tokens.shape}. "
            f"Received: importance of shape {values.shape}"
        )
    if len(titles) != len(values):
        raise InputError(f"expected {len(values)} titles, one a row. Received: {len(titles)}")
    shown = _window(values, window)
    n = len(values)
    figure = Figure(figsize=(_ROW[0], _ROW[1] * n + 0.75), layout="constrained")
    grid = figure.subplots(n, 1, sharex=True, sharey=share_scale, squeeze=False)[:, 0]
    colours = {} if sites is None else motif_colours(sites["motif"])
    for row, (axes, title) in enumerate(zip(grid, titles, strict=True)):
        draw_letters(axes, values[row, shown], tokens[row, shown], shown.start)
        axes.set_title(title, loc="left", fontsize=11)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="x", length=0, labelbottom=row == n - 1)
        axes.locator_params(axis="y", nbins=3)
        if sites is not None:
            draw_sites(axes, sites[sites["sequence"] == row], colours, shown)
    grid[-1].set_xlabel("Position (bp)")
    figure.supylabel(label, fontsize=11)
    if sites is not None and colours:
        handles = motif_handles(colours)
        if "affinity" in sites:
            handles += [
                legend_line(GREY, words, linewidth=1.4, linestyle=style)
                for style, words in (("-", "strong match"), ("--", "weak match"))
            ]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _window(values: np.ndarray, window: int | tuple[int, int]) -> slice:
    length = values.shape[1]
    if isinstance(window, tuple):
        start, end = window
        if not 0 <= start < end <= length:
            raise InputError(f"expected a window within {length} bases. Received: {window}")
        return slice(start, end)
    return densest_window(np.abs(values).sum(axis=0), window)


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


def motif_handles(colours: Mapping[str, str]) -> list[Artist]:
    """Legend entries of the boxes around motifs."""
    return [
        Patch(facecolor="none", edgecolor=colour, linewidth=1.6, label=motif)
        for motif, colour in colours.items()
    ]


def draw_sites(axes: Axes, sites: pd.DataFrame, colours: Mapping[str, str], shown: slice) -> None:
    """Draw a box for each site (`motif`, `start`, `end`, maybe `affinity`) where it is shown."""
    low, high = axes.get_ylim()
    for site in sites.itertuples():
        start, end = max(site.start, shown.start), min(site.end, shown.stop)
        if start >= end:
            continue
        weak = getattr(site, "affinity", 1.0) < STRONG
        axes.add_patch(
            Rectangle(
                (start - 0.5, low), end - start, high - low, facecolor="none", clip_on=False,
                edgecolor=colours[site.motif], linewidth=1.6, linestyle="--" if weak else "-",
            )
        )  # fmt: skip
