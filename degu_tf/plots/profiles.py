"""Profiles along a genome: measured and predicted coverage, with its uncertainty."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from degu_tf.heads import gaussian_factor, total_std
from degu_tf.plots.palette import colour_of, label_of
from degu_tf.plots.style import (
    GREY,
    legend_below,
    legend_line,
    require,
    styled,
    unit_of,
    with_unit,
)
from degu_tf.utils.errors import InputError

MEASURED = "0.78"
"""Colour of what was measured."""

COMPONENTS = {"aleatoric": "tab:purple", "epistemic": "tab:red"}

LEVEL = 0.95

_LOCUS = (3.9, 3.7)


@styled
def tracks(
    table: pd.DataFrame,
    method: str = "student",
    unit: str | None = None,
    level: float = LEVEL,
) -> Figure:
    """Measured and predicted profiles of some loci with an uncertainty band; its parts below.

    Parameters
    ----------
    table
        Columns `locus`, `position` (bases), `series`, `value`. Series are ``measured``,
        ``measured_aleatoric`` (std of replicates), the method's mean by its name alone,
        `<method>_aleatoric` and `<method>_epistemic`; all but the mean are optional, and so is the
        column `target`.
    method
        Whose prediction is drawn.
    unit
        Of the profiles; by default the name of the only target.
    level
        Nominal level of the band, Gaussian with the total standard deviation.

    Raises
    ------
    InputError
        If a column is missing, or there is no such method.

    Examples
    --------
    >>> table = pd.DataFrame({"position": range(4), "value": [1.0, 2.0, 4.0, 2.0]})
    >>> figure = tracks(table.assign(locus="chr8:0-4", series="student"))
    >>> figure.axes[0].get_title(), figure.axes[0].get_ylabel()
    ('chr8:0-4', 'coverage')
    """
    n_loci = table["locus"].nunique() if "locus" in table else 1
    figure = Figure(figsize=(_LOCUS[0] * n_loci, _LOCUS[1] + 0.5), layout="constrained")
    draw_tracks(figure, table, method, unit, level)
    return figure


def draw_tracks(
    figure: Figure | SubFigure,
    table: pd.DataFrame,
    method: str = "student",
    unit: str | None = None,
    level: float = LEVEL,
) -> None:
    """Draw the panels of `tracks` into a figure or a part of one."""
    require(table, ["locus", "position", "series", "value"])
    loci = list(dict.fromkeys(table["locus"]))
    if method not in set(table["series"]):
        raise InputError(
            f"expected a method of the table, one of {sorted(set(table['series']))}. "
            f"Received: method={method!r}"
        )
    grid = figure.subplots(
        2, len(loci), squeeze=False, sharex="col", gridspec_kw={"height_ratios": [1.6, 1.0]}
    )
    for (above, below), locus in zip(grid.T, loci, strict=True):
        own = table[table["locus"] == locus]
        wide = own.pivot(index="position", columns="series", values="value").sort_index()
        _draw_profile(above, wide, method, level)
        _draw_components(below, wide, method)
        above.set_title(locus, fontsize=10.5)
        below.set_xlabel(f"position on {locus.rpartition(':')[0] or 'the sequence'} (kb)")
    unit = unit_of(table, unit)
    grid[0, 0].set_ylabel(with_unit("coverage", unit))
    grid[1, 0].set_ylabel(with_unit("std", unit))
    figure.align_ylabels(grid[:, 0])
    legend_below(figure, _handles(table, method, level))


def _draw_profile(axes: Axes, wide: pd.DataFrame, method: str, level: float) -> None:
    x = wide.index.to_numpy()
    if "measured" in wide:
        axes.fill_between(x, 0.0, wide["measured"], color=MEASURED, linewidth=0)
    mean, total = wide[method], _total(wide, method)
    colour = colour_of(method)
    top = mean.max()
    if total is not None:
        half = gaussian_factor(level) * total
        lower = (mean - half).clip(lower=0.0)
        axes.fill_between(x, lower, mean + half, color=colour, alpha=0.3, linewidth=0)
        top = (mean + half).max()
    axes.plot(x, mean, color=colour, linewidth=1.6)
    highest = max(top, wide["measured"].max() if "measured" in wide else 0.0)
    _finish(axes, x, highest)


def _draw_components(axes: Axes, wide: pd.DataFrame, method: str) -> None:
    x, highest = wide.index.to_numpy(), 0.0
    if "measured_aleatoric" in wide:
        axes.fill_between(x, 0.0, wide["measured_aleatoric"], color=MEASURED, linewidth=0)
        highest = wide["measured_aleatoric"].max()
    for name, colour in COMPONENTS.items():
        if f"{method}_{name}" in wide:
            axes.plot(x, wide[f"{method}_{name}"], color=colour, linewidth=1.5)
            highest = max(highest, wide[f"{method}_{name}"].max())
    other = "ensemble_epistemic"
    if method != "ensemble" and other in wide:
        axes.plot(x, wide[other], color=GREY, linewidth=1.1, linestyle=(0, (2, 1.5)))
        highest = max(highest, wide[other].max())
    _finish(axes, x, highest)


def _finish(axes: Axes, x: np.ndarray, highest: float) -> None:
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(0.0, 1.06 * highest or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:,g}"))


def _total(wide: pd.DataFrame, method: str) -> pd.Series | None:
    present = [wide[f"{method}_{name}"] for name in COMPONENTS if f"{method}_{name}" in wide]
    return total_std(*present) if present else None


def _handles(table: pd.DataFrame, method: str, level: float) -> list:
    series = set(table["series"])
    colour, name = colour_of(method), label_of(method)
    handles = [
        Patch(facecolor=MEASURED, label="measured: mean above, std of replicates below"),
        legend_line(colour, name),
    ]
    named = [each for each in COMPONENTS if f"{method}_{each}" in series]
    if named:
        handles.append(
            Patch(facecolor=colour, alpha=0.3, label=f"{100 * level:g} % band, {' + '.join(named)}")
        )
    handles += [legend_line(COMPONENTS[each], f"{each}, predicted") for each in named]
    if method != "ensemble" and "ensemble_epistemic" in series:
        handles.append(legend_line(GREY, "spread of the teachers", linestyle=(0, (2, 1.5))))
    return handles
