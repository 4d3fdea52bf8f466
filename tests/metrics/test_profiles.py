"""Correlations of profiles against scipy on the pooled values, and what their intervals promise."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from degu_tf.heads import HeadLayout, Prediction
from degu_tf.metrics.profiles import (
    BY_BIN,
    COUNTS,
    WHOLE,
    ProfileScore,
    profile_score,
)
from degu_tf.utils.errors import InputError

HEADS = HeadLayout(("a", "b"), aleatoric="log_variance")
N, LENGTH = 12, 30


@pytest.fixture(scope="module")
def judged():
    rng = np.random.default_rng(0)
    measured = rng.gamma(2.0, 1.0, (N, LENGTH, 4)) + 3.0
    mean = measured[..., :2] + rng.normal(0.0, 2.0, (N, LENGTH, 2))
    std = np.exp(0.5 * measured[..., 2:]) * rng.gamma(3.0, 1.0, (N, LENGTH, 2))
    return Prediction(("a", "b"), mean, aleatoric=std), measured


def value(table, target, head, metric):
    rows = table[(table.target == target) & (table["head"] == head) & (table.metric == metric)]
    (row,) = rows.to_dict("records")
    return row


def test_correlations_are_those_of_the_plain_formulas(judged):
    prediction, measured = judged
    table = profile_score(prediction, measured, HEADS, method="x")
    assert set(table["method"]) == {"x"}
    assert len(table) == 2 * (3 + 2)
    for index, target in enumerate(HEADS.targets):
        pairs = {
            "activity": (prediction.mean[..., index], measured[..., index]),
            "aleatoric": (
                prediction.aleatoric[..., index], np.exp(0.5 * measured[..., 2 + index])
            ),
        }  # fmt: skip
        for head, (x, y) in pairs.items():
            row = value(table, target, head, WHOLE)
            assert row["value"] == pytest.approx(stats.pearsonr(x.ravel(), y.ravel())[0])
            assert row["low"] < row["value"] < row["high"]
            assert row["n"] == N
            each = [stats.pearsonr(*rows)[0] for rows in zip(x, y, strict=True)]
            assert value(table, target, head, BY_BIN)["value"] == pytest.approx(np.mean(each))
        x, y = (np.log1p(np.maximum(side.sum(axis=1), 0)) for side in pairs["activity"])
        assert value(table, target, "activity", COUNTS)["value"] == pytest.approx(
            stats.pearsonr(x, y)[0]
        )


def test_bins_without_signal_are_left_out_of_the_mean_over_bins(judged):
    prediction, measured = judged
    silent = measured.copy()
    silent[3] = 1.0
    table = profile_score(prediction, silent, HEADS)
    assert value(table, "a", "activity", BY_BIN)["n"] == N - 1
    assert value(table, "a", "activity", WHOLE)["n"] == N
    nothing = profile_score(prediction, np.ones_like(measured), HEADS)
    assert nothing["value"].isna().all()
    assert nothing["low"].isna().all()


def test_bins_may_come_a_few_at_a_time(judged):
    prediction, measured = judged
    scores = ProfileScore(HEADS)
    for start in (0, 5, 11):
        rows = slice(start, {0: 5, 5: 11, 11: N}[start])
        scores.update(prediction.select(rows), measured[rows])
    pd.testing.assert_frame_equal(scores.table(seed=4), profile_score(*judged, HEADS, seed=4))


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """The data have a known r of 0.6, whole bins go together, and bins are independent."""
    heads, inside, n_trials = HeadLayout(("a",)), 0, 200
    for trial in range(n_trials):
        rng = np.random.default_rng(trial)
        x = rng.normal(size=(60, 1, 1)).repeat(5, axis=1)
        y = 0.6 * x + 0.8 * rng.normal(size=(60, 1, 1)).repeat(5, axis=1)
        row = profile_score(Prediction(("a",), x), y, heads, seed=trial).iloc[0]
        assert row["metric"] == WHOLE
        inside += row["low"] <= 0.6 <= row["high"]
    assert 0.88 <= inside / n_trials <= 0.99


def test_what_does_not_go_together(judged):
    prediction, measured = judged
    with pytest.raises(InputError, match=r"shape \(12, 29, 2\)"):
        profile_score(prediction, measured[:, :29], HEADS)
