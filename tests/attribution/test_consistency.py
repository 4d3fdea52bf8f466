"""Similarity and consistency against plain loops, and the tests against scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from degu_tf.attribution.consistency import (
    RMSE,
    STD,
    compare,
    consistency,
    mean_map,
    normalised,
    rmse_to,
    similarity,
    spread,
    t_tests,
)
from degu_tf.utils.errors import InputError

N, LENGTH = 12, 7


@pytest.fixture
def maps():
    rng = np.random.default_rng(5)
    signal = rng.normal(size=(N, LENGTH, 4))
    return {
        "single": (signal + rng.normal(size=(4, N, LENGTH, 4))).astype(np.float32),
        "student": (0.8 * signal + 0.4 * rng.normal(size=(3, N, LENGTH, 4))).astype(np.float32),
    }


def plain_rmse(one, other):
    squares = [
        (float(one[i][c]) - float(other[i][c])) ** 2 for i in range(LENGTH) for c in range(4)
    ]
    return math.sqrt(sum(squares) / len(squares))


def plain_spread(maps, row, ddof):
    total = 0.0
    for position in range(LENGTH):
        for base in range(4):
            values = [float(each[row, position, base]) for each in maps]
            mean = sum(values) / len(values)
            total += sum((value - mean) ** 2 for value in values) / (len(values) - ddof)
    return math.sqrt(total)


def test_similarity_is_the_mean_rmse_to_the_teachers_mean_map(maps):
    mean = sum(maps["single"].astype(float)) / 4
    np.testing.assert_allclose(mean_map(maps["single"]), mean, atol=1e-12)
    table = similarity(maps, target="Dev")
    assert list(table) == ["target", "method", "seed", "metric", "value", "n"]
    assert (table["n"] == N).all()
    assert (table["metric"] == RMSE).all()
    for method, each in maps.items():
        values = table.loc[table["method"] == method, "value"].to_numpy()
        expected = [sum(plain_rmse(one[row], mean[row]) for row in range(N)) / N for one in each]
        np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_left_out_teachers_are_compared_with_the_others(maps):
    table = similarity(maps, leave_one_out=True)
    singles = maps["single"].astype(float)
    for model in range(4):
        others = np.delete(singles, model, axis=0).mean(axis=0)
        expected = np.mean([plain_rmse(singles[model][row], others[row]) for row in range(N)])
        chosen = (table["method"] == "single") & (table["seed"] == model)
        np.testing.assert_allclose(table.loc[chosen, "value"], expected, rtol=1e-6)
    students = table["method"] == "student"
    np.testing.assert_array_equal(table[students]["value"], similarity(maps)[students]["value"])


def test_another_reference_can_be_given(maps):
    reference = np.zeros((N, LENGTH, 4))
    table = similarity({"student": maps["student"]}, reference)
    np.testing.assert_allclose(table["value"], rmse_to(maps["student"], reference).mean(axis=1))


@pytest.mark.parametrize("ddof", [0, 1])
def test_spread_is_the_root_of_summed_variances(maps, ddof):
    table = consistency(maps, ddof)
    assert list(table) == ["method", "sequence", "metric", "value", "n"]
    for method, each in maps.items():
        part = table[table["method"] == method]
        expected = [plain_spread(each, row, ddof) for row in range(N)]
        np.testing.assert_allclose(part["value"], expected, rtol=1e-6)
        assert part["sequence"].tolist() == list(range(N))
        assert (part["n"] == len(each)).all()


def test_the_control_divides_each_map_by_its_largest_score(maps):
    scaled = normalised(maps["single"])
    assert scaled.dtype == np.float32
    for model in range(4):
        for row in range(N):
            largest = max(abs(float(v)) for v in maps["single"][model, row].ravel())
            np.testing.assert_allclose(
                scaled[model, row], maps["single"][model, row] / largest, rtol=1e-6
            )
    empty = maps["single"].copy()
    empty[2, 3] = 0.0
    with pytest.warns(UserWarning, match="1 of 48 maps are zero everywhere"):
        assert (normalised(empty)[2, 3] == 0.0).all()


def test_t_tests_are_those_of_scipy(maps):
    made = compare(maps, target="Dev")
    assert list(made.tests["scaling"]) == ["none", "none", "largest", "largest"]
    for scaling, each in (
        ("none", maps),
        ("largest", {method: normalised(array) for method, array in maps.items()}),
    ):
        reference = mean_map(each["single"])
        near, far = (rmse_to(each[m], reference).mean(axis=1) for m in ("student", "single"))
        rows = made.tests[made.tests["scaling"] == scaling].set_index("metric")
        found = stats.ttest_ind(near, far)
        assert rows.loc[RMSE, "test"] == "independent"
        assert rows.loc[RMSE, "p_value"] == pytest.approx(found.pvalue)
        assert rows.loc[RMSE, "statistic"] == pytest.approx(found.statistic)
        assert rows.loc[RMSE, "n"] == 3
        alike, apart = (spread(each[m]) for m in ("student", "single"))
        found = stats.ttest_rel(alike, apart)
        assert rows.loc[STD, "test"] == "paired"
        assert rows.loc[STD, "p_value"] == pytest.approx(found.pvalue)
        assert rows.loc[STD, "share_below"] == np.mean(alike < apart)
        assert rows.loc[STD, "mean_first"] == pytest.approx(alike.mean())
    assert (made.similarity["target"] == "Dev").all()
    assert set(made.consistency["scaling"]) == {"none", "largest"}


def test_pairs_go_together_whatever_the_order_of_rows(maps):
    table = consistency(maps)
    shuffled = table.sample(frac=1.0, random_state=0)
    assert t_tests(shuffled)["p_value"][0] == pytest.approx(t_tests(table)["p_value"][0])


def test_ddof_changes_no_paired_test_between_groups_of_one_size(maps):
    equal = {"single": maps["single"][:3], "student": maps["student"]}
    found = [t_tests(consistency(equal, ddof)).loc[0] for ddof in (0, 1)]
    assert found[0]["p_value"] == pytest.approx(found[1]["p_value"])
    assert found[0]["mean_first"] < found[1]["mean_first"]


def test_what_cannot_be_compared_is_refused(maps):
    with pytest.raises(InputError, match=r"maps \(M, N, L, 4\).*\(12, 7, 4\)"):
        spread(maps["single"][0])
    with pytest.raises(InputError, match=r"at least 2 models. Received: 1"):
        spread(maps["single"][:1])
    with pytest.raises(InputError, match=r"reference maps of shape \(12, 7, 4\)"):
        rmse_to(maps["single"], np.zeros((1, 7, 4)))
    with pytest.raises(InputError, match=r"the teachers, 'single'. Received: student"):
        similarity({"student": maps["student"]})
    with pytest.raises(InputError, match=r"1 teachers, no reference"):
        similarity({"single": maps["single"][:1]}, leave_one_out=True)
    with pytest.raises(InputError, match="same sequences"):
        consistency({"single": maps["single"], "student": maps["student"][:, :5]})
    broken = maps["single"].copy()
    broken[1, 4, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN or infinity, model 1, sequence 4"):
        mean_map(broken)
    table = consistency(maps)
    with pytest.raises(InputError, match=r"for 'dynamic'.*Received: 0 rows"):
        t_tests(table, "dynamic")
    with pytest.raises(InputError, match="Received: 12 and 11"):
        t_tests(table.iloc[:-1], "single", "student")
    with pytest.raises(InputError, match="rows of one target and scaling"):
        t_tests(compare(maps).consistency)
