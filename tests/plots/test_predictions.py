"""What figures show: the numbers behind lines, dots and words, and that nothing is cut off."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import FillBetweenPolyCollection, PathCollection, PolyCollection
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from scipy import stats

from degu_tf.plots import predictions
from degu_tf.plots.palette import COLOURS
from degu_tf.utils.errors import InputError


@pytest.fixture(scope="module")
def curves():
    """Four panels as in Fig. 2: three shares, four seeds, an ensemble, MPRAnn on two of them."""
    rng = np.random.default_rng(0)
    rows = []
    for dataset, target in (("STARR-seq", "Dev"), ("STARR-seq", "Hk"), ("K562", "activity")):
        for fraction in (0.1, 0.25, 1.0):
            for method, base in (("single", 0.4), ("student", 0.5)):
                rows += [
                    (dataset, target, method, fraction, seed, base + rng.normal(0, 0.02))
                    for seed in range(4)
                ]
            rows.append((dataset, target, "ensemble", fraction, 0, 0.55))
    rows.append(("K562", "activity", "mprann", 1.0, 0, 0.47))
    columns = ["dataset", "target", "method", "fraction", "seed", "value"]
    return pd.DataFrame(rows, columns=columns).assign(metric="pearson", head="activity")


@pytest.fixture(scope="module")
def pairs():
    """Measured and predicted activity with standard deviations and intervals, two targets."""
    rng = np.random.default_rng(1)
    n = 1200
    std = rng.uniform(0.2, 1.0, 2 * n)
    measured = rng.normal(0, 1.5, 2 * n)
    predicted = measured + rng.normal(0, std)
    return pd.DataFrame(
        {
            "target": ["Dev"] * n + ["Hk"] * n,
            "measured": measured,
            "predicted": predicted,
            "std": std,
            "lower": predicted - std,
            "upper": predicted + std,
        }
    )


@pytest.fixture(scope="module")
def history():
    """Two members whose lowest validation loss is in epochs 3 and 2."""
    return pd.DataFrame(
        {
            "member": [0] * 4 + [1] * 3,
            "epoch": [1, 2, 3, 4, 1, 2, 3],
            "loss": [1.0, 0.8, 0.6, 0.5, 1.1, 0.7, 0.6],
            "val_loss": [1.2, 1.0, 0.7, 0.9, 1.3, 0.9, 1.0],
        }
    )


@pytest.fixture(scope="module")
def figures(curves, pairs, history):
    """One figure of each kind."""
    return {
        "predicted_against_measured": predictions.predicted_against_measured(pairs),
        "learning_curves": predictions.learning_curves(history),
        "performance": predictions.performance(curves[curves["fraction"] == 0.1]),
        "performance_against": predictions.performance_against(curves),
        "intervals": predictions.intervals(pairs[pairs["target"] == "Dev"], level=0.68),
    }


def texts(figure):
    """All words of a figure in one string."""
    return "\n".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_figures_belong_to_no_window_and_leave_no_settings(figures):
    assert all(type(figure) is Figure for figure in figures.values())
    assert plt.get_fignums() == []
    assert plt.rcParams["axes.spines.top"] is True


@pytest.mark.parametrize(
    "name",
    [
        "predicted_against_measured", "learning_curves", "performance", "performance_against",
        "intervals",
    ],
)  # fmt: skip
def test_no_word_is_cut_off_and_no_legend_covers_data(figures, name):
    figure = figures[name]
    figure.draw_without_rendering()
    page = figure.bbox
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box.x0 >= page.x0 - 1
        assert box.y0 >= page.y0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y1 <= page.y1 + 1
        for legend in figure.legends:
            assert not legend.get_window_extent().overlaps(box)
    for legend in figure.legends:
        box = legend.get_window_extent()
        assert box.x0 >= page.x0
        assert box.x1 <= page.x1


def test_each_method_has_the_colour_of_the_paper():
    assert COLOURS["single"] == "tab:blue"
    assert COLOURS["student"] == "tab:orange"
    assert COLOURS["ensemble"] == "tab:green"
    assert COLOURS["mprann"] == "tab:red"


def test_band_is_students_t_interval_of_the_mean():
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"fraction": np.repeat([0.1, 1.0], 5), "value": rng.random(10)})
    band = predictions.confidence_band(table, "fraction").set_index("fraction")
    for fraction, values in table.groupby("fraction")["value"]:
        low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
        assert band.loc[fraction, ["low", "mean", "high"]].tolist() == pytest.approx(
            [low, values.mean(), high]
        )


def test_performance_against_draws_means_bands_and_the_dashed_line(curves):
    figure = predictions.performance_against(curves)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["STARR-seq, Dev", "STARR-seq, Hk", "K562"]
    for axes, dataset, target in zip(
        figure.axes, ("STARR-seq", "STARR-seq", "K562"), ("Dev", "Hk", "activity"), strict=True
    ):
        part = curves[(curves["dataset"] == dataset) & (curves["target"] == target)]
        lines = {line.get_color(): line for line in axes.lines}
        for method in ("single", "student", "ensemble"):
            means = part[part["method"] == method].groupby("fraction")["value"].mean()
            line = lines[COLOURS[method]]
            np.testing.assert_allclose(line.get_xdata(), means.index)
            np.testing.assert_allclose(line.get_ydata(), means)
        assert (COLOURS["mprann"] in lines) == (dataset == "K562")
    dashed = lines[COLOURS["mprann"]]
    assert dashed.get_linestyle() == "--"
    assert set(dashed.get_ydata()) == {0.47}

    bands = [
        item for item in figure.axes[0].collections if isinstance(item, FillBetweenPolyCollection)
    ]
    student = next(
        item for item in bands
        if same_color(item.get_facecolor()[0, :3], COLOURS["student"])
    )  # fmt: skip
    rows = curves[(curves["target"] == "Dev") & (curves["method"] == "student")]
    expected = predictions.confidence_band(rows, "fraction")
    drawn = student.get_paths()[0].vertices[:, 1]
    assert drawn.min() == pytest.approx(expected["low"].min())
    assert drawn.max() == pytest.approx(expected["high"].max())
    assert "MPRAnn" in texts(figure)
    assert "Pearson r" in figure.axes[0].get_ylabel()


def test_performance_against_ensemble_size_has_whole_numbers_below():
    sizes = [2, 5, 10, 20]
    table = pd.DataFrame({"method": "ensemble", "n_members": sizes, "value": [0.1, 0.2, 0.3, 0.3]})
    figure = predictions.performance_against(
        table.assign(metric="mse"), x="n_members", metric="mse"
    )
    figure.draw_without_rendering()
    assert all(float(tick).is_integer() for tick in figure.axes[0].get_xticks())
    assert figure.axes[0].get_ylabel() == "Mean squared error"


def test_performance_shows_every_model(curves):
    part = curves[(curves["fraction"] == 0.1) & (curves["target"] == "Dev")]
    axes = predictions.performance(part).axes[0]
    dots = [item for item in axes.collections if isinstance(item, PathCollection)]
    drawn = sorted(y for item in dots for y in item.get_offsets()[:, 1])
    assert drawn == pytest.approx(sorted(part["value"]))
    ticks = [label.get_text().replace("\n", " ") for label in axes.get_xticklabels()]
    assert ticks == ["Standard training", "DEGU student", "Ensemble"]


def test_predicted_against_measured_says_r_and_draws_density_for_many(pairs):
    figure = predictions.predicted_against_measured(pairs, unit="RPM")
    part = pairs[pairs["target"] == "Dev"]
    r = np.corrcoef(part["measured"], part["predicted"])[0, 1]
    assert f"r = {r:.3f}\nn = 1,200" in texts(figure)
    assert any(type(item) is PolyCollection for item in figure.axes[0].collections)
    assert figure.axes[0].get_xlabel() == "Measured activity (RPM)"
    few = predictions.predicted_against_measured(part.iloc[:50]).axes[0]
    assert few.get_xlabel() == "Measured activity (Dev)"  # the only target names the unit
    assert [len(item.get_offsets()) for item in few.collections] == [50]
    identity = few.lines[0]
    np.testing.assert_array_equal(identity.get_xdata(), identity.get_ydata())


def test_a_constant_prediction_has_no_r():
    table = pd.DataFrame({"measured": [1.0, 2.0, 3.0], "predicted": 1.0})
    assert "r = undefined" in texts(predictions.predicted_against_measured(table))


def test_learning_curves_mark_the_kept_epoch_and_average_shared_epochs(history):
    axes = predictions.learning_curves(history).axes[0]
    dots = next(item for item in axes.collections if isinstance(item, PathCollection))
    assert dots.get_offsets().tolist() == [[3.0, 0.7], [2.0, 0.9]]
    mean = axes.lines[-1]
    assert mean.get_xdata().tolist() == [1, 2, 3]
    assert mean.get_ydata() == pytest.approx([1.25, 0.95, 0.85])
    alone = predictions.learning_curves(history[history["member"] == 0], title="Teacher").axes[0]
    assert len(alone.lines) == 2
    assert alone.get_title() == "Teacher"


def test_intervals_count_the_share_inside_over_all_sequences(pairs):
    part = pairs[pairs["target"] == "Dev"]
    share = np.mean(np.abs(part["measured"] - part["predicted"]) <= part["std"])
    figure = predictions.intervals(part, level=0.68, shown=20)
    assert figure.axes[0].get_title() == f"Dev\n{share:.0%} of measurements inside"
    assert "20 of 1,200" in figure.axes[0].get_xlabel()
    assert "68% interval" in texts(figure)
    dots = [item for item in figure.axes[0].collections if isinstance(item, PathCollection)]
    assert sum(len(item.get_offsets()) for item in dots) == 20


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match=r"\['predicted'\] missing. Received: columns"):
        predictions.predicted_against_measured(pd.DataFrame({"measured": [1.0]}))


def test_an_absent_metric_is_refused_with_those_there_are(curves):
    with pytest.raises(InputError, match=r"metric 'mse'.*\['pearson'\]"):
        predictions.performance(curves, metric="mse")


def test_nothing_finite_is_refused_and_something_not_finite_is_said(curves):
    with pytest.raises(InputError, match="nothing to draw"):
        predictions.performance(curves.assign(value=np.nan))
    part = curves[curves["target"] == "Dev"].copy()
    part.iloc[0, part.columns.get_loc("value")] = np.nan
    with pytest.warns(UserWarning, match=f"1 of {len(part)} rows are not finite"):
        predictions.performance(part)


def test_floored_uncertainties_are_hollow_and_not_counted():
    """The surest of all would be outside; it has no interval to be outside of."""
    table = pd.DataFrame({"measured": [0.0, 3.0, 9.0], "predicted": [0.1, 1.0, 2.0]})
    table = table.assign(lower=table["predicted"] - 1, upper=table["predicted"] + 1)
    figure = predictions.intervals(table.assign(floored=[False, False, True]))
    (axes,) = figure.axes
    assert axes.get_title() == "50% of measurements inside, 1 not counted"
    inside, outside, hollow = axes.collections[-3:]
    assert hollow.get_offsets().tolist() == [[2.0, 9.0]]
    assert hollow.get_facecolor().size == 0
    assert len(inside.get_offsets()) == len(outside.get_offsets()) == 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-1] == "Uncertainty floored"
    assert predictions.intervals(table).axes[0].get_title() == "33% of measurements inside"
