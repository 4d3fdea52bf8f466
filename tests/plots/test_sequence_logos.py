"""Figures of attribution show the numbers they are made of."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import PathPatch, Rectangle

from degu_tf.attribution.motifs import importance
from degu_tf.plots.sequence_logos import logos
from degu_tf.sequences.encoding import encode
from degu_tf.utils.errors import InputError


@pytest.fixture
def letters():
    tokens = encode(["ACGTACGTAN", "TTGACTCAAA"])
    scores = np.random.default_rng(1).normal(size=(2, 10, 4))
    return tokens, scores


def letters_of(axes):
    return [patch for patch in axes.patches if isinstance(patch, PathPatch)]


def test_letters_are_as_high_as_their_importance(letters):
    tokens, scores = letters
    figure = logos(importance(scores, tokens), tokens, ["first", "second"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["first", "second"]
    values = importance(scores, tokens)
    for row, axes in enumerate(figure.axes):
        drawn = {}
        for patch in letters_of(axes):
            box = patch.get_path().get_extents()
            position = round((box.x0 + box.x1) / 2)
            drawn[position] = box.y1 if abs(box.y1) > abs(box.y0) else box.y0
        for position, value in enumerate(values[row]):
            if np.isfinite(value):
                assert drawn[position] == pytest.approx(value, abs=1e-6)
            else:
                assert position not in drawn


def test_boxes_stand_around_motifs(letters):
    tokens, scores = letters
    sites = pd.DataFrame(
        {
            "sequence": [1, 1, 0],
            "motif": ["AP-1", "GATA", "AP-1"],
            "start": [1, 4, 8],
            "end": [8, 6, 10],
            "affinity": [1.0, 0.2, 0.6],
        }
    )
    figure = logos(importance(scores, tokens), tokens, ["a", "b"], sites, window=(0, 9))
    boxes = [
        [patch for patch in axes.patches if isinstance(patch, Rectangle)] for axes in figure.axes
    ]
    assert [(box.get_x(), box.get_width()) for box in boxes[1]] == [(0.5, 7), (3.5, 2)]
    assert [box.get_linestyle() for box in boxes[1]] == ["-", "--"]
    assert [(box.get_x(), box.get_width()) for box in boxes[0]] == [(7.5, 1)]
    assert boxes[0][0].get_edgecolor() == boxes[1][0].get_edgecolor()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["AP-1", "GATA", "strong match", "weak match"]


def test_long_sequences_show_where_scores_are_large():
    tokens = np.zeros((1, 60), np.uint8)
    scores = np.zeros((1, 60, 4))
    scores[0, 41:45, 0] = 1.0
    (axes,) = logos(importance(scores, tokens), tokens, ["x"], window=10).axes
    low, high = axes.get_xlim()
    assert high - low == 10
    assert low <= 40.5
    assert high >= 44.5


def test_what_cannot_be_drawn_is_refused(letters):
    tokens, scores = letters
    with pytest.raises(InputError, match=r"2 titles, one a row. Received: 1"):
        logos(importance(scores, tokens), tokens, ["a"])
    with pytest.raises(InputError, match=r"window within 10 bases. Received: \(3, 11\)"):
        logos(importance(scores, tokens), tokens, ["a", "b"], window=(3, 11))
    with pytest.raises(InputError, match=r"shape \(2, 10\)\. Received: .* \(2, 10, 4\)"):
        logos(scores, tokens, ["a", "b"])
