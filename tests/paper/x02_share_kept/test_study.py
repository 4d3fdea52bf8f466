"""Shares kept by recipe and size, against the package's own scores."""

import numpy as np
import pandas as pd
import pytest
from numbered_scripts import load

from degu_tf.metrics.activity import score
from degu_tf.metrics.kmer_ridge import KmerRidge
from degu_tf.paper.x02_share_kept.figure import share_kept_figure
from degu_tf.paper.x02_share_kept.study import Settings, shares


def pearson(prediction, splits, target):
    table = score(prediction, splits.test.targets, splits.heads)
    rows = (table["metric"] == "pearson") & (table["head"] == "activity")
    return table[rows & (table["target"] == target)]["value"].item()


def test_rows_say_what_models_and_ridge_score(teachers, student, splits, spec):
    asked = []

    class Trained:
        """A store that holds one ensemble and one student, and notes what it was asked for."""

        def teachers(self, part, *arguments, unlearned):
            asked.append(("teachers", len(part.train), arguments[2].schedule, unlearned))
            return teachers

        def students(self, of, part, seeds, student_spec, settings, *, distillation):
            for _ in seeds:
                asked.append(("student", len(part.train), settings.schedule, distillation.pool))
                yield student

    settings = Settings(spec, 2, 1, (100, None))
    table = shares(splits, settings, Trained(), seed=0)
    assert asked[:4] == [
        ("teachers", 100, "plateau", "keep"),
        ("student", 100, "plateau", None),
        ("teachers", 100, "cosine", "leave-out"),
        ("student", 100, "cosine", 5_000),
    ]
    assert table["n_train"].tolist() == [100] * 6 + [400] * 6
    row = table[(table["n_train"] == 400) & (table["target"] == "Hk")].iloc[0]
    test = splits.test.sequences
    single = [pearson(member.predict(test), splits, "Hk") for member in teachers.members]
    assert row["single"] == pytest.approx(np.mean(single))
    assert row["best_single"] == pytest.approx(max(single))
    assert row["ensemble"] == pytest.approx(pearson(teachers.predict(test), splits, "Hk"))
    assert row["student"] == pytest.approx(pearson(student.predict(test), splits, "Hk"))
    ridge = KmerRidge().fit(splits.train.sequences, splits.train.targets[:, :2])
    r = np.corrcoef(ridge.predict(test)[:, 1], splits.test.targets[:, 1])[0, 1]
    assert row["kmer_ridge"] == pytest.approx(r)
    spreads = [each.predict(test).epistemic[:, 1] for each in (student, teachers)]
    assert row["spread"] == pytest.approx(spreads[0].mean() / spreads[1].mean())
    assert row["epistemic"] == pytest.approx(np.corrcoef(*spreads)[0, 1])


@pytest.mark.parametrize(("low", "holds"), [(0.95, True), (0.85, False)])
def test_a_share_is_told_no_better_than_the_test_sequences_allow(low, holds):
    """Students differ little, but their gains are of the same sequences and teachers."""
    decide = load("x02_share_kept").keeps_all
    rows = {
        "recipe": "best",
        "target": "mean",
        "share": [1.0, 1.001, 0.999],
        "low": low,
        "high": 1.2,
    }
    verdict = decide(pd.DataFrame(rows))
    assert (verdict.verdict == "holds") == holds
    assert (verdict.low, verdict.high) == (pytest.approx(low, abs=0.05), 1.2)


def test_the_figure_takes_intervals_beside_the_share():
    """A percentile interval need not hold the share itself."""
    row = {"target": "mean", "single": 0.5, "ensemble": 0.6, "student": 0.58, "kmer_ridge": 0.4}
    row |= {"share": 0.8, "low": 0.85, "high": 0.95}
    table = pd.DataFrame(
        [row | {"recipe": name, "n_train": n} for name in ("paper", "best") for n in (64, 256)]
    )
    figure = share_kept_figure(table)
    assert [axes.get_title() for axes in figure.axes] == [
        "recipe paper", "recipe best", "Share of the gain kept",
    ]  # fmt: skip
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["64", "256"]
