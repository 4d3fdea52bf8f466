"""AUROC of motif positions and agreement of maps, against counting pairs by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from degu_tf.attribution.gradients import gradient_correction
from degu_tf.attribution.motifs import (
    AUROC,
    POOLED,
    auroc,
    importance,
    motif_auroc,
    motif_positions,
    relevant_sites,
)
from degu_tf.data.simulation.grammar import true_activity
from degu_tf.data.simulation.mpra import simulate
from degu_tf.utils.errors import InputError

LENGTH = 60


@pytest.fixture
def rng():
    return np.random.default_rng(8)


@pytest.fixture(scope="module")
def simulated():
    """Test sequences of a simulated assay and the sites in them."""
    made = simulate((1, 1, 60), LENGTH, seed=2)
    sites = made.truth.motifs
    return made.splits.test.sequences, sites[sites["split"] == "test"]


def plain_auroc(scores, inside):
    pairs = [(a, b) for a in scores[inside] for b in scores[~inside]]
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)


def test_importance_is_the_corrected_score_of_the_base_that_is_there(rng):
    scores = rng.normal(size=(3, 5, 4))
    tokens = rng.integers(0, 4, (3, 5)).astype(np.uint8)
    tokens[1, 2] = 4
    values = importance(scores, tokens)
    corrected = gradient_correction(scores)
    for row in range(3):
        for position, token in enumerate(tokens[row]):
            if token == 4:
                assert np.isnan(values[row, position])
            else:
                assert values[row, position] == pytest.approx(corrected[row, position, token])


def test_auroc_counts_pairs(rng):
    scores = rng.integers(0, 6, (20, 15)).astype(float)
    inside = rng.random((20, 15)) < 0.3
    inside[4] = False
    scores[3, 5:8] = np.nan
    found = auroc(scores, inside)
    assert np.isnan(found[4])
    for row in np.flatnonzero(inside.any(axis=1)):
        known = ~np.isnan(scores[row])
        assert found[row] == pytest.approx(plain_auroc(scores[row, known], inside[row, known]))


def test_positions_are_those_of_the_sites(simulated):
    tokens, sites = simulated
    inside = motif_positions(sites, *tokens.shape)
    expected = np.zeros(tokens.shape, bool)
    for site in sites.itertuples():
        expected[site.sequence, site.start : site.end] = True
    np.testing.assert_array_equal(inside, expected)


@pytest.mark.parametrize("target", ["Dev", "Hk"])
def test_relevant_sites_are_those_whose_loss_changes_the_target(simulated, target):
    tokens, sites = simulated
    kept = relevant_sites(sites, target)
    assert 0 < len(kept) < len(sites)
    column = ("Dev", "Hk").index(target)
    swap = np.array([3, 2, 1, 0])  # keeps nothing of a site and the share of G and C
    overlapping = motif_positions(sites, *tokens.shape)
    for site in sites.drop_duplicates("sequence").itertuples():
        others = sites[(sites["sequence"] == site.sequence) & (sites["start"] != site.start)]
        apart = motif_positions(others, *tokens.shape)[site.sequence]
        if (apart & overlapping[site.sequence])[site.start - 10 : site.end + 10].any():
            continue
        before = tokens[site.sequence : site.sequence + 1]
        after = before.copy()
        after[0, site.start + 2 : site.end - 2] = swap[before[0, site.start + 2 : site.end - 2]]
        changed = true_activity(before)[0, column] != true_activity(after)[0, column]
        assert changed or site.Index not in kept.index, site
    lone = sites[sites["motif"].isin(["ETS", "Twist"])].groupby("sequence")["motif"].nunique()
    alone = set(lone[lone == 1].index)
    assert alone
    assert not (set(kept.loc[kept["motif"].isin(["ETS", "Twist"]), "sequence"]) & alone)


def test_pooled_and_mean_auroc_of_a_noisy_map(simulated, rng):
    tokens, sites = simulated
    inside = motif_positions(sites, *tokens.shape)
    scores = np.eye(4)[tokens] * (inside + rng.normal(size=tokens.shape))[..., np.newaxis]
    table = motif_auroc(scores, tokens, sites, method="x", n_resamples=200).set_index("metric")
    values = np.abs(importance(scores, tokens))
    used = inside.any(axis=1)
    each = [plain_auroc(values[row], inside[row]) for row in np.flatnonzero(used)]
    assert table.loc[AUROC, "value"] == pytest.approx(np.mean(each))
    pooled = stats.mannwhitneyu(values[used][inside[used]], values[used][~inside[used]])
    pairs = inside[used].sum() * (~inside[used]).sum()
    assert table.loc[POOLED, "value"] == pytest.approx(pooled.statistic / pairs)
    assert (table["n"] == used.sum()).all()
    assert (table["lower"] < table["value"]).all()
    assert (table["value"] < table["upper"]).all()
    half = 1.96 * np.std(each) / np.sqrt(len(each))
    width = table.loc[AUROC, "upper"] - table.loc[AUROC, "lower"]
    assert width == pytest.approx(2.0 * half, rel=0.25)


def test_resampled_pools_are_pools_of_resampled_sequences(simulated, rng):
    from degu_tf.attribution.motifs import _Pooled

    tokens, sites = simulated
    inside = motif_positions(sites, *tokens.shape)
    scores = rng.integers(0, 9, tokens.shape).astype(float)
    counts = rng.integers(0, 3, len(tokens))
    rows = np.repeat(np.arange(len(tokens)), counts)
    expected = auroc(scores[rows].reshape(1, -1), inside[rows].reshape(1, -1))
    assert _Pooled(scores, inside)(counts) == pytest.approx(expected[0])


def test_what_cannot_be_scored_is_refused(simulated, rng):
    tokens, sites = simulated
    scores = rng.normal(size=(*tokens.shape, 4))
    with pytest.raises(InputError, match=r"maps of shape \(60, 60, 4\).*\(2, 60, 4\)"):
        importance(scores[:2], tokens)
    with pytest.raises(InputError, match=r"columns sequence, motif, start, end\. Received: motif"):
        motif_auroc(scores, tokens, sites[["motif"]])
    with pytest.raises(InputError, match="sites of one split"):
        relevant_sites(pd.concat([sites, sites.assign(split="train")]), "Dev")
    with pytest.raises(InputError, match=r"one of \('Dev', 'Hk'\)"):
        relevant_sites(sites, "activity")
    with pytest.raises(InputError, match="within 60 sequences of 40 bases"):
        motif_positions(sites, 60, 40)
    with pytest.raises(InputError, match="no sequence has positions both"):
        motif_auroc(scores, tokens, sites.iloc[:0])
    with pytest.raises(InputError, match=r"level=1\.5"):
        motif_auroc(scores, tokens, sites, level=1.5)
