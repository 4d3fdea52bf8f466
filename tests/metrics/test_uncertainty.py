"""Proper scores and rankings against scipy, integrals and plain loops."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from degu_tf.heads import FlooredUncertaintyWarning, HeadLayout, Prediction
from degu_tf.metrics.intervals import coverage
from degu_tf.metrics.uncertainty import (
    error_by_uncertainty,
    gaussian_crps,
    gaussian_nll,
    proper_scores,
    sparsification_curve,
    sparsification_scores,
)
from degu_tf.utils.errors import InputError

ONE = HeadLayout(("activity",))
TABLES = [
    error_by_uncertainty, proper_scores, sparsification_curve,
    sparsification_scores,
]  # fmt: skip


def said(std, mean=None):
    """A prediction of one target with epistemic uncertainty, from vectors."""
    std = np.asarray(std, float)[:, np.newaxis]
    return Prediction(("activity",), np.zeros_like(std) if mean is None else mean, epistemic=std)


def column(values):
    return np.asarray(values, float)[:, np.newaxis]


def values(table):
    return dict(zip(table["metric"], table["value"], strict=True))


def ranked(std, errors, **options):
    """AUSE and AURG of one component."""
    options = {"components": ["total"], **options}
    return values(sparsification_scores(said(std), column(errors), ONE, **options))


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(0)
    return rng.normal(0, 2, 40), rng.uniform(0.05, 3, 40), rng.normal(0, 2, 40)


def test_nll_is_scipys(points):
    mean, std, measured = points
    expected = -stats.norm.logpdf(measured, mean, std)
    np.testing.assert_allclose(gaussian_nll(mean, std, measured), expected, rtol=1e-12)


def test_crps_is_the_integral_that_defines_it(points):
    for mean, std, y in zip(*(part[:8] for part in points), strict=True):
        law = stats.norm(mean, std)
        below = integrate.quad(lambda x, law=law: law.cdf(x) ** 2, y - 60 * std, y, limit=400)[0]
        above = integrate.quad(lambda x, law=law: law.sf(x) ** 2, y, y + 60 * std, limit=400)[0]
        found = gaussian_crps(np.array(mean), np.array(std), np.array(y))
        assert float(found) == pytest.approx(below + above, rel=1e-6)


def test_crps_is_its_energy_form(points):
    """E|X - y| - E|X - X'| / 2: folded normals with means known in closed form."""
    mean, std, y = points
    to_measured = [
        stats.foldnorm(abs(m - v) / s, scale=s).mean() for m, s, v in zip(*points, strict=True)
    ]
    to_another = stats.halfnorm(scale=np.sqrt(2) * std).mean()
    expected = np.array(to_measured) - to_another / 2
    np.testing.assert_allclose(gaussian_crps(mean, std, y), expected, rtol=1e-9)


def test_crps_limits():
    far = gaussian_crps(np.zeros(2), np.full(2, 1e-6), np.array([3.0, -1e4]))
    np.testing.assert_allclose(far, [3.0, 1e4], rtol=1e-6)
    exact = gaussian_crps(np.zeros(1), np.full(1, 2.0), np.zeros(1))
    assert exact == pytest.approx(2 * (2**0.5 - 1) / np.pi**0.5)


def test_the_true_scale_has_the_best_expected_scores():
    errors = stats.norm.ppf((np.arange(2000) + 0.5) / 2000)[:, np.newaxis]
    tables = {s: values(proper_scores(said([s] * 2000), errors, ONE)) for s in (0.8, 1.0, 1.25)}
    for metric in ("nll", "crps"):
        assert min(tables, key=lambda s, metric=metric: tables[s][metric]) == 1.0


def test_tables_of_scores_are_means_for_each_target_and_component(points):
    rng = np.random.default_rng(1)
    mean, aleatoric, epistemic, measured = rng.uniform(0.1, 2, (4, 30, 2))
    prediction = Prediction(("Dev", "Hk"), mean, aleatoric, epistemic)
    heads = HeadLayout(("Dev", "Hk"))
    table = proper_scores(prediction, measured, heads, method="student")
    assert table.columns.tolist() == [
        "method",
        "target",
        "component",
        "metric",
        "value",
        "n",
        "floored",
    ]
    assert len(table) == 3 * 2 * 2
    total = np.hypot(aleatoric, epistemic)
    for component, std in (("aleatoric", aleatoric), ("epistemic", epistemic), ("total", total)):
        for index, target in enumerate(heads.targets):
            part = table[(table["target"] == target) & (table["component"] == component)]
            expected = -stats.norm.logpdf(measured, mean, std)[:, index].mean()
            assert values(part)["nll"] == pytest.approx(expected)
            expected = gaussian_crps(mean, std, measured)[:, index].mean()
            assert values(part)["crps"] == pytest.approx(expected)
    hk = sparsification_scores(prediction, measured, heads, targets=["Hk"], components=["total"])
    alone = sparsification_scores(
        Prediction(("Hk",), mean[:, 1:], epistemic=total[:, 1:]), measured[:, 1:],
        HeadLayout(("Hk",)), components=["total"],
    )  # fmt: skip
    pd.testing.assert_frame_equal(hk, alone)


def test_bins_hold_equal_counts_by_rising_std():
    std, errors = [0.4, 0.1, 0.3, 0.2, 0.5], [4.0, 1.0, 3.0, 2.0, 5.0]
    table = error_by_uncertainty(said(std), column(errors), ONE, 2, components=["total"], seed=3)
    assert table.columns.tolist() == [
        "seed", "target", "component", "bin", "std", "rms_std", "rmse", "n", "floored",
    ]  # fmt: skip
    assert table["bin"].tolist() == [1, 2]
    assert table["n"].tolist() == [3, 2]
    assert table["std"].tolist() == pytest.approx([0.2, 0.45])
    assert table["rms_std"].tolist() == pytest.approx([(0.14 / 3) ** 0.5, (0.41 / 2) ** 0.5])
    assert table["rmse"].tolist() == pytest.approx([(14 / 3) ** 0.5, (41 / 2) ** 0.5])


def brute_force(std, errors, removed):
    """Root mean squared error of what remains, best-known points first, without ties."""
    order = sorted(range(len(std)), key=lambda i: std[i])
    kept = order[: len(std) - removed]
    return (sum(errors[i] ** 2 for i in kept) / len(kept)) ** 0.5


def test_sparsification_is_what_a_loop_finds(points):
    _, std, errors = points
    fractions = [0.0, 0.1, 0.29, 0.5, 0.99]
    table = sparsification_curve(
        said(std), column(errors), ONE, fractions, normalised=False, components=["total"]
    )
    removed = [0, 4, 11, 20, 39]
    for curve, by in (("uncertainty", std), ("oracle", np.abs(errors))):
        part = table[table["curve"] == curve]
        assert part["fraction"].tolist() == fractions
        assert part["n"].tolist() == [40 - gone for gone in removed]
        expected = [brute_force(by, errors, gone) for gone in removed]
        assert part["rmse"].tolist() == pytest.approx(expected)
    usual = sparsification_curve(said(std), column(errors), ONE, fractions, components=["total"])
    expected = table["rmse"] / brute_force(std, errors, 0)
    assert usual["rmse"].tolist() == pytest.approx(expected.tolist())

    gaps, gains = [], []
    for gone in range(40):
        by_std = brute_force(std, errors, gone)
        gaps.append(by_std - brute_force(np.abs(errors), errors, gone))
        gains.append(brute_force(std, errors, 0) - by_std)
    found = ranked(std, errors, normalised=False)
    assert found == pytest.approx({"ause": sum(gaps) / 40, "aurg": sum(gains) / 40})
    scale = brute_force(std, errors, 0)
    assert ranked(std, errors)["ause"] == pytest.approx(found["ause"] / scale)


def test_a_fraction_in_floating_point_removes_the_whole_number_it_stands_for():
    table = sparsification_curve(said(np.arange(1, 101)), column(np.ones(100)), ONE)
    part = table[(table["component"] == "total") & (table["curve"] == "oracle")]
    assert part["n"].tolist() == [100 - gone for gone in range(100)]


def test_the_perfect_order_has_no_sparsification_error(points):
    errors = points[2]
    best = ranked(np.abs(errors) ** 3, errors)
    assert best["ause"] == 0.0
    assert best["aurg"] > 0.0
    worst = ranked(1.0 / np.abs(errors), errors)
    assert worst["ause"] > best["aurg"]
    assert worst["aurg"] < 0.0


def test_a_random_order_gains_nothing():
    rng = np.random.default_rng(0)
    errors = rng.normal(0, 1, 500)
    gains = [ranked(rng.uniform(1, 2, 500), errors)["aurg"] for _ in range(60)]
    assert abs(np.mean(gains)) < 4 * np.std(gains) / 60**0.5
    constant = ranked(np.ones(500), errors)
    assert constant["aurg"] == pytest.approx(0.0, abs=1e-12)


def test_normal_errors_of_one_scale_have_the_known_oracle():
    """Half of |Z| below its median: the oracle's RMSE is the truncated normal's std."""
    errors = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    table = sparsification_curve(said(np.ones(20_000)), column(errors), ONE, [0.5])
    middle = stats.norm.ppf(0.75)
    expected = stats.truncnorm(-middle, middle).std()
    oracle = table[table["curve"] == "oracle"]["rmse"]
    assert oracle.tolist() == pytest.approx([expected] * 2, rel=1e-3)
    assert table[table["curve"] == "uncertainty"]["rmse"].tolist() == pytest.approx([1.0, 1.0])


def test_equal_deviations_count_as_the_mean_over_their_orders():
    std, errors = [1.0, 2.0, 2.0, 2.0, 3.0], [1.0, 2.0, 5.0, 9.0, 4.0]
    fractions = [0.2, 0.4, 0.6, 0.8]
    table = sparsification_curve(
        said(std), column(errors), ONE, fractions, normalised=False, components=["total"]
    )
    found = table[table["curve"] == "uncertainty"]["rmse"] ** 2
    assert found.tolist() == pytest.approx([111 / 4, (1 + 2 * 110 / 3) / 3, (1 + 110 / 3) / 2, 1])


@pytest.mark.parametrize("judge", TABLES)
def test_the_order_of_rows_has_no_say(judge):
    rng = np.random.default_rng(2)
    std, errors = rng.integers(1, 6, 200) / 4, rng.normal(0, 1, 200)
    expected = judge(said(std), column(errors), ONE)
    for _ in range(3):
        order = rng.permutation(200)
        found = judge(said(std[order]), column(errors[order]), ONE)
        pd.testing.assert_frame_equal(found, expected, rtol=1e-12)


@pytest.mark.parametrize("judge", TABLES)
def test_profiles_are_pooled(judge, points):
    mean, std, measured = points
    expected = judge(said(std, column(mean)), column(measured), ONE)
    shape = (4, 10, 1)
    profile = Prediction(("activity",), mean.reshape(shape), epistemic=std.reshape(shape))
    pd.testing.assert_frame_equal(judge(profile, measured.reshape(shape), ONE), expected)


@pytest.mark.parametrize("judge", TABLES)
def test_what_does_not_match_is_refused(judge):
    prediction = said([1.0, 2.0])
    with pytest.raises(InputError, match=r"shape \(3, 1\), as measured"):
        judge(prediction, np.zeros((3, 1)), ONE)
    with pytest.raises(InputError, match=r"some of the targets: \('activity',\)"):
        judge(prediction, np.zeros((2, 1)), ONE, targets=["Dev"])
    with pytest.raises(InputError, match=r"Received: \['aleatoric'\]"):
        judge(prediction, np.zeros((2, 1)), ONE, components=["aleatoric"])
    with pytest.raises(InputError, match="measured values must be finite"):
        judge(prediction, np.array([[0.0], [np.inf]]), ONE)
    with pytest.raises(InputError, match="measured values must be finite"):
        judge(prediction, np.full((2, 1), np.nan), ONE)
    for wrong in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match=r"above 0. Received: .* in row 1 \(1 such\)"):
            judge(said([1.0, wrong]), np.zeros((2, 1)), ONE)


def test_numbers_out_of_range_are_refused():
    prediction, measured = said([1.0, 2.0]), np.ones((2, 1))
    for bins in (0, 3, 1.5):
        with pytest.raises(InputError, match=f"from 1 to the 2 points. Received: bins={bins}"):
            error_by_uncertainty(prediction, measured, ONE, bins)
    for fractions in ([1.0], [-0.1], [], [np.nan]):
        with pytest.raises(InputError, match="from 0 to below 1"):
            sparsification_curve(prediction, measured, ONE, fractions)
    with pytest.raises(InputError, match="all errors of activity are 0"):
        sparsification_scores(prediction, 0 * measured, ONE)
    assert ranked([1.0, 2.0], [0.0, 0.0], normalised=False) == {"ause": 0.0, "aurg": 0.0}


@pytest.mark.parametrize("score", [gaussian_nll, gaussian_crps])
def test_scores_of_points_never_broadcast(score):
    one = np.ones(3)
    with pytest.raises(InputError, match=r"shapes \(3,\), \(3, 1\) and \(3,\)"):
        score(one, one[:, np.newaxis], one)
    with pytest.raises(InputError, match=r"std must be finite and above 0. Received: 0.0"):
        score(one, 0 * one, one)
    with pytest.raises(InputError, match=r"measured must be finite. Received: nan"):
        score(one, one, np.nan * one)


def test_floored_uncertainties_are_not_the_surest():
    """Ranked, the largest errors came first, because a head below zero was raised to the floor."""
    rng = np.random.default_rng(0)
    std = rng.uniform(0.5, 2.0, 400)
    measured = (std * rng.normal(size=400))[:, np.newaxis]
    raw = std.copy()
    raw[:40] = -0.1
    measured[:40] *= 20.0
    heads = HeadLayout(("activity",))
    layout = HeadLayout(("activity",), epistemic="std")
    with pytest.warns(FlooredUncertaintyWarning):
        prediction = layout.prediction(np.stack([np.zeros(400), raw], axis=1))
    rest = layout.prediction(np.stack([np.zeros(360), raw[40:]], axis=1))
    for function in (error_by_uncertainty, sparsification_curve):
        table = function(prediction, measured, heads, components=["epistemic"])
        expected = function(rest, measured[40:], heads, components=["epistemic"])
        assert (table["floored"] == 40).all()
        pd.testing.assert_frame_equal(
            table.drop(columns="floored"), expected.drop(columns="floored")
        )
    scores = sparsification_scores(prediction, measured, heads, components=["epistemic"])
    expected = sparsification_scores(rest, measured[40:], heads, components=["epistemic"])
    np.testing.assert_allclose(scores["value"], expected["value"])
    shares = coverage(prediction, measured, heads, components=["total"])
    assert (shares["floored"] == 40).all()
    assert (shares["n"] == 400).all()
    with pytest.raises(InputError, match=r"all epistemic standard deviations.*Received: 3 floored"):
        error_by_uncertainty(
            Prediction(("activity",), np.zeros((3, 1)), epistemic=np.zeros((3, 1)) + 1e-9),
            np.ones((3, 1)), heads, 1,
        )  # fmt: skip
