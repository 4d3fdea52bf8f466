"""Recipes by name, and where students start and what they learn from beside the paper's labels."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from degu_tf.data.hdf5 import stored_rows
from degu_tf.data.hdf5.splits_file import read_splits, write_splits
from degu_tf.data.splits import Split, Splits
from degu_tf.distillation.distill import DistillationSettings, distill
from degu_tf.distillation.labels import student_splits
from degu_tf.distillation.recipes import (
    RECIPES,
    default_recipe,
    in_steps,
    provenance_of,
    recipe,
    with_dropout,
    with_width,
)
from degu_tf.heads import HeadLayout
from degu_tf.training.initial_weights import copy_weights
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run
from degu_tf.training.settings import PROFILE_SETTINGS, TrainingSettings
from degu_tf.training.train import fit
from degu_tf.utils.errors import InputError


def test_the_papers_recipe_is_the_papers_settings(splits):
    paper = recipe("paper")
    assert paper.student_settings(splits, "deepstarr") == TrainingSettings()
    assert paper.teacher_settings(splits) == TrainingSettings()
    assert paper.distillation == DistillationSettings()
    spec = ModelSpec("deepstarr", {"width": 0.5}, "weights.keras")
    assert paper.student_spec(spec) == replace(spec, init=None)
    assert provenance_of(paper) == {}


def test_profiles_keep_the_papers_recipe(splits):
    parts = {
        name: replace(split, targets=np.zeros((len(split), 32, 4), "f"))
        for name, split in splits.items()
    }
    profiles = replace(splits, **parts)
    assert default_recipe(profiles).name == "paper"
    short = replace(PROFILE_SETTINGS, crop=None)
    assert default_recipe(profiles).teacher_settings(profiles) == short
    assert default_recipe(splits).name == "best"


@pytest.mark.parametrize(
    ("steps", "n_train", "epochs", "a_pass"),
    [(8000, 4000, 40, 200), (8000, 36_000, 22, 360), (100, 4000, 1, 100), (500, 90_000, 1, 900)],
)
def test_a_length_in_steps_is_kept_whatever_the_data(steps, n_train, epochs, a_pass):
    made = in_steps(TrainingSettings(), steps, n_train)
    assert (made.epochs, made.steps_per_epoch) == (epochs, a_pass)
    assert in_steps(TrainingSettings(), None, n_train) == TrainingSettings()


@pytest.mark.parametrize(
    ("n_train", "teacher_steps", "steps", "pool"),
    [
        (4_000, 16_000, 16_000, 125),
        (12_000, 16_000, 16_000, 42),
        (36_000, 24_000, 48_000, 28),
        (90_000, 60_000, 120_000, 12),
    ],
)
def test_models_of_large_data_learn_longer(n_train, teacher_steps, steps, pool):
    """In proportion, students from 12,000 sequences on, teachers from 24,000, the pool to twice."""
    train = Split(np.zeros((n_train, 4), np.uint8), np.zeros((n_train, 1), np.float32))
    splits = Splits(train, train.take(slice(2)), train.take(slice(2)), HeadLayout(("a",)))
    settings = RECIPES["best"].student_settings(splits, ModelSpec(_nested))
    assert settings.epochs * settings.steps_per_epoch == pytest.approx(steps, rel=0.02)
    teachers = RECIPES["best"].teacher_settings(splits)
    assert teachers.epochs * teachers.steps_per_epoch == pytest.approx(teacher_steps, rel=0.02)
    assert RECIPES["best"].student_labels(splits).pool == pool
    with_extra = RECIPES["best"].student_labels(splits, n_extra=3 * n_train).pool
    assert with_extra == pytest.approx(pool / 4, abs=1)


def test_students_of_the_best_recipe(spec):
    best = RECIPES["best"]
    student = best.student_spec(ModelSpec("deepstarr", {"width": 0.5, "dropout": 0.4}))
    assert (student.options["dropout"], student.head) == (0.0, "positive")
    assert student.options["width"] == 1.0
    recurrent = with_dropout(ModelSpec("dream_rnn"), 0.1).options
    assert len(recurrent) >= 2
    assert set(recurrent.values()) == {0.1}
    with pytest.raises(InputError, match="recipes paper, best"):
        recipe("fast")


def _nested(input_shape, n_columns, normalised=True):
    """A network in a network, with batch normalisation or layer normalisation."""
    layers = keras.layers
    norm = layers.BatchNormalization() if normalised else layers.LayerNormalization()
    trunk = keras.Sequential([layers.Conv1D(4, 3), norm, layers.Flatten()])
    return keras.Sequential([keras.Input(input_shape), trunk, layers.Dense(n_columns)])


@pytest.mark.parametrize(
    ("architecture", "options", "rate"),
    [
        ("deepstarr", {}, 0.01),
        ("dream_rnn", {}, 0.003),
        ("dream_rnn", {"variant": "released"}, 0.01),
        (_nested, {}, 0.01),
        (_nested, {"normalised": False}, 0.003),
    ],
)
def test_students_without_batch_normalisation_learn_more_slowly(
    splits, architecture, options, rate
):
    spec = ModelSpec(architecture, options)
    assert RECIPES["best"].student_settings(splits, spec).learning_rate == rate
    paper = RECIPES["paper"].student_settings(splits, spec)
    assert paper.learning_rate == TrainingSettings().learning_rate


def _own(input_shape, n_columns, width=16):
    """Twice 16 filters are 32 filters, not 32.0, and not twice one."""


def _needs_width(input_shape, n_columns, width):
    """Its width has no default."""


def _named_width(input_shape, n_columns, width="narrow"):
    """Its width is no number."""


@pytest.mark.parametrize(
    ("architecture", "options", "expected"),
    [
        ("deepstarr", {}, 2.0),
        ("deepstarr", {"width": 1}, 2.0),
        (_own, {}, 32),
        (_own, {"width": 5}, 10),
        (_needs_width, {"width": 4}, 8),
        (_named_width, {"width": "wide"}, "wide"),
    ],
)
def test_a_student_is_so_many_times_as_wide(architecture, options, expected):
    student = RECIPES["best"].student_spec(ModelSpec(architecture, options))
    assert (student.options["width"], type(student.options["width"])) == (expected, type(expected))


def test_a_width_that_is_no_number_stays():
    assert with_width(ModelSpec(_needs_width), 2.0) == ModelSpec(_needs_width)
    assert with_width(ModelSpec(_named_width), 2.0) == ModelSpec(_named_width)
    assert with_width(ModelSpec(_own, {"width": 5}), 1.5).options == {"width": 8}


def test_measured_labels_are_mixed_into_the_activity_alone(teachers, splits, tmp_path, monkeypatch):
    pure = student_splits(teachers, splits)
    mixed = student_splits(teachers, splits, measured_share=0.3)
    expected = 0.7 * pure.train.targets[:, :2] + 0.3 * splits.train.targets[:, :2]
    np.testing.assert_allclose(mixed.train.targets[:, :2], expected, atol=1e-6)
    np.testing.assert_array_equal(mixed.train.targets[:, 2:], pure.train.targets[:, 2:])
    np.testing.assert_array_equal(mixed.validation.targets, pure.validation.targets)
    assert mixed.fingerprint != pure.fingerprint
    write_splits(tmp_path / "d.h5", splits)
    monkeypatch.setattr(stored_rows, "HELD", 1000)
    stored = read_splits(tmp_path / "d.h5", in_memory="never")
    found = student_splits(teachers, stored, measured_share=0.3)
    np.testing.assert_allclose(np.asarray(found.train.targets), mixed.train.targets, atol=1e-6)
    with pytest.raises(InputError, match=r"measured_share must lie in \[0, 1\)"):
        student_splits(teachers, splits, measured_share=1.0)


def test_extra_sequences_are_labelled_by_the_teachers(teachers, splits):
    extra = np.random.default_rng(0).integers(0, 4, (7, 32)).astype(np.uint8)
    pure, more = student_splits(teachers, splits), student_splits(teachers, splits, extra=extra)
    np.testing.assert_array_equal(more.train.sequences[-7:], extra)
    np.testing.assert_allclose(more.train.targets[-7:], teachers.columns(extra), atol=1e-6)
    np.testing.assert_array_equal(more.train.targets[:-7], pure.train.targets)
    assert more.fingerprint != pure.fingerprint
    with pytest.raises(InputError, match=r"extra sequences of 32 bases.*7 sequences of 30 bases"):
        student_splits(teachers, splits, extra=extra[:, :30])
    with pytest.raises(InputError, match="holds no sequence"):
        student_splits(teachers, splits, extra=extra[:0])
    with pytest.raises(InputError, match="labels already"):
        student_splits(teachers, pure, extra=extra)


@pytest.mark.parametrize("head", ["linear", "positive"])
def test_a_student_can_start_from_a_teacher(teachers, splits, spec, head):
    heads = teachers.heads.student()
    student = replace(spec, head=head).build((32, 4), heads, 1)
    one_hot = keras.ops.one_hot(splits.test.sequences, 4)
    for member in teachers.members:
        copy_weights(member.model, student, 2)
        np.testing.assert_allclose(student(one_hot)[:, :2], member.model(one_hot)[:, :2], atol=1e-6)
    wider = ModelSpec("deepstarr", {**spec.options, "width": 2.0}).build((32, 4), heads, 1)
    with pytest.raises(InputError, match=r"architecture and size.*conv1"):
        copy_weights(teachers.members[0].model, wider, 2)


def test_the_best_teacher_is_the_nearest_on_the_validation_set(teachers, splits, monkeypatch):
    begun = []
    monkeypatch.setattr(
        "degu_tf.distillation.distill.copy_weights", lambda source, *_: begun.append(source)
    )
    settings = TrainingSettings(epochs=1, batch_size=200)
    run = Run(progress=False)
    how = DistillationSettings(init="best-teacher")
    distill(teachers, splits, settings=settings, run=run, distillation=how)
    errors = [
        np.mean(
            (member.predict(splits.validation.sequences).mean - splits.validation.targets[:, :2])
            ** 2
        )
        for member in teachers.members
    ]
    assert begun == [teachers.members[int(np.argmin(errors))].model]
    with pytest.raises(InputError, match="'random' or 'best-teacher'"):
        DistillationSettings(init="teacher")


@pytest.mark.slow
def test_averaged_weights_are_kerass_average(splits, spec):
    """Momentum near 1: the average stays after the first step, of 1e-3; near 0: it follows."""
    model = spec.build((32, 4), splits.heads, 1)
    start = model.get_layer("dense1").kernel.numpy()
    fit(model, splits, TrainingSettings(epochs=2, ema=1 - 1e-7), progress=False)
    np.testing.assert_allclose(model.get_layer("dense1").kernel.numpy(), start, atol=1.1e-3)
    plain, averaged = (spec.build((32, 4), splits.heads, 1) for _ in range(2))
    history = fit(plain, splits, TrainingSettings(epochs=2), progress=False)
    followed = fit(averaged, splits, TrainingSettings(epochs=2, ema=1e-6), progress=False)
    np.testing.assert_allclose(followed["val_loss"], history["val_loss"], rtol=1e-3)
    with pytest.raises(InputError, match="ema must lie between 0 and 1"):
        TrainingSettings(ema=1.0)
