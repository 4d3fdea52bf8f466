"""Boxes and distributions show the numbers they are made of."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import same_color, to_rgb
from matplotlib.patches import PathPatch

from degu_tf.plots import groups
from degu_tf.plots.palette import COLOURS
from degu_tf.utils.errors import InputError

SHIFTS = ["none", "small", "large"]


@pytest.fixture(scope="module")
def table():
    """Two targets, three shifts, five models of two methods and a lone ensemble."""
    rng = np.random.default_rng(0)
    rows = [
        (target, shift, method, seed, rng.random())
        for target in ("Dev", "Hk")
        for shift in SHIFTS
        for method, n in (("ensemble", 1), ("student", 5), ("single", 5))
        for seed in range(n)
    ]
    columns = ["target", "shift", "method", "seed", "value"]
    table = pd.DataFrame(rows, columns=columns).assign(metric="mse")
    table.loc[(table["method"] == "student") & (table["seed"] == 4), "value"] += 5.0
    return table


def part_of(table, target, shift, method):
    chosen = (table["target"] == target) & (table["shift"] == shift) & (table["method"] == method)
    return table.loc[chosen, "value"].to_numpy()


def test_boxes_are_quartiles_and_whiskers_span_all_values(table):
    axes = groups.boxes(table).axes[1]
    assert axes.get_title() == "Hk"
    found = [patch for patch in axes.patches if isinstance(patch, PathPatch)]
    expected = [(shift, method) for shift in SHIFTS for method in ("single", "student")]
    assert len(found) == len(expected)
    for patch, (shift, method) in zip(found, expected, strict=True):
        values = part_of(table, "Hk", shift, method)
        box = patch.get_path().get_extents()
        assert [box.y0, box.y1] == pytest.approx(np.quantile(values, [0.25, 0.75]))
        assert round(box.x0) == round(box.x1) == SHIFTS.index(shift)
        assert same_color(to_rgb(patch.get_facecolor()), COLOURS[method])
    drawn = [line.get_ydata() for line in axes.lines if line.get_linestyle() == "-"]
    heights = {round(float(y), 9) for ends in drawn for y in ends}
    for shift, method in expected:
        values = part_of(table, "Hk", shift, method)
        assert {round(v, 9) for v in (values.min(), np.median(values), values.max())} <= heights


def test_every_model_is_a_dot_and_a_lone_value_a_diamond(table):
    axes = groups.boxes(table).axes[0]
    dots = [item for item in axes.collections if isinstance(item, PathCollection)]
    drawn = sorted(y for item in dots for y in item.get_offsets()[:, 1])
    assert drawn == pytest.approx(sorted(table.loc[table["target"] == "Dev", "value"]))
    green = COLOURS["ensemble"]
    diamonds = [item for item in dots if same_color(item.get_facecolor()[0, :3], green)]
    assert len(diamonds) == 3


def test_groups_and_kinds_may_be_any_columns(table):
    figure = groups.boxes(
        table.assign(training="with_evoaug"), x="method", by="training",
        names={"student": "DEGU students"}, label="Error",
    )  # fmt: skip
    axes = figure.axes[0]
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["ensemble", "DEGU students", "single"]
    assert axes.get_ylabel() == "Error"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["With EvoAug"]


def test_no_word_is_cut_off_and_no_two_ticks_overlap(table):
    names = {shift: f"{shift}\n(a word)" for shift in SHIFTS}
    activity = table[["target", "shift", "value"]]
    for figure in (
        groups.boxes(table, names=names),
        groups.distributions(activity, names=names),
    ):
        figure.draw_without_rendering()
        for axes in figure.axes:
            box = axes.get_tightbbox()
            assert figure.bbox.x0 - 1 <= box.x0 < box.x1 <= figure.bbox.x1 + 1
            ticks = [tick.get_window_extent() for tick in axes.get_xticklabels()]
            assert not any(a.overlaps(b) for a, b in itertools.pairwise(ticks))


def test_distributions_show_quartiles_medians_and_the_first_groups_median(table):
    axes = groups.distributions(table[["target", "shift", "value"]]).axes[0]
    parts = [
        table[(table["target"] == "Dev") & (table["shift"] == shift)]["value"] for shift in SHIFTS
    ]
    dots = [item for item in axes.collections if isinstance(item, PathCollection)]
    assert [item.get_offsets()[0, 1] for item in dots] == pytest.approx(
        [values.median() for values in parts]
    )
    (dashed,) = axes.lines
    assert dashed.get_ydata()[0] == pytest.approx(parts[0].median())
    assert sum(isinstance(item, PolyCollection) for item in axes.collections) == 3
    assert axes.get_ylabel() == "Activity"  # of two targets, whose panels are titled by them


def test_a_group_without_spread_is_drawn_without_density():
    table = pd.DataFrame({"shift": ["a", "a", "b", "b"], "value": [1.0, 1.0, 1.0, 2.0]})
    axes = groups.distributions(table).axes[0]
    assert sum(isinstance(item, PolyCollection) for item in axes.collections) == 1


def test_an_absent_column_is_named(table):
    with pytest.raises(InputError, match=r"\['training'\] missing"):
        groups.boxes(table, by="training")
    with pytest.raises(InputError, match=r"\['shift'\] missing"):
        groups.distributions(table.drop(columns="shift"))
