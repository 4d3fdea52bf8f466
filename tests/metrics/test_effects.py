"""Correlations of effects with bootstrap intervals, against scipy and plain resampling."""

import numpy as np
import pytest
from scipy import stats

from degu_tf.metrics.correlation import weighted_pearson
from degu_tf.metrics.effects import (
    ALL,
    _counts,
    _ranks,
    against_uncertainty,
    below_percentiles,
    correlations,
    texture,
)
from degu_tf.utils.errors import InputError


@pytest.fixture(scope="module")
def effects():
    """Predicted and measured effects of 60 positions with ties, three alternatives each."""
    rng = np.random.default_rng(1)
    positions = np.repeat(np.arange(60), 3)
    shared = rng.normal(size=60)[positions]
    predicted = np.round(shared + 0.3 * rng.normal(size=180), 1)
    measured = shared + 0.8 * rng.normal(size=180)
    return predicted, measured, positions


def test_values_are_scipys(effects):
    predicted, measured, positions = effects
    table = correlations(predicted, measured, groups=positions, method="x").set_index("metric")
    assert table["value"]["pearson"] == pytest.approx(stats.pearsonr(predicted, measured)[0])
    assert table["value"]["spearman"] == pytest.approx(stats.spearmanr(predicted, measured)[0])
    assert (table["lower"] < table["value"]).all()
    assert (table["value"] < table["upper"]).all()
    assert set(table["method"]) == {"x"}
    assert set(table["n"]) == {180}


def test_each_draw_is_that_of_the_rows_repeated(effects):
    predicted, measured, positions = effects
    (counts,) = _counts(positions, 5, np.random.default_rng(0))
    ranked = weighted_pearson(_ranks(predicted, counts), _ranks(measured, counts), counts)
    plain = weighted_pearson(predicted, measured, counts)
    for draw in range(5):
        rows = np.repeat(np.arange(180), counts[draw].astype(int))
        assert len(rows) == 180
        assert counts[draw][::3].tolist() == counts[draw][1::3].tolist()
        x, y = predicted[rows], measured[rows]
        assert plain[draw] == pytest.approx(stats.pearsonr(x, y)[0])
        assert ranked[draw] == pytest.approx(stats.spearmanr(x, y)[0])


def test_positions_drawn_together_give_wider_intervals(effects):
    predicted, measured, positions = effects
    together, apart = (
        correlations(predicted, measured, groups=groups, kinds=("pearson",)).iloc[0]
        for groups in (positions, None)
    )
    assert together["upper"] - together["lower"] > 1.1 * (apart["upper"] - apart["lower"])


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(200):
        x, noise = rng.normal(size=(2, 80))
        row = correlations(x, 0.6 * x + 0.8 * noise, kinds=("pearson",), resamples=200).iloc[0]
        inside += row["lower"] < 0.6 < row["upper"]
    assert 0.88 < inside / 200 <= 0.99


def test_draws_in_parts_are_draws_of_all_rows(effects, monkeypatch):
    predicted, measured, positions = effects
    monkeypatch.setattr("degu_tf.metrics.effects._AT_ONCE", 180 * 7)
    table = correlations(predicted, measured, groups=positions, resamples=50)
    assert np.isfinite(table[["lower", "upper"]].to_numpy()).all()
    assert sum(len(c) for c in _counts(positions, 50, np.random.default_rng(0))) == 50


def test_the_same_seed_gives_the_same_interval(effects):
    first, again = (correlations(*effects[:2], seed=4, resamples=50) for _ in range(2))
    other = correlations(*effects[:2], seed=5, resamples=50)
    assert first.equals(again)
    assert not first.equals(other)


def test_below_percentiles_are_the_variants_of_least_uncertainty(effects):
    predicted, measured, positions = effects
    uncertainty = np.random.default_rng(2).random(180)
    table = below_percentiles(
        predicted, measured, uncertainty, groups=positions, resamples=20, seed=1
    )
    assert table["below"].tolist() == [25, 25, 50, 50, 75, 75, ALL, ALL]
    least = np.argsort(uncertainty)[:45]
    row = table.iloc[0]
    assert (row["metric"], row["n"]) == ("pearson", 45)
    assert row["value"] == pytest.approx(stats.pearsonr(predicted[least], measured[least])[0])
    assert table.iloc[-1]["value"] == pytest.approx(stats.spearmanr(predicted, measured)[0])


def test_where_uncertainty_does_not_vary_no_variant_lies_below(effects):
    table = below_percentiles(*effects[:2], np.ones(180), resamples=5)
    assert table["n"].tolist() == [0] * 6 + [180] * 2
    assert table["value"].isna().tolist() == [True] * 6 + [False] * 2
    assert table["lower"].isna().tolist() == [True] * 6 + [False] * 2


def test_uncertainty_against_distance_from_zero():
    effect = np.arange(-24.5, 25.0)
    stds = {"aleatoric": 1.0 / (1.0 + np.abs(effect)), "epistemic": np.abs(effect) ** 2}
    table = against_uncertainty({"effect": effect, "shifted": effect + 24.5}, stds, resamples=10)
    values = table.set_index(["against", "component"])["value"]
    assert values["effect", "aleatoric"] == pytest.approx(-1.0)
    assert values["effect", "epistemic"] == pytest.approx(1.0)
    assert abs(values["shifted", "epistemic"]) < 0.1
    assert set(table["metric"]) == {"spearman"}


def test_texture_in_closed_form():
    positions = np.array([1, 1, 1, 2, 2, 2, 3])
    values = np.array([1.0, 2.0, 3.0, 4.0, 4.0, 4.0, 6.0])
    table = texture({"epistemic": values}, positions, seed=2).set_index("metric")["value"]
    mean = values.mean()
    assert table["mean"] == pytest.approx(mean)
    assert table["nucleotides"] == pytest.approx(np.sqrt((2 / 3 + 0.0) / 2) / mean)
    assert table["positions"] == pytest.approx(np.std([2.0, 4.0, 6.0]) / mean)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [1.0]), r"one length.*\(2,\) \(predicted\), \(1,\)"),
        (([1.0, np.nan, 2.0], [1.0, 2.0, 3.0]), r"nan \(predicted\) in row 1"),
        (([1.0, 2.0], [1.0, np.inf]), r"inf \(measured\) in row 1"),
    ],
)
def test_what_cannot_be_correlated(arguments, message):
    with pytest.raises(InputError, match=message):
        correlations(*arguments)


def test_unknown_words_are_refused():
    x = np.arange(5.0)
    with pytest.raises(InputError, match=r"kinds among.*Received: \['kendall'\]"):
        correlations(x, x, kinds=("kendall",))
    with pytest.raises(InputError, match=r"between 0 and 100\. Received: \[100\]"):
        below_percentiles(x, x, x, percentiles=(25, 100))


def test_too_few_variants_have_no_correlation():
    table = correlations([1.0, 2.0], [2.0, 1.0], resamples=5)
    assert table[["value", "lower", "upper"]].isna().all().all()
