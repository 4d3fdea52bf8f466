"""Coverage, width and miscalibration against hand counts and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from degu_tf.heads import HeadLayout, Prediction
from degu_tf.metrics.intervals import (
    LEVELS,
    area_to_diagonal,
    coverage,
    miscalibration_area,
    reliability_curve,
)
from degu_tf.utils.errors import InputError

TWO = HeadLayout(("Dev", "Hk"))
ONE = HeadLayout(("activity",))


def quantiles(n, sigma=1.0):
    """Errors at the exact normal quantiles of n equal steps of probability."""
    return sigma * stats.norm.ppf((np.arange(n) + 0.5) / n)


def said(mean, **stds):
    """A prediction of one target from vectors."""
    columns = {name: np.asarray(std, float)[:, np.newaxis] for name, std in stds.items()}
    return Prediction(("activity",), np.asarray(mean, float)[:, np.newaxis], **columns)


def value(table, **wanted):
    chosen = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    assert len(chosen) == 1
    return chosen["value"].item()


@pytest.fixture(scope="module")
def two():
    """Two targets, both uncertainties, and what was measured, with an aleatoric column more."""
    rng = np.random.default_rng(0)
    mean, aleatoric, epistemic = rng.normal(0, 1, (3, 60, 2))
    prediction = Prediction(
        ("Dev", "Hk"), mean, np.abs(aleatoric) + 0.1, np.abs(epistemic) * [0.1, 2.0] + 0.1
    )
    return prediction, mean + rng.normal(0, 1, (60, 2))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_exact_normal_errors_are_covered_as_promised(level):
    n = 1000
    errors = quantiles(n)
    table = coverage(said(np.zeros(n), epistemic=np.ones(n)), errors[:, None], ONE, level)
    expected = sum(abs(error) <= stats.norm.ppf(0.5 + level / 2) for error in errors) / n
    assert value(table, component="epistemic", metric="coverage") == pytest.approx(expected)
    assert expected == pytest.approx(level, abs=1.001 / n)
    width = 2 * stats.norm.ppf(0.5 + level / 2)
    assert value(table, component="epistemic", metric="size") == pytest.approx(width)


def test_an_end_is_inside():
    def fixed(prediction, level, component):
        return prediction.mean - 1.0, prediction.mean + 2.0

    measured = np.array([[-1.0], [2.0], [-1.0000001], [2.0000001]])
    table = coverage(said(np.zeros(4), epistemic=np.ones(4)), measured, ONE, interval=fixed)
    assert table["value"].tolist() == [0.5, 3.0, 0.5, 3.0]


def test_every_row_is_what_a_loop_counts(two):
    prediction, measured = two
    table = reliability_curve(prediction, measured, TWO, [0.3, 0.9], method="student", seed=1)
    assert table.columns.tolist() == [
        "method", "seed", "target", "component", "level", "metric", "value", "n", "floored",
    ]  # fmt: skip
    assert len(table) == 3 * 2 * 2 * 2
    assert table["component"].unique().tolist() == ["epistemic", "aleatoric", "total"]
    assert set(table["n"]) == {60}
    for component, of in (("epistemic", 1), ("aleatoric", 0), ("total", 2)):
        for index, target in enumerate(TWO.targets):
            for level, half in ((0.3, 0.38532046640756773), (0.9, 1.6448536269514722)):
                inside, width = 0, 0.0
                for row in range(60):
                    parts = prediction.aleatoric[row, index], prediction.epistemic[row, index]
                    sigma = (parts[0] ** 2 + parts[1] ** 2) ** 0.5 if of == 2 else parts[of]
                    inside += abs(measured[row, index] - prediction.mean[row, index]) < half * sigma
                    width += 2 * half * sigma / 60
                wanted = {"target": target, "component": component, "level": level}
                assert value(table, **wanted, metric="coverage") == pytest.approx(inside / 60)
                assert value(table, **wanted, metric="size") == pytest.approx(width)


def test_only_the_measured_activity_counts_whatever_else_was_measured(two):
    prediction, measured = two
    noise = np.full((60, 2), np.nan)
    expected = coverage(prediction, measured, TWO)
    found = coverage(prediction, np.hstack([measured, noise]), HeadLayout(TWO.targets, "std"))
    pd.testing.assert_frame_equal(found, expected)


def test_profiles_are_pooled_over_positions(two):
    prediction, measured = two
    folded = Prediction(
        prediction.targets,
        prediction.mean.reshape(6, 10, 2),
        prediction.aleatoric.reshape(6, 10, 2),
        prediction.epistemic.reshape(6, 10, 2),
    )
    expected = reliability_curve(prediction, measured, TWO)
    found = reliability_curve(folded, measured.reshape(6, 10, 2), TWO)
    pd.testing.assert_frame_equal(found, expected)


def test_targets_and_components_are_chosen_by_name(two):
    prediction, measured = two
    table = coverage(prediction, measured, TWO, targets=["Hk"], components=["total"])
    assert set(table["target"]) == {"Hk"}
    whole = coverage(prediction, measured, TWO)
    wanted = {"target": "Hk", "component": "total", "metric": "coverage"}
    assert value(table, **wanted) == value(whole, **wanted)
    swapped = miscalibration_area(prediction, measured, TWO, targets=["Hk", "Dev"])
    assert swapped["target"].tolist() == ["Hk", "Dev"] * 3


def test_without_an_aleatoric_head_there_is_none_in_the_table(two):
    prediction, measured = two
    student = Prediction(TWO.targets, prediction.mean, epistemic=prediction.epistemic)
    table = coverage(student, measured, TWO)
    assert table["component"].unique().tolist() == ["epistemic", "total"]


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_miscalibration_of_a_wrong_scale_is_the_closed_form(factor):
    """If sigma is too small by k, E[2 Phi(k|Z|) - 1] = 2 atan(k) / pi, and coverage is below."""
    n = 4000
    prediction = said(np.zeros(n), epistemic=np.full(n, factor))
    table = miscalibration_area(prediction, quantiles(n)[:, None], ONE, components=["total"])
    expected = abs(2.0 * np.arctan(1.0 / factor) / np.pi - 0.5)
    assert table["value"].item() == pytest.approx(expected, abs=2e-3)
    assert table["metric"].tolist() == ["miscalibration_area"]


def test_area_on_both_sides_of_the_diagonal_counts():
    levels, observed = np.array([0.2, 0.4, 0.9]), np.array([0.35, 0.3, 0.95])
    grid = np.linspace(0.0, 1.0, 200_001)
    curve = np.interp(grid, [0.0, *levels, 1.0], [0.0, *observed, 1.0])
    expected = np.trapezoid(np.abs(curve - grid), grid)
    assert area_to_diagonal(levels, observed) == pytest.approx(expected, abs=1e-8)
    assert area_to_diagonal(np.array(LEVELS), np.array(LEVELS)) == 0.0
    assert area_to_diagonal(np.array([1e-9]), np.array([1.0])) == pytest.approx(0.5)


def test_nothing_covered_at_any_level_has_area_near_a_half():
    prediction = said(np.zeros(5), epistemic=np.full(5, 1e-6))
    table = miscalibration_area(prediction, np.ones((5, 1)), ONE, [0.5, 0.999])
    assert table["value"].tolist() == pytest.approx([0.5, 0.5], abs=2e-3)


def test_any_callable_gives_the_intervals(two):
    prediction, measured = two
    asked = []

    def scaled(prediction, level, component):
        asked.append((level, component))
        lower, upper = prediction.interval(level, component)
        return lower - np.inf, upper + 1.0

    table = coverage(prediction, measured, TWO, 0.8, components=["total"], interval=scaled)
    assert asked == [(0.8, "total")]
    upper = prediction.interval(0.8)[1] + 1.0
    wanted = {"target": "Dev", "metric": "coverage"}
    assert value(table, **wanted) == np.mean(measured[:, 0] <= upper[:, 0])
    assert value(table, target="Dev", metric="size") == np.inf


@pytest.mark.parametrize("judge", [coverage, reliability_curve, miscalibration_area])
def test_what_does_not_match_is_refused(two, judge):
    prediction, measured = two
    with pytest.raises(InputError, match=r"shape \(59, 2\), as measured.*shape \(60, 2\)"):
        judge(prediction, measured[:59], TWO)
    with pytest.raises(InputError, match=r"\('Dev', 'Hk'\) of shape \(60, 2\)"):
        judge(prediction, measured, HeadLayout(("Hk", "Dev")))
    with pytest.raises(InputError, match=r"must have shape \(N, 2\)"):
        judge(prediction, measured[:, 0], TWO)
    with pytest.raises(InputError, match="a prediction with uncertainty"):
        judge(Prediction(TWO.targets, prediction.mean), measured, TWO)
    student = Prediction(TWO.targets, prediction.mean, epistemic=prediction.epistemic)
    with pytest.raises(InputError, match=r"components that the prediction.*\['aleatoric'\]"):
        judge(student, measured, TWO, components=["aleatoric"])
    for wrong in (["HK"], "Hk", [], ["Hk", "Hk"]):
        with pytest.raises(InputError, match=r"some of the targets: \('Dev', 'Hk'\). Received"):
            judge(prediction, measured, TWO, targets=wrong)
    with pytest.raises(InputError, match=r"one sequence or more. Received: shape \(0, 2\)"):
        judge(prediction.select(slice(0, 0)), measured[:0], TWO)


def test_values_that_are_not_finite_are_named(two):
    prediction, measured = two
    spoilt = measured.copy()
    spoilt[[7, 9], 1] = np.inf, -np.inf
    with pytest.raises(InputError, match=r"measured.*inf in row 7 \(2 such\) of Hk"):
        coverage(prediction, spoilt, TWO)
    assert len(coverage(prediction, spoilt, TWO, targets=["Dev"])) == 6
    mean = prediction.mean.copy()
    mean[3, 0] = np.nan
    with pytest.raises(InputError, match=r"predicted.*nan in row 3 \(1 such\) of Dev"):
        coverage(Prediction(TWO.targets, mean, prediction.aleatoric), measured, TWO)
    std = prediction.aleatoric.copy()
    std[5, 1] = np.nan
    with pytest.raises(InputError, match=r"nan to nan in row 5 .* of Hk \(aleatoric\) at level"):
        coverage(Prediction(TWO.targets, prediction.mean, std), measured, TWO)
    std[5, 1] = -1.0
    with pytest.raises(InputError, match="the lower at most the upper"):
        coverage(Prediction(TWO.targets, prediction.mean, std), measured, TWO)
    profile = Prediction(TWO.targets, mean.reshape(6, 10, 2), std.reshape(6, 10, 2))
    with pytest.raises(InputError, match=r"nan in row 0, position 3"):
        coverage(profile, measured.reshape(6, 10, 2), TWO)


def test_levels_lie_between_0_and_1_and_rise(two):
    prediction, measured = two
    for level in (0.0, 1.0, 95, float("nan")):
        with pytest.raises(InputError, match=r"between 0 and 1. Received: \["):
            coverage(prediction, measured, TWO, level)
    for levels in ([0.9, 0.5], [0.5, 0.5]):
        with pytest.raises(InputError, match="levels must rise"):
            reliability_curve(prediction, measured, TWO, levels)
    with pytest.raises(InputError, match="between 0 and 1"):
        miscalibration_area(prediction, measured, TWO, [])


def test_intervals_of_another_shape_are_refused(two):
    prediction, measured = two
    with pytest.raises(InputError, match=r"shape \(60, 2\). Received: shapes \(60, 1\)"):
        coverage(
            prediction,
            measured,
            TWO,
            interval=lambda p, level, component: (p.mean[:, :1], p.mean),
        )
