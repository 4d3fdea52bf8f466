"""Figure 1: how an ensemble is distilled into one student, as a drawing.

``python -m degu_tf.paper.schematic experiments/figure1.svg`` writes it.
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from degu_tf.plots.palette import COLOURS
from degu_tf.utils.files import atomic_write

WIDTH, HEIGHT = 7.2, 3.3
"""Inches: the width of a journal's page."""

_SEQUENCE = "ACGTTGAC...TCA"
_LABELS = (
    (24.0, "mean", "activity"),
    (18.0, "standard deviation\nover teachers", "epistemic\nuncertainty"),
    (9.0, "standard deviation\nover replicates", "aleatoric\nuncertainty"),
)
"""For each output of the student: its height, what its label is, and its name."""


def schematic() -> Figure:
    """Figure 1: teachers label a sequence, and a student learns the labels.

    The teachers' mean and standard deviation are labels of activity and epistemic uncertainty; the
    standard deviation over replicates of the measurement is that of aleatoric uncertainty, where
    there are replicates (Zhou et al., Fig. 1 and Results, first section).

    Examples
    --------
    >>> [text.get_text() for text in schematic().axes[0].texts][:2]
    ['a', 'b']
    """
    figure = Figure(figsize=(WIDTH, HEIGHT))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, 72), ylim=(0, 33))
    axes.set_axis_off()
    for letter, x in (("a", 0.8), ("b", 46.0)):
        axes.text(x, 31.0, letter, fontweight="bold", fontsize=10)
    _teachers(axes)
    _replicates(axes)
    _student(axes)
    return figure


def _teachers(axes: Axes) -> None:
    """A sequence, the ensemble of teachers, and the distribution of what they predict."""
    _words(axes, 6.0, 22.5, _SEQUENCE, family="monospace")
    _words(axes, 6.0, 20.0, "training sequence", colour="0.4")
    for y, name in ((28.0, "teacher 1"), (23.5, "teacher 2"), (17.0, "teacher M")):
        _box(axes, (15.0, y), (8.0, 3.0), name, COLOURS["single"])
        _arrow(axes, (11.3, 22.7), (14.8, y + 1.5))
        _arrow(axes, (23.2, y + 1.5), (26.6, 22.7))
    _words(axes, 19.0, 21.7, "...", size=9)
    x = np.linspace(-2.6, 2.6, 80)
    axes.plot(
        29.5 + x, 20.5 + 5.0 * np.exp(-(x**2) / 1.4), color=COLOURS["ensemble"], linewidth=1.5
    )
    axes.plot([26.6, 32.4], [20.5, 20.5], color="0.4", linewidth=0.8)
    axes.plot([29.5, 29.5], [20.5, 25.5], color=COLOURS["ensemble"], linewidth=0.8, linestyle=":")
    _words(axes, 29.5, 27.5, "their predictions", colour=COLOURS["ensemble"])


def _replicates(axes: Axes) -> None:
    """Measurements of the same sequence."""
    rows = ((9.5, "replicate 1"), (7.0, "replicate 2"), (4.5, "replicate 3"))
    for (y, name), width in zip(rows, (5.0, 3.6, 5.8), strict=True):
        _words(axes, 14.4, y + 0.6, name, colour="0.4")
        axes.add_patch(FancyBboxPatch((19.0, y), width, 1.2, boxstyle="square,pad=0", color="0.7"))
    _words(axes, 17.5, 2.0, "its measurement, if replicated", colour="0.4")
    _arrow(axes, (26.2, 7.6), (33.6, 9.0))


def _student(axes: Axes) -> None:
    """The labels, and a student that learns them from the sequence alone."""
    _arrow(axes, (32.6, 23.4), (35.4, 24.0))
    _arrow(axes, (32.6, 21.2), (33.6, 19.4))
    for y, label, output in _LABELS:
        _words(axes, 39.5, y, label)
        _arrow(axes, (45.0, y), (61.3, y), dashed=True)
        _words(axes, 66.6, y, output, colour=COLOURS["student"])
    _words(axes, 39.5, 28.5, "labels", colour="0.4")
    axes.add_patch(
        FancyBboxPatch((48.0, 5.0), 9.0, 22.5, boxstyle="round,pad=0,rounding_size=0.8",
                       facecolor="white", edgecolor=COLOURS["student"], linewidth=1.5, zorder=3)
    )  # fmt: skip
    _words(axes, 52.5, 16.5, "student:\none network", colour=COLOURS["student"], over=True)
    for y, _, _ in _LABELS:
        _arrow(axes, (57.2, y), (61.3, y), colour=COLOURS["student"])
    _words(axes, 52.5, 1.5, _SEQUENCE, family="monospace")
    _arrow(axes, (52.5, 2.7), (52.5, 4.8))
    _words(axes, 66.6, 28.5, "outputs", colour="0.4")
    _words(axes, 66.6, 1.5, "dashed: in training alone", colour="0.4", size=6.0)


def _box(
    axes: Axes, corner: tuple[float, float], size: tuple[float, float], text: str, colour: str
) -> None:
    style = "round,pad=0,rounding_size=0.6"
    axes.add_patch(
        FancyBboxPatch(corner, *size, boxstyle=style, facecolor="white", edgecolor=colour,
                       linewidth=1.5)
    )  # fmt: skip
    _words(axes, corner[0] + size[0] / 2, corner[1] + size[1] / 2, text, colour=colour)


def _arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    *,
    dashed: bool = False,
    colour: str = "0.4",
) -> None:
    style = "--" if dashed else "-"
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=7, linestyle=style,
                        color=colour, linewidth=0.9, shrinkA=0, shrinkB=0)
    )  # fmt: skip


def _words(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    *,
    colour: str = "black",
    size: float = 7.0,
    family: str = "sans-serif",
    over: bool = False,
) -> None:
    axes.text(
        x, y, text, color=colour, fontsize=size, family=family, ha="center", va="center",
        zorder=4 if over else 2,
    )  # fmt: skip


def write(path: Path) -> None:
    """Write the drawing as SVG; the same bytes each time."""
    with (
        mpl.rc_context({"svg.hashsalt": "degu", "svg.fonttype": "path"}),
        atomic_write(path) as temporary,
    ):
        schematic().savefig(temporary, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    write(Path(sys.argv[1]))
