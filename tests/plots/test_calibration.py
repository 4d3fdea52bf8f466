"""What the figures of intervals show: every model's numbers, and no word cut off."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import FillBetweenPolyCollection, PathCollection
from matplotlib.colors import same_color, to_rgba
from matplotlib.figure import Figure

from degu_tf.plots import calibration, palette
from degu_tf.plots.style import GREY
from degu_tf.utils.errors import InputError

METHODS = [
    "deep_evidential", "single", "student", "ensemble", "mc_dropout", "heteroscedastic",
    "evidential", "student_of_heteroscedastic", "student_log_variance",
]  # fmt: skip
COMPONENTS = ["total", "aleatoric", "epistemic"]
LABELS = {"dataset": "HepG2", "target": "activity"}


def models(components=COMPONENTS):
    return [(m, s, c) for m in METHODS for s in range(3) for c in components]


@pytest.fixture(scope="module")
def covered():
    """Coverage and size at two levels before and after, and Pearson's r without a component."""
    rng = np.random.default_rng(0)
    rows = []
    for method, seed, component in models():
        for when in ("before", "after"):
            for level in (0.5, 0.95):
                named = {"method": method, "seed": seed, "component": component}
                share = level if when == "after" else level * rng.uniform(0.4, 1.0)
                for metric, value in (("coverage", share), ("size", rng.uniform(1, 3))):
                    rows.append(named | {"conformal": when, "level": level, "metric": metric,
                                         "value": value, "n": 9})  # fmt: skip
    accuracy = [
        {"method": m, "seed": s, "head": "activity", "metric": "pearson", "value": rng.random()}
        for m, s, _ in models(["total"])
    ]
    noise = [row | {"head": "aleatoric", "value": 5.0} for row in accuracy]
    return pd.DataFrame(rows + accuracy + noise).assign(**LABELS)


@pytest.fixture(scope="module")
def curves():
    rng = np.random.default_rng(1)
    levels = np.array([0.1, 0.5, 0.9])
    parts = [
        pd.DataFrame({"method": m, "seed": s, "component": c, "conformal": when, "level": levels,
                      "metric": "coverage", "value": levels * rng.uniform(0.7, 1)})
        for m, s, c in models() for when in (True, False)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).assign(**LABELS)


@pytest.fixture(scope="module")
def sparse():
    fractions = np.linspace(0.0, 0.9, 4)
    rng = np.random.default_rng(2)
    parts = [
        pd.DataFrame({"method": m, "seed": s, "component": c, "curve": curve,
                      "fraction": fractions, "rmse": 1.0 - depth * fractions * rng.uniform(0.8, 1)})
        for m, s, c in models() for curve, depth in (("uncertainty", 0.4), ("oracle", 0.9))
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).assign(**LABELS)


@pytest.fixture(scope="module")
def binned():
    rng = np.random.default_rng(3)
    std = np.linspace(0.2, 1.5, 5)
    parts = [
        pd.DataFrame({"method": m, "seed": s, "component": c, "bin": range(1, 6),
                      "rms_std": std * (0.1 if c == "epistemic" and s == 0 else 1.0),
                      "rmse": std * rng.uniform(0.8, 1.4)})
        for m, s, c in models()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).assign(**LABELS)


@pytest.fixture(scope="module")
def figures(covered, curves, sparse, binned):
    """One figure of each kind, and one with a single panel."""
    return {
        "coverage_against_size": calibration.coverage_against_size(covered),
        "accuracy_against_coverage": calibration.accuracy_against_coverage(covered),
        "reliability": calibration.reliability(curves),
        "sparsification": calibration.sparsification(sparse),
        "error_against_uncertainty": calibration.error_against_uncertainty(binned),
        "alone": calibration.sparsification(sparse[sparse["component"] == "total"]),
    }


def dots_of(axes, colour, filled):
    """Places of the markers with this edge colour, filled or hollow."""
    places = [
        place
        for item in axes.collections
        if isinstance(item, PathCollection) and len(item.get_offsets())
        if same_color(item.get_edgecolor()[0, :3], colour)
        if bool(len(item.get_facecolor())) == filled
        for place in item.get_offsets().tolist()
    ]  # fmt: skip
    return sorted(places)


def lines_of(axes, colour):
    return [line for line in axes.lines if same_color(line.get_color(), colour)]


def words(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_figures_belong_to_no_window_and_leave_no_settings(figures):
    assert all(type(figure) is Figure for figure in figures.values())
    assert plt.get_fignums() == []
    assert plt.rcParams["axes.spines.top"] is True


@pytest.mark.parametrize(
    "name",
    [
        "coverage_against_size", "accuracy_against_coverage", "reliability", "sparsification",
        "error_against_uncertainty", "alone",
    ],
)  # fmt: skip
def test_no_word_is_cut_off_and_nothing_overlaps(figures, name):
    figure = figures[name]
    figure.draw_without_rendering()
    page = figure.bbox
    (legend,) = figure.legends
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    for box in [*boxes, legend.get_window_extent()]:
        assert box.x0 >= page.x0 - 1
        assert box.y0 >= page.y0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y1 <= page.y1 + 1
    for index, box in enumerate(boxes):
        assert not legend.get_window_extent().overlaps(box)
        assert box.height > 315
        for other in boxes[:index]:
            shared = min(box.x1, other.x1) - max(box.x0, other.x0)
            assert shared < 4 or not box.overlaps(other)


def test_panels_are_in_the_order_of_components_with_methods_named(figures):
    for name in ("coverage_against_size", "sparsification", "error_against_uncertainty"):
        titles = [axes.get_title() for axes in figures[name].axes]
        assert titles == ["HepG2, epistemic", "HepG2, aleatoric", "HepG2, total"]
        assert words(figures[name])[:9] == [
            "Standard training", "DEGU student", "DEGU of heteroscedastic", "DEGU, log-variance",
            "Ensemble", "MC dropout", "Heteroscedastic", "Evidential", "Deep evidential",
        ]  # fmt: skip
    titles = [axes.get_title() for axes in figures["reliability"].axes]
    assert titles == [
        f"HepG2\n{when} conformal, {component}"
        for when in ("before", "after")
        for component in ("epistemic", "aleatoric", "total")
    ]


def test_two_data_sets_have_a_row_each(sparse):
    other = sparse.assign(dataset="K562")
    titles = [
        axes.get_title() for axes in calibration.sparsification(pd.concat([sparse, other])).axes
    ]
    assert [title.split(", ")[0] for title in titles] == ["HepG2"] * 3 + ["K562"] * 3


def test_methods_look_different():
    looks = {(palette.COLOURS[m], palette.MARKERS[m]) for m in METHODS}
    assert len({to_rgba(colour) for colour, _ in looks}) == len(METHODS)
    assert len({marker for _, marker in looks}) == len(METHODS)


def test_every_model_is_a_dot_hollow_before_and_filled_after(covered, figures):
    for x in ("size", "pearson"):
        kind = "coverage_against_size" if x == "size" else "accuracy_against_coverage"
        axes = figures[kind].axes[0]
        for method in ("student", "deep_evidential"):
            colour = palette.colour_of(method)
            own = covered[covered["method"] == method]
            for when in ("before", "after"):
                expected = []
                for seed in range(3):
                    model = own[own["seed"] == seed]
                    mine = model[
                        (model["component"] == "epistemic") & (model["conformal"] == when)
                        & (model["level"] == 0.95)
                    ].set_index("metric")["value"]  # fmt: skip
                    r = model[(model["metric"] == "pearson") & (model["head"] == "activity")]
                    across = mine["size"] if x == "size" else r["value"].item()
                    expected.append([across, mine["coverage"]])
                assert dots_of(axes, colour, when == "after") == sorted(expected)
            (joins,) = lines_of(axes, colour)
            drawn = joins.get_xydata().reshape(3, 3, 2)[:, :2].tolist()
            pairs = zip(*(dots_of(axes, colour, after) for after in (False, True)), strict=True)
            assert sorted(drawn) == [list(pair) for pair in pairs] or x == "size"
            assert all(start in dots_of(axes, colour, False) for start, _ in drawn)
            assert all(end in dots_of(axes, colour, True) for _, end in drawn)
        nominal = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert [set(line.get_ydata()) for line in nominal] == [{0.95}]
        assert nominal[0].get_color() == "tab:red"
        assert axes.get_ylabel() == "Coverage of 95% intervals"
        assert words(figures[kind])[-3:] == ["Before conformal", "After conformal", "Nominal level"]
    assert figures["coverage_against_size"].axes[1].get_xlabel() == "Mean interval size (activity)"
    assert figures["accuracy_against_coverage"].axes[1].get_xlabel() == "Pearson r of the activity"


def test_without_a_column_conformal_dots_are_filled_and_nothing_is_joined(covered):
    part = covered[(covered["conformal"] == "after") & (covered["component"] == "total")]
    part = part.drop(columns="conformal")
    figure = calibration.coverage_against_size(part, level=0.5, unit="RPM")
    axes = figure.axes[0]
    assert len(dots_of(axes, "tab:orange", True)) == 3
    assert dots_of(axes, "tab:orange", False) == []
    assert lines_of(axes, "tab:orange") == []
    assert words(figure)[-2:] == ["Deep evidential", "Nominal level"]
    assert axes.get_xlabel() == "Mean interval size (RPM)"
    assert axes.get_ylabel() == "Coverage of 50% intervals"


@pytest.mark.parametrize(("before", "after"), [(False, True), ("none", "mondrian"), ("False", "x")])
def test_words_of_before_and_after(covered, before, after):
    covered = covered[(covered["component"] == "total") & (covered["method"] == "student")]
    table = covered.assign(conformal=covered["conformal"].map({"before": before, "after": after}))
    axes = calibration.coverage_against_size(table).axes[0]
    assert len(dots_of(axes, "tab:orange", False)) == len(dots_of(axes, "tab:orange", True)) == 3


def test_sizes_of_different_orders_have_a_logarithmic_axis(covered):
    covered = covered[(covered["component"] == "total") & (covered["method"] == "student")]
    few = covered["seed"] == 0
    sizes = covered["metric"] == "size"
    table = covered.assign(value=covered["value"].where(~(few & sizes), covered["value"] / 50))
    assert calibration.coverage_against_size(table).axes[0].get_xscale() == "log"
    assert calibration.coverage_against_size(covered).axes[0].get_xscale() == "linear"


def test_ticks_of_a_narrow_axis_differ(covered):
    narrow = covered[covered["component"] == "total"]
    near = narrow["value"].where(narrow["metric"] != "coverage", 0.95 + narrow["value"] / 50)
    figure = calibration.coverage_against_size(narrow.assign(value=near))
    figure.draw_without_rendering()
    words = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert len(set(words)) == len(words) > 2


def test_reliability_draws_means_and_ranges_over_models(curves, figures):
    axes = figures["reliability"].axes[2]
    own = curves[
        (curves["method"] == "student") & (curves["component"] == "total") & ~curves["conformal"]
    ].groupby("level")["value"]  # fmt: skip
    (line,) = lines_of(axes, "tab:orange")
    assert line.get_xdata().tolist() == [0.1, 0.5, 0.9]
    assert line.get_ydata() == pytest.approx(own.mean().to_numpy())
    band = next(
        item for item in axes.collections
        if isinstance(item, FillBetweenPolyCollection)
        and same_color(item.get_facecolor()[0, :3], "tab:orange")
    )  # fmt: skip
    drawn = band.get_paths()[0].vertices
    at_last = drawn[drawn[:, 0] == 0.9, 1]
    assert [at_last.min(), at_last.max()] == pytest.approx([own.min()[0.9], own.max()[0.9]])
    (diagonal,) = lines_of(axes, GREY)
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())


def test_reliability_takes_rows_by_the_metrics_name(curves):
    named = pd.concat([curves.assign(metric="curve"), curves.assign(value=0.0)])
    axes = calibration.reliability(named, metric="curve").axes[2]
    assert lines_of(axes, "tab:orange")[0].get_ydata().min() > 0.0
    with pytest.raises(InputError, match=r"metric 'crps'. Received: metrics \['coverage', 'curve'"):
        calibration.reliability(named, metric="crps")


def test_sparsification_draws_both_orders_and_chance(sparse, figures):
    axes = figures["sparsification"].axes[0]
    own = sparse[(sparse["method"] == "student") & (sparse["component"] == "epistemic")]
    lines = lines_of(axes, "tab:orange")
    for curve, style in (("uncertainty", "-"), ("oracle", "--")):
        (line,) = [line for line in lines if line.get_linestyle() == style]
        expected = own[own["curve"] == curve].groupby("fraction")["rmse"].mean()
        assert line.get_ydata() == pytest.approx(expected.to_numpy())
    assert [set(line.get_ydata()) for line in lines_of(axes, GREY)] == [{1.0}]
    assert axes.get_ylabel() == "RMSE of the rest / of all"
    plain = calibration.sparsification(sparse[sparse["component"] == "total"], normalised=False)
    assert lines_of(plain.axes[0], GREY) == []
    assert plain.axes[0].get_ylabel() == "RMSE of the rest (activity)"
    assert "Random order" not in words(plain)
    with pytest.raises(InputError, match=r"expected the curves .* Received: \{'best'\}"):
        calibration.sparsification(sparse.assign(curve="best"))


def test_errors_are_means_over_models_bin_by_bin(binned, figures):
    epistemic, _, total = figures["error_against_uncertainty"].axes
    own = binned[(binned["method"] == "student") & (binned["component"] == "total")]
    expected = own.groupby("bin")[["rms_std", "rmse"]].mean()
    (line,) = lines_of(total, "tab:orange")
    assert line.get_xdata() == pytest.approx(expected["rms_std"].to_numpy())
    assert line.get_ydata() == pytest.approx(expected["rmse"].to_numpy())
    (equal,) = lines_of(total, GREY)
    np.testing.assert_array_equal(equal.get_xdata(), equal.get_ydata())
    assert total.get_xscale() == "linear"
    assert epistemic.get_xscale() == "log"
    assert total.get_xlabel() == "Predicted standard deviation (activity)"


def test_what_is_missing_is_named(covered):
    draw = calibration.coverage_against_size
    with pytest.raises(InputError, match=r"\['level'\] missing. Received: columns"):
        draw(covered.drop(columns="level"))
    with pytest.raises(InputError, match=r"level 0.9. Received: levels \[0.5, 0.95\]"):
        draw(covered, level=0.9)
    with pytest.raises(InputError, match=r"expected rows of metric 'coverage'. Received: metrics"):
        draw(covered[covered["metric"] == "pearson"])
    with pytest.raises(InputError, match=r"one value of 'size'.* such as seed .* 108 more"):
        draw(covered.drop(columns="seed"))
    alone = covered[~((covered["metric"] == "size") & (covered["method"] == "student"))]
    with pytest.raises(InputError, match=r"'size' .*none for 18 of 162, such as .*'student'"):
        draw(alone)
    alone = covered[~((covered["metric"] == "pearson") & (covered["seed"] == 1))]
    with pytest.raises(InputError, match=r"'pearson' .*none for 54 of 162"):
        calibration.accuracy_against_coverage(alone)


def test_what_has_no_value_is_said_and_not_drawn(covered):
    lost = (covered["seed"] == 2) & (covered["metric"] == "coverage") & (covered["level"] == 0.95)
    table = covered.assign(value=covered["value"].mask(lost))
    with pytest.warns(UserWarning, match="54 of 162 rows are not finite"):
        figure = calibration.coverage_against_size(table)
    assert len(dots_of(figure.axes[0], "tab:orange", True)) == 2
