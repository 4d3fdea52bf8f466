import json

import numpy as np
import pytest
from scipy import stats

from degu_tf.heads import (
    MIN_STD,
    FlooredUncertaintyWarning,
    HeadLayout,
    Prediction,
)
from degu_tf.heads.layout import SUFFIXES
from degu_tf.utils.errors import InputError


@pytest.mark.parametrize(
    ("layout", "columns", "student"),
    [
        (
            HeadLayout(("Dev", "Hk")),
            ("Dev", "Hk"),
            ("Dev", "Hk", "Dev_epistemic", "Hk_epistemic"),
        ),
        (
            HeadLayout(("activity",), aleatoric="std"),
            ("activity", "activity_aleatoric"),
            ("activity", "activity_aleatoric", "activity_epistemic"),
        ),
        (
            HeadLayout(("activity",), aleatoric="log_variance"),
            ("activity", "activity_aleatoric"),
            ("activity", "activity_aleatoric", "activity_epistemic"),
        ),
        (
            HeadLayout(("Dev", "Hk"), aleatoric="std"),
            ("Dev", "Hk", "Dev_aleatoric", "Hk_aleatoric"),
            ("Dev", "Hk", "Dev_aleatoric", "Hk_aleatoric", "Dev_epistemic", "Hk_epistemic"),
        ),
        (
            HeadLayout(("a", "b"), aleatoric="evidential", epistemic="evidential"),
            ("a", "b", "a_nu", "b_nu", "a_alpha", "b_alpha", "a_beta", "b_beta"),
            ("a", "b", "a_aleatoric", "b_aleatoric", "a_epistemic", "b_epistemic"),
        ),
    ],
)
def test_column_order_of_teachers_and_students(layout, columns, student):
    assert layout.columns == columns
    assert layout.n_columns == len(columns)
    assert layout.student().columns == student
    assert [layout.column(name) for name in columns] == list(range(len(columns)))


def test_student_forms():
    for form in ("std", "log_variance"):
        teacher = HeadLayout(("a",), aleatoric=form)
        assert teacher.student() == HeadLayout(("a",), "std", "std")
        assert teacher.student("log_variance") == HeadLayout(("a",), "std", "log_variance")
    assert HeadLayout(("a",)).student() == HeadLayout(("a",), None, "std")
    assert HeadLayout(("a",), "std", "std").without_uncertainty() == HeadLayout(("a",))


def test_slices_and_take_are_blocks_of_the_last_axis():
    layout = HeadLayout(("Dev", "Hk"), "std", "std")
    assert [layout.slice(role) for role in layout.roles] == [slice(0, 2), slice(2, 4), slice(4, 6)]
    array = np.arange(24).reshape(2, 2, 6)
    assert layout.take(array, "epistemic").tolist() == [[[4, 5], [10, 11]], [[16, 17], [22, 23]]]


def test_layouts_compare_by_value_and_survive_json():
    for layout in (
        HeadLayout(("a", "b")),
        HeadLayout(("a",), "std", "log_variance"),
        HeadLayout(("a",), "evidential", "evidential"),
    ):
        again = HeadLayout.from_dict(json.loads(json.dumps(layout.to_dict())))
        assert again == layout
        assert hash(again) == hash(layout)
    assert HeadLayout(["a"]) == HeadLayout(("a",))
    assert HeadLayout(("a",), "std") != HeadLayout(("a",), "log_variance")
    with pytest.raises(InputError, match="targets, aleatoric and epistemic of a layout"):
        HeadLayout.from_dict({"targets": ["a"]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Dev",), "sequence of names.*Received: targets='Dev'"),
        (((),), "one or more different names"),
        ((("a", "a"),), "one or more different names"),
        ((("a", ""),), "one or more different names"),
        ((("a",), "variance"), "aleatoric must be None or one of.*Received: 'variance'"),
        ((("a",), None, "sd"), "epistemic must be None or one of.*Received: 'sd'"),
        ((("a",), "evidential", "std"), "name the form for both"),
        ((("a",), None, "evidential"), "name the form for both"),
        ((("a", "a_aleatoric"), "std"), "like a column of another target, 'a'"),
    ],
)
def test_bad_layouts(arguments, message):
    targets, *forms = arguments
    with pytest.raises(InputError, match=message):
        HeadLayout(targets, *forms)


def test_unknown_columns_and_roles():
    layout = HeadLayout(("Dev",), epistemic="std")
    with pytest.raises(InputError, match=r"'Dev', 'Dev_epistemic'.*Received: 'Hk'"):
        layout.column("Hk")
    with pytest.raises(InputError, match=r"'mean', 'epistemic'.*Received: 'aleatoric'"):
        layout.slice("aleatoric")
    with pytest.raises(InputError, match="without epistemic columns"):
        layout.student()


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 3), (2, 3, 4, 2)])
def test_check_refuses_other_shapes(shape):
    layout = HeadLayout(("Dev", "Hk"))
    with pytest.raises(InputError, match=r"labels must have shape \(N, 2\).*'Dev', 'Hk'"):
        layout.check(np.zeros(shape), "labels")
    with pytest.raises(InputError, match="Received: shape"):
        layout.prediction(np.zeros(shape))


def test_std_columns_are_read_as_they_are():
    prediction = HeadLayout(("a", "b"), "std", "std").prediction(
        np.array([[1.0, -2.0, 0.5, 0.6, 0.1, 0.2]])
    )
    assert prediction.mean.tolist() == [[1.0, -2.0]]
    assert prediction.aleatoric.tolist() == [[0.5, 0.6]]
    assert prediction.epistemic.tolist() == [[0.1, 0.2]]
    assert np.allclose(prediction.total, [[np.sqrt(0.26), np.sqrt(0.40)]], rtol=1e-12)


def test_log_variances_become_standard_deviations():
    layout = HeadLayout(("a",), "log_variance", "log_variance")
    prediction = layout.prediction(np.array([[0.0, np.log(0.09), np.log(4.0)]]))
    assert np.allclose(prediction.aleatoric, 0.3, rtol=1e-12)
    assert np.allclose(prediction.epistemic, 2.0, rtol=1e-12)


def test_evidential_columns_in_closed_form():
    # Amini et al. 2020: aleatoric variance beta / (alpha - 1), epistemic variance that over nu
    layout = HeadLayout(("a", "b"), "evidential", "evidential")
    prediction = layout.prediction(np.array([[7.0, 8.0, 2.0, 4.0, 3.0, 1.5, 4.0, 2.0]]))
    assert prediction.mean.tolist() == [[7.0, 8.0]]
    assert np.allclose(prediction.aleatoric, [[np.sqrt(2.0), 2.0]], rtol=1e-12)
    assert np.allclose(prediction.epistemic, [[1.0, 1.0]], rtol=1e-12)


def test_small_and_negative_deviations_are_floored_counted_and_warned_of():
    layout = HeadLayout(("a",), "std", "std")
    columns = np.array([[1.0, 0.5, -0.2], [1.0, -1.0, 0.0], [1.0, 0.5, 2e-6]], np.float32)
    with pytest.warns(FlooredUncertaintyWarning) as caught:
        prediction = layout.prediction(columns)
    messages = [str(warning.message) for warning in caught]
    assert [message.split(" standard")[0] for message in messages] == [
        "1 of 3 aleatoric",
        "2 of 3 epistemic",
    ]
    assert prediction.floored["aleatoric"].ravel().tolist() == [False, True, False]
    assert prediction.floored["epistemic"].ravel().tolist() == [True, True, False]
    assert prediction.flagged().ravel().tolist() == [True, True, False]
    assert prediction.flagged("aleatoric").ravel().tolist() == [False, True, False]
    assert np.allclose(prediction.epistemic[:, 0], [MIN_STD, MIN_STD, 2e-6], rtol=1e-6)
    assert prediction.aleatoric.min() == np.float32(MIN_STD)
    assert np.array_equal(prediction.columns, columns)
    kept = prediction.select([0, 2])
    assert kept.flagged("aleatoric").ravel().tolist() == [False, False]
    assert kept.flagged("epistemic").ravel().tolist() == [True, False]


def test_deviations_that_say_nothing_are_flagged_wherever_they_come_from():
    """Members that all agree are no more a measure than a head below zero."""
    prediction = Prediction(("a",), np.zeros((2, 1)), epistemic=np.array([[0.0], [0.3]]))
    assert prediction.flagged().ravel().tolist() == [True, False]
    assert not prediction.flagged("aleatoric").any()
    with pytest.raises(InputError, match="Received: component='noise'"):
        prediction.flagged("noise")


def test_nothing_is_floored_without_need(recwarn):
    prediction = HeadLayout(("a",), epistemic="std").prediction(np.array([[1.0, 0.5]]))
    assert not prediction.flagged().any()
    assert not recwarn.list


def test_components_that_are_missing():
    plain = HeadLayout(("a",)).prediction(np.array([[1.0]]))
    assert plain.aleatoric is None
    assert plain.epistemic is None
    assert plain.total is None
    with pytest.raises(InputError, match="no total uncertainty, so no interval"):
        plain.interval()
    student = HeadLayout(("a",), epistemic="std").prediction(np.array([[1.0, 0.5]]))
    assert student.total.tolist() == [[0.5]]
    assert student.component("epistemic").tolist() == [[0.5]]
    with pytest.raises(InputError, match="no aleatoric uncertainty"):
        student.interval(component="aleatoric")
    with pytest.raises(InputError, match="Received: component='sigma'"):
        student.interval(component="sigma")


@pytest.mark.parametrize("component", ["total", "aleatoric", "epistemic"])
@pytest.mark.parametrize("level", [0.5, 0.68, 0.95, 0.999])
def test_intervals_are_those_of_the_normal_distribution(level, component):
    rng = np.random.default_rng(0)
    columns = np.hstack([rng.normal(size=(5, 2)), rng.uniform(0.1, 2.0, (5, 4))])
    prediction = HeadLayout(("a", "b"), "std", "std").prediction(columns)
    lower, upper = prediction.interval(level, component)
    scale = prediction.component(component)
    expected = stats.norm.interval(level, loc=columns[:, :2], scale=scale)
    assert np.allclose([lower, upper], expected, rtol=1e-10)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, -0.1, float("nan")])
def test_levels_outside_of_zero_and_one(level):
    prediction = HeadLayout(("a",), epistemic="std").prediction(np.array([[1.0, 0.5]]))
    with pytest.raises(InputError, match="level must lie between 0 and 1"):
        prediction.interval(level)


@pytest.mark.parametrize("form", ["std", "log_variance"])
@pytest.mark.parametrize("shape", [(6, 2), (6, 7, 2)])
def test_join_and_prediction_are_inverse(form, shape):
    rng = np.random.default_rng(1)
    mean = rng.normal(size=shape)
    aleatoric, epistemic = rng.uniform(0.01, 2.0, (2, *shape))
    layout = HeadLayout(("a", "b"), aleatoric="std", epistemic=form)
    columns = layout.join(mean, aleatoric, epistemic)
    assert columns.shape == (*shape[:-1], 6)
    prediction = layout.prediction(columns)
    assert np.array_equal(prediction.mean, mean)
    assert np.allclose(prediction.aleatoric, aleatoric, rtol=1e-12)
    assert np.allclose(prediction.epistemic, epistemic, rtol=1e-12)
    assert prediction.mean.shape == prediction.total.shape == shape


def test_log_variance_labels_of_zero_deviation_are_guarded():
    layout = HeadLayout(("a",), epistemic="log_variance")
    columns = layout.join(np.zeros((2, 1)), epistemic=np.array([[0.0], [2.0]]))
    assert np.allclose(columns[:, 1], [2 * np.log(1e-8), np.log(4.0)])


@pytest.mark.parametrize(
    ("layout", "parts", "message"),
    [
        (HeadLayout(("a",), "std"), {}, "Received: aleatoric missing"),
        (HeadLayout(("a",)), {"epistemic": np.ones((3, 1))}, "Received: epistemic given"),
        (
            HeadLayout(("a",), "std"),
            {"aleatoric": np.ones((1, 1))},
            r"aleatoric must have shape \(3, 1\). Received: shape \(1, 1\)",
        ),
        (HeadLayout(("a", "b")), {}, r"mean must have shape \(3, 2\)"),
        (HeadLayout(("a",), "evidential", "evidential"), {}, "evidential columns cannot be made"),
    ],
)
def test_join_refuses_parts_that_do_not_fit(layout, parts, message):
    with pytest.raises(InputError, match=message):
        layout.join(np.zeros((3, 1)), **parts)


def test_profiles_keep_their_length():
    rng = np.random.default_rng(2)
    columns = rng.uniform(0.1, 1.0, (3, 5, 3))
    prediction = HeadLayout(("signal",), "std", "std").prediction(columns)
    assert prediction.mean.shape == (3, 5, 1)
    assert np.array_equal(prediction.epistemic[..., 0], columns[..., 2])
    assert prediction.interval()[0].shape == (3, 5, 1)
    assert len(prediction) == 3


def test_select_takes_rows_of_every_part():
    columns = np.arange(1.0, 13.0).reshape(4, 3)
    prediction = HeadLayout(("a",), "std", "std").prediction(columns)
    for rows in (np.array([2, 0]), slice(1, 3), np.array([True, False, False, True])):
        chosen = prediction.select(rows)
        for name, column in (("mean", 0), ("aleatoric", 1), ("epistemic", 2)):
            assert np.array_equal(getattr(chosen, name)[:, 0], columns[rows, column])
        assert np.array_equal(chosen.columns, columns[rows])
        assert chosen.targets == ("a",)


def test_predictions_of_other_shapes_are_refused():
    with pytest.raises(InputError, match=r"a column for each of \('a',\).*shape \(3,\)"):
        Prediction(("a",), np.zeros(3))
    with pytest.raises(InputError, match=r"shape \(3, 2\)"):
        Prediction(("a",), np.zeros((3, 2)))
    with pytest.raises(InputError, match=r"epistemic must have the mean's shape \(3, 1\)"):
        Prediction(("a",), np.zeros((3, 1)), epistemic=np.zeros((1, 1)))


@pytest.mark.parametrize(
    "targets",
    [
        *(("x", f"x_{suffix}") for suffix in SUFFIXES),
        ("x_total", "x"),
        ("name",),
        ("x", "interval"),
        ("a\tb",),
        ("a\n",),
        (" a",),
    ],
)
@pytest.mark.parametrize("forms", [(None, None), ("std", "std")])
def test_targets_that_would_take_another_columns_place_are_refused(targets, forms):
    with pytest.raises(InputError, match="rename it"):
        HeadLayout(targets, *forms)


@pytest.mark.parametrize("targets", [("x_total",), ("total",), ("x", "y_total"), ("x_", "x_y")])
def test_names_that_take_no_others_place_are_fine(targets):
    """A suffix is a fault only beside the target that it belongs to."""
    assert HeadLayout(targets, "std", "std").targets == targets
