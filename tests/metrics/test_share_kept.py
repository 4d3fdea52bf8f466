"""The share of an ensemble's gain that a student keeps, against scipy."""

import numpy as np
import pytest
from scipy import stats

from degu_tf.metrics.share_kept import share_kept
from degu_tf.utils.errors import InputError

RNG = np.random.default_rng(1)
TRUTH = RNG.normal(size=(400, 2))
MEMBERS = TRUTH + RNG.normal(size=(5, 400, 2))
STUDENT = TRUTH + 0.6 * RNG.normal(size=(400, 2))


def test_shares_are_made_of_scipys_correlations():
    table = share_kept(STUDENT, MEMBERS, TRUTH, ("a", "b")).set_index("target")
    for i, target in enumerate("ab"):
        r = [stats.pearsonr(member[:, i], TRUTH[:, i]).statistic for member in MEMBERS]
        ensemble = stats.pearsonr(MEMBERS.mean(axis=0)[:, i], TRUTH[:, i]).statistic
        student = stats.pearsonr(STUDENT[:, i], TRUTH[:, i]).statistic
        row = table.loc[target]
        np.testing.assert_allclose(
            [row["single"], row["ensemble"], row["student"], row["share"]],
            [np.mean(r), ensemble, student, (student - np.mean(r)) / (ensemble - np.mean(r))],
        )
    assert table.loc["mean", "share"] == pytest.approx(table.loc[["a", "b"], "share"].mean())


def test_a_member_keeps_nothing_and_the_ensemble_all():
    kept = [share_kept(member, MEMBERS, TRUTH, ("a", "b"))["share"].iloc[2] for member in MEMBERS]
    assert np.mean(kept) == pytest.approx(0.0, abs=1e-9)
    assert share_kept(MEMBERS.mean(axis=0), MEMBERS, TRUTH, ("a", "b"))["low"].min() > 1 - 1e-9


def test_no_share_is_kept_of_a_gain_that_there_is_not():
    """As where the ensemble's mean is that of members which contradict each other."""
    members = np.stack([TRUTH, TRUTH, -4.0 * TRUTH])
    table = share_kept(STUDENT, members, TRUTH, ("a", "b"))
    assert (table["ensemble"] < table["single"]).all()
    assert table[["share", "low", "high"]].isna().all(axis=None)


@pytest.mark.slow
def test_intervals_are_scipys_bootstrap():
    table = share_kept(STUDENT, MEMBERS, TRUTH, ("a", "b"), n_bootstrap=4000, level=0.9)

    def share(rows):
        rows = rows.astype(int)
        r = [stats.pearsonr(member[rows, 0], TRUTH[rows, 0]).statistic for member in MEMBERS]
        ensemble = stats.pearsonr(MEMBERS.mean(axis=0)[rows, 0], TRUTH[rows, 0]).statistic
        student = stats.pearsonr(STUDENT[rows, 0], TRUTH[rows, 0]).statistic
        return (student - np.mean(r)) / (ensemble - np.mean(r))

    theirs = stats.bootstrap(
        (np.arange(400.0),), share, n_resamples=2000, confidence_level=0.9, method="percentile",
        vectorized=False, rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    # both are quantiles of a few thousand draws, whose standard error is about 0.005
    np.testing.assert_allclose(table.loc[0, ["low", "high"]].tolist(), list(theirs), atol=0.025)


def test_what_does_not_go_together():
    with pytest.raises(InputError, match="same sequences"):
        share_kept(STUDENT[:5], MEMBERS, TRUTH, ("a", "b"))
    with pytest.raises(InputError, match="2 names"):
        share_kept(STUDENT, MEMBERS, TRUTH, ("a",))
