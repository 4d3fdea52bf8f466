"""Claims and figures of Supplementary Figure 1 on tables whose answer is known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from degu_tf.attribution.consistency import STD
from degu_tf.data.splits import Split
from degu_tf.heads import HeadLayout
from degu_tf.metrics.profiles import (
    BY_BIN,
    COUNTS,
    WHOLE,
    ProfileScore,
)
from degu_tf.paper.claims import (
    ABSENT,
    FAILS,
    HOLDS,
    judge,
)
from degu_tf.paper.s01_profiles.claims import CLAIMS, conclude
from degu_tf.paper.s01_profiles.study import PRESETS, TRACK, data_of, largest, score_methods
from degu_tf.plots import tracks
from degu_tf.utils.errors import InputError

HEADS = HeadLayout(("ATAC",), aleatoric="std")


def test_the_paper_preset_needs_data():
    context = SimpleNamespace(settings=PRESETS["paper"], data=(), seed=0)
    with pytest.raises(InputError, match=r"the paper preset needs the data.*no --data"):
        data_of(context)


def made(student=0.8, single=0.8, ensemble=0.82, aleatoric=0.4, epistemic=0.5, spread=0.5):
    """A table with these correlations, three models each, and tracks of two loci."""
    rng = np.random.default_rng(0)
    rows = []

    def add(method, head, value, n=3):
        for metric in (WHOLE, BY_BIN, COUNTS) if head == "activity" else (WHOLE, BY_BIN):
            for seed in range(n):
                rows.append({"method": method, "seed": seed, "head": head, "metric": metric,
                             "value": value + rng.normal(0.0, 0.002)})  # fmt: skip

    for method, value in (("single", single), ("student", student), ("dynamic", student)):
        add(method, "activity", value)
        add(method, "aleatoric", aleatoric)
        if method != "single":
            add(method, "epistemic", epistemic)
    add("ensemble", "activity", ensemble, 1)
    add("ensemble", "aleatoric", aleatoric, 1)
    for method, scale in (("single", 1.0), ("student", spread), ("dynamic", spread)):
        for scaling in ("none", "largest"):
            for sequence in range(8):
                rows.append({"method": method, "head": "activity", "metric": STD,
                             "scaling": scaling, "sequence": sequence,
                             "value": scale * (1.0 + 0.02 * rng.random())})  # fmt: skip
    for locus in ("chr8:0-40", "chr8:80-120"):
        for series in ("measured", "measured_aleatoric", "student", "student_aleatoric",
                       "student_epistemic", "ensemble", "ensemble_epistemic"):  # fmt: skip
            for position in range(40):
                rows.append({"metric": TRACK, "locus": locus, "position": position,
                             "series": series, "value": rng.random()})  # fmt: skip
    return pd.DataFrame(rows).assign(target="ATAC", dataset="d")


@pytest.mark.parametrize(
    ("changed", "failing"),
    [
        ({}, set()),
        ({"student": 0.75, "ensemble": 0.78}, {0, 2}),
        ({"ensemble": 0.9}, {1, 3}),
        ({"spread": 1.5}, {4, 5}),
        ({"aleatoric": -0.1}, {6}),
        ({"aleatoric": 0.9}, {7}),
        ({"epistemic": -0.2}, {8}),
    ],
)
def test_claims_are_decided_as_the_table_says(changed, failing):
    verdicts = judge(CLAIMS, made(**changed))["verdict"]
    assert {row for row, verdict in enumerate(verdicts) if verdict == FAILS} == failing
    assert set(verdicts) <= {HOLDS, FAILS}


def test_a_table_without_results_decides_nothing():
    table = made()
    verdicts = judge(CLAIMS, table[table["metric"] == TRACK])["verdict"]
    assert set(verdicts) == {ABSENT}


def test_the_conclusion_has_every_method():
    text = conclude(made())
    for word in ("single", "student", "dynamic", "ensemble", "activity, log counts"):
        assert word in text


def test_figures_show_what_is_in_the_table(s01):
    table = made()
    figure = s01.draw(table)
    assert len(figure.axes) == 3 + 4
    loci = table[table["metric"] == TRACK]
    figure = tracks(loci, level=0.9)
    figure.canvas.draw()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:2] == ["chr8:0-40", "chr8:80-120"]
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert "90 % band, aleatoric + epistemic" in labels
    line = figure.axes[0].lines[0]
    student = loci[(loci["locus"] == "chr8:0-40") & (loci["series"] == "student")]
    assert np.array_equal(line.get_ydata(), student["value"])
    bare = loci[~loci["series"].str.contains("epistemic|aleatoric")]
    assert len(tracks(bare).axes) == 4


def test_a_method_that_is_not_there():
    table = made()
    with pytest.raises(InputError, match=r"one of .*'student'.*Received: method='oracle'"):
        tracks(table[table["metric"] == TRACK], method="oracle")


class Known:
    """A model of profiles: multiples of one and another one where there is an adenine."""

    input_length = 8

    def __init__(self, heads, *factors):
        self.heads, self.factors = heads, factors

    def fingerprint(self):
        return str(self.factors)

    def predict(self, tokens):
        columns = [((tokens == 0) + 1.0) * factor for factor in self.factors]
        return self.heads.student().prediction(np.stack(columns, axis=2))


def test_scores_are_those_of_the_whole_bins(monkeypatch):
    """Bins are longer than the models' input, and come in parts."""
    monkeypatch.setattr("degu_tf.paper.s01_profiles.study.BINS", 3)
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 4, (7, 14), dtype=np.uint8), rng.random((7, 14, 2)))
    student, teachers = Known(HEADS, 2.0, 3.0, 1.0), Known(HEADS, 1.0, 1.0, 1.0)
    table = score_methods({("student", 0): student}, teachers, split, HEADS)
    expected = ProfileScore(HEADS)
    expected.update(student.predict(split.sequences), split.targets)
    rows = table[(table["method"] == "student") & (table["head"] != "epistemic")]
    pd.testing.assert_frame_equal(
        rows[["target", "head", "metric", "value", "low", "high", "n"]].reset_index(drop=True),
        expected.table(),
    )
    epistemic = table[(table["head"] == "epistemic") & (table["metric"] == WHOLE)]
    assert epistemic["value"].tolist() == pytest.approx([1.0])
    assert set(table["method"]) == {"student", "ensemble"}


def test_loci_are_those_with_the_most_coverage():
    targets = np.zeros((4, 6, 2))
    targets[:, :, 0] = np.array([1.0, 3.0, 0.0, 2.0])[:, np.newaxis]
    split = Split(np.zeros((4, 6), np.uint8), targets, np.array(list("abcd")))
    assert largest(split, HEADS, 2).names.tolist() == ["b", "d"]
    assert len(largest(split, HEADS, 9)) == 4
