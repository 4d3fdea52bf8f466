"""Axes that figures share: ticks that can be read, windows, colours."""

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure

from degu_tf.plots.style import densest_window, logarithmic


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (3.1, 4.6), (0.21, 0.48), (0.9, 11.0), (0.04, 0.95), (0.02, 9.0), (3e-3, 8.0), (1e-4, 30.0),
        (1e-9, 1.0), (1e-6, 12.0), (4e-6, 40.0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["xaxis", "yaxis"])
def test_logarithmic_ticks_are_there_and_apart(low, high, name):
    figure = Figure(figsize=(2.6, 2.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([low, high], [low, high])
    axis = getattr(axes, name)
    logarithmic(axis)
    figure.draw_without_rendering()
    ends = axis.get_view_interval()
    shown = [
        label
        for label, place in zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=True)
        if ends[0] <= place <= ends[1] and label.get_text()
    ]
    assert len(shown) >= 2
    boxes = [label.get_window_extent() for label in shown]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_the_densest_window_has_the_largest_sum():
    weights = np.random.default_rng(0).random(40)
    window = densest_window(weights, 7)
    sums = [weights[start : start + 7].sum() for start in range(34)]
    assert window == slice(int(np.argmax(sums)), int(np.argmax(sums)) + 7)
    assert densest_window(weights, 50) == slice(0, 40)
