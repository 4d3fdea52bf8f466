"""The toy of Fig. 3a: what is fitted, what points are shown to whom, and how distance is taken."""

import numpy as np
import pandas as pd
import pytest

from degu_tf.paper.fig3_covariate_shift import toy
from degu_tf.paper.fig3_covariate_shift.toy import Toy
from degu_tf.utils.errors import InputError


@pytest.fixture(scope="module")
def small():
    return Toy(n_members=3, n_students=2, n_sampled=6, steps=3)


@pytest.fixture
def fits(monkeypatch):
    """What is fitted, in place of fitting it: a network is the constant of its place in line."""
    calls = []

    def fit(x, y, seed, steps):
        calls.append((x, y, seed, steps))
        value = float(len(calls))
        return lambda places: np.full(len(places), value)

    monkeypatch.setattr(toy, "fit", fit)
    return calls


def test_students_see_the_mean_and_only_one_kind_sees_sampled_points(small, fits):
    table = toy.curves(small, seed=4)
    members, students = fits[:3], fits[3:]
    points = table[table["metric"] == "point"].groupby("method")
    training, sampled = points.get_group("truth"), points.get_group("ensemble")
    for x, y, _, steps in members:
        np.testing.assert_array_equal(x, training["x"])
        np.testing.assert_array_equal(y, training["value"])
        assert steps == 3
    everywhere = np.concatenate([training["x"], sampled["x"]])
    for index, (x, y, _, _) in enumerate(students):
        np.testing.assert_array_equal(x, everywhere if index % 2 else training["x"])
        assert (y == 2.0).all()
    assert (sampled["value"] == 2.0).all()
    seeds = [seed for _, _, seed, _ in fits]
    assert len({*seeds[:3], *seeds[3::2]}) == 5
    assert seeds[3::2] == seeds[4::2]


def test_points_lie_where_they_should_and_follow_the_seed(small, fits):
    table = toy.curves(small, seed=4)
    points = table[table["metric"] == "point"].groupby("method")
    training, sampled = points.get_group("truth"), points.get_group("ensemble")
    assert toy.is_measured(training["x"]).all()
    assert not toy.is_measured(sampled["x"]).any()
    assert len(sampled) == 6
    assert sampled["x"].between(*toy.RANGE).all()
    assert 0 < np.abs(training["value"] - toy.truth(training["x"])).max() < 5 * toy.NOISE
    for seed, equal in ((4, True), (5, False)):
        fits.clear()
        again = toy.curves(small, seed)
        rows = again[again["metric"] == "point"]
        assert rows[["x", "value"]].equals(table.loc[rows.index, ["x", "value"]]) == equal


def test_every_function_is_in_the_table(small, fits):
    table = toy.curves(small, seed=0)
    functions = table[table["metric"] == "curve"].groupby(["method", "seed"])["x"]
    assert functions.ngroups == 1 + 1 + 3 + 2 + 2
    assert all((x.min(), x.max()) == toy.RANGE for _, x in functions)


def test_distance_is_taken_where_there_are_no_training_points():
    x = np.array([-3.0, -1.0, 0.0, 1.0, 3.0])
    functions = {
        ("ensemble", 0): [1.0, 1, 1, 1, 1],
        ("student", 0): [1.0, 9, 1, 9, 1],
        ("student_sampled", 1): [2.0, 1, 3, 1, 1],
        ("truth", 0): [7.0, 7, 7, 7, 7],
    }
    rows = [
        pd.DataFrame({"method": method, "seed": seed, "x": x, "value": values})
        for (method, seed), values in functions.items()
    ]
    table = toy.distances(pd.concat(rows).assign(metric="curve"))
    assert table.to_dict("list") == {
        "method": ["student", "student_sampled"],
        "seed": [0, 1],
        "value": [0.0, pytest.approx(np.sqrt((1 + 4 + 0) / 3))],
    }


@pytest.mark.slow
def test_a_network_is_decided_by_its_seed_and_comes_near_its_points():
    x = np.linspace(-1.0, 1.0, 5)
    grid = np.array([-2.5, 0.0, 2.5])
    first, again, other = (toy.fit(x, x**2, seed, 100) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first(grid), again(grid))
    assert np.abs(first(grid) - other(grid)).max() > 0.05
    assert np.abs(first(x) - x**2).max() < 0.15
    assert first(x).shape == (5,)


@pytest.mark.parametrize(("name", "value"), [("n_members", 1), ("steps", 0), ("n_sampled", 0)])
def test_sizes_that_make_no_toy_are_refused(name, value):
    with pytest.raises(InputError, match=rf"{name} must be \d or more. Received: {value}"):
        Toy(**{name: value})
