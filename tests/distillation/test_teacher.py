"""The teacher labels as `Ensemble.columns` does, and stays what it was."""

import shutil
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from degu_tf.distillation import teacher as module
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.teacher import Bfloat16Warning, Teacher
from degu_tf.heads import HeadLayout
from degu_tf.heads.pooling import pool
from degu_tf.models import registry
from degu_tf.models.layers import output_head
from degu_tf.models.predictor import ModelPredictor, StrandAveraged
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder

FORMS = {
    "activity": HeadLayout(("Dev", "Hk")),
    "std": HeadLayout(("Dev", "Hk"), "std"),
    "log_variance": HeadLayout(("Dev", "Hk"), "log_variance"),
    "evidential": HeadLayout(("Dev", "Hk"), "evidential", "evidential"),
}


def convolution(heads):
    """A normalised convolution in front of the heads."""
    sequence = keras.Input((24, 4))
    x = layers.Conv1D(6, 5, padding="same")(sequence)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    return keras.Model(sequence, output_head(layers.Flatten()(layers.MaxPooling1D(2)(x)), heads))


def simple(heads, profile):
    """The heads at each position, or once."""
    sequence = keras.Input((24, 4))
    return keras.Model(
        sequence, output_head(sequence if profile else layers.Flatten()(sequence), heads)
    )


def batch(n, length=24):
    rng = np.random.default_rng(n)
    return np.eye(5, 4, dtype="float32")[rng.integers(0, 5, (n, length))]


@pytest.fixture(scope="module")
def ensemble_of(stir):
    """A function that makes an ensemble of models with different weights."""

    def make(models, heads):
        return Ensemble([
            ModelPredictor(stir(model, seed), heads) for seed, model in enumerate(models)
        ])  # fmt: skip

    return make


@pytest.fixture(scope="module")
def small(ensemble_of):
    """Three members with aleatoric columns."""
    return ensemble_of([convolution(FORMS["std"]) for _ in range(3)], FORMS["std"])


@pytest.fixture(scope="module")
def teacher(small):
    return Teacher(small)


@pytest.mark.parametrize("profile", [False, True], ids=["numbers", "profiles"])
@pytest.mark.parametrize("form", FORMS)
def test_labels_are_those_of_the_ensemble(form, profile, ensemble_of):
    heads = FORMS[form]
    epistemic = "log_variance" if profile else "std"
    ensemble = ensemble_of([simple(heads, profile) for _ in range(3)], heads)
    teacher = Teacher(ensemble, epistemic)
    assert teacher.heads == heads.student(epistemic)
    for n in (1, 2, 7, 8):
        expected = ensemble.columns(batch(n), epistemic)
        labels = teacher(batch(n))
        assert labels.dtype == tf.float32
        assert labels.shape == (n, *([24] if profile else []), teacher.heads.n_columns)
        np.testing.assert_allclose(labels, expected, rtol=1e-5, atol=1e-5)


def test_members_of_different_architectures(ensemble_of):
    heads = FORMS["activity"]
    lambdas = keras.Sequential([
        keras.Input((24, 4)),
        layers.Lambda(lambda x: 2.0 * x),
        layers.Flatten(),
        layers.Dense(2),
    ])  # fmt: skip
    narrow = registry.build("deepstarr", (24, 4), heads, width=0.05)
    ensemble = ensemble_of([convolution(heads), narrow, lambdas], heads)
    np.testing.assert_allclose(Teacher(ensemble)(batch(5)), ensemble.columns(batch(5)), atol=1e-5)


def test_sequences_of_any_length(ensemble_of):
    def pooled():
        parts = [layers.Conv1D(4, 5), layers.MaxPooling1D(2), layers.GlobalAveragePooling1D()]
        return keras.Sequential([keras.Input((None, 4)), *parts, layers.Dense(2)])

    ensemble = ensemble_of([pooled(), pooled()], FORMS["activity"])
    teacher = Teacher(ensemble)
    for length in (25, 40):
        x = batch(3, length)
        np.testing.assert_allclose(teacher(x), ensemble.columns(x), atol=1e-5)


def test_members_that_agree_have_the_smallest_spread(ensemble_of):
    heads = FORMS["activity"]
    same = ModelPredictor(simple(heads, False), heads)
    ensemble = Ensemble([same, same])
    np.testing.assert_array_equal(Teacher(ensemble)(batch(3))[:, 2:], 0.0)
    logged = Teacher(ensemble, "log_variance")(batch(3))
    np.testing.assert_allclose(logged, ensemble.columns(batch(3), "log_variance"), atol=1e-5)
    np.testing.assert_allclose(logged[:, 2:], 2 * np.log(1e-8), rtol=1e-6)


def test_pooled_by_hand():
    """Two members, two sequences, one target with a log-variance."""
    columns = tf.constant([[[1.0, 0.0], [2.0, 1.0]], [[4.0, 2.0], [2.0, -1.0]]])
    labels = pool(columns, HeadLayout(("activity",), "log_variance"))
    np.testing.assert_allclose(labels, [[2.5, np.exp(0.5), 1.5], [2.0, 1.0, 0.0]], rtol=1e-6)


def test_batches_of_any_type(small, teacher):
    for dtype in ("float64", "uint8", "bool"):
        np.testing.assert_array_equal(teacher(batch(3).astype(dtype)), teacher(batch(3)))
    noisy = batch(5) + np.random.default_rng(0).normal(0, 0.2, (5, 24, 4)).astype("float32")
    np.testing.assert_allclose(teacher(noisy), small.columns(noisy), atol=1e-5)


def test_sequences_of_another_length_are_refused(teacher):
    with pytest.raises((TypeError, ValueError), match=r"32"):
        teacher(batch(2, 32))


def test_large_members_are_no_constants_of_the_graph(small, teacher, monkeypatch):
    monkeypatch.setattr(module, "MAX_CONSTANTS", 0)
    large = Teacher(small)
    np.testing.assert_allclose(large(batch(3)), teacher(batch(3)), atol=1e-6)
    assert not any(captured_shapes(teacher))
    assert captured_shapes(large).count((5, 4, 6)) == len(small.members)


def captured_shapes(teacher):
    """Shapes of what is handed to the graph beside the batch."""
    captured = teacher._labels.get_concrete_function().captured_inputs
    return [tuple(tensor.shape) for tensor in captured]


def test_no_gradient_flows_into_it(teacher):
    x = tf.Variable(batch(3))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(teacher(x))
    assert tape.gradient(loss, x) is None


def test_members_may_go_on_training(ensemble_of, stir):
    heads = FORMS["activity"]
    ensemble = ensemble_of([simple(heads, False), simple(heads, False)], heads)
    teacher = Teacher(ensemble)
    before = teacher(batch(3)).numpy()
    stir(ensemble.members[0].model, seed=9)
    assert np.array_equal(teacher(batch(3)), before)


def test_a_model_that_holds_it_does_not_track_it(teacher):
    model = simple(FORMS["std"], False)
    held = model.count_params(), len(model.variables)
    model.teacher = teacher
    assert (model.count_params(), len(model.variables)) == held


# types


@pytest.fixture
def bfloat16(monkeypatch):
    """A machine that has arithmetic for bfloat16."""
    monkeypatch.setattr(module, "has_bfloat16", lambda: True)


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_labels_are_the_same_but_for_rounding(small, teacher):
    rough = Teacher(small, dtype="bfloat16")
    assert rough.dtype == "bfloat16"
    for n in (1, 7):
        exact, labels = teacher(batch(n)), rough(batch(n))
        assert labels.dtype == tf.float32
        scale = np.abs(exact).max()
        np.testing.assert_allclose(labels, exact, rtol=0, atol=0.03 * scale)
        assert np.abs(labels - exact).max() > 1e-4 * scale


def test_without_arithmetic_for_bfloat16_it_is_float32(small, teacher, monkeypatch):
    monkeypatch.setattr(module, "has_bfloat16", lambda: False)
    with warnings.catch_warnings(record=True, action="always") as caught:
        fallen = Teacher(small, dtype="bfloat16")
    (warned,) = (each for each in caught if each.category is Bfloat16Warning)
    assert "no arithmetic for bfloat16; the teachers compute in float32" in str(warned.message)
    assert warned.filename == __file__
    assert fallen.dtype == fallen.record()["dtype"] == "float32"
    np.testing.assert_array_equal(fallen(batch(3)), teacher(batch(3)))


def test_other_types_are_refused(small):
    types = r"in one of \('auto', 'float32', 'bfloat16'\). .*'float16'"
    with pytest.raises(InputError, match=types):
        Teacher(small, dtype="float16")


@pytest.mark.parametrize(
    ("flags", "answer"),
    [
        ("flags : sse2 avx2 avx512f", False),
        ("flags : avx512f avx512_bf16", True),
        ("flags : amx_bf16 amx_tile", True),
        ("Features : fp asimd bf16", True),
        (None, False),
    ],
)
def test_what_the_processor_has(flags, answer, monkeypatch):
    def read(path):
        assert path == Path("/proc/cpuinfo")
        if flags is None:
            raise FileNotFoundError
        return flags

    monkeypatch.setattr(Path, "read_text", read)
    assert module.has_bfloat16() is answer


@pytest.mark.parametrize(("capability", "answer"), [((7, 5), False), ((8, 0), True), (None, False)])
def test_what_a_gpu_has(capability, answer, monkeypatch):
    details = {} if capability is None else {"compute_capability": capability}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    assert module.has_bfloat16() is answer
    assert module.usable_dtype("auto") == ("bfloat16" if answer else "float32")


def test_bfloat16_is_no_default_without_a_gpu_or_where_one_of_several_lacks_it(monkeypatch):
    monkeypatch.setattr(module, "has_bfloat16", lambda: True)  # the processor
    gpus = {}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(gpus))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", gpus.get)
    assert module.usable_dtype("auto") == "float32"
    gpus.update(a={"compute_capability": (8, 6)}, b={"compute_capability": (7, 0)})
    assert module.usable_dtype("auto") == "float32"
    gpus["b"] = {"compute_capability": (9, 0)}
    assert module.usable_dtype("auto") == "bfloat16"


# finding it again


@pytest.fixture
def run(teachers, tmp_path):
    """A copy of the trained teachers' run."""
    return shutil.copytree(teachers.folder, tmp_path / "teachers")


def test_it_is_found_again_where_it_was(teachers, splits):
    first = Teacher(teachers, "log_variance")
    record = first.record()
    assert record["folder"] == str(teachers.folder)
    assert record["n_members"] == 2
    assert record["fingerprint"] == teachers.fingerprint()
    again = Teacher.from_record(record)
    assert (again.epistemic, again.dtype) == ("log_variance", "float32")
    x = np.eye(4, dtype="float32")[splits.test.sequences]
    np.testing.assert_array_equal(again(x), first(x))


def test_the_folder_is_known_from_anywhere(run, monkeypatch):
    monkeypatch.chdir(run.parent)
    record = Teacher(Ensemble.load("teachers")).record()
    monkeypatch.chdir("/")
    assert Teacher.from_record(record).ensemble.n_members == 2


def test_fewer_members_than_there_were(teachers):
    with pytest.raises(InputError, match="the run has 2 members"):
        Teacher.from_record({**Teacher(teachers).record(), "n_members": 3})


def test_teachers_that_are_gone(run, teachers):
    record = {**Teacher(teachers).record(), "folder": str(run)}
    shutil.rmtree(run)
    with pytest.raises(InputError, match=f"teachers .* are gone: put .* Received: {run}$"):
        Teacher.from_record(record)


def test_teachers_that_never_had_a_folder(teacher):
    with pytest.raises(InputError, match=r"were not in a folder .* give them again"):
        Teacher.from_record(teacher.record())


def test_another_ensemble_in_their_place(run, teachers):
    record = {**Teacher(teachers).record(), "folder": str(run)}
    shutil.rmtree(run / "member_01")
    shutil.copytree(run / "member_00", run / "member_01")
    RunFolder(run).finish(n_members=2)
    with pytest.raises(InputError, match=f"Received: {run}, which holds another ensemble"):
        Teacher.from_record(record)


@pytest.mark.usefixtures("bfloat16")
def test_a_record_keeps_the_type(teachers, monkeypatch):
    record = Teacher(teachers, dtype="bfloat16").record()
    assert Teacher.from_record(record).dtype == "bfloat16"
    monkeypatch.setattr(module, "has_bfloat16", lambda: False)
    with warnings.catch_warnings(action="ignore", category=Bfloat16Warning):
        assert Teacher.from_record(record).dtype == "float32"


def test_members_that_are_no_keras_models(small):
    wrapped = StrandAveraged(small.members[0])
    with pytest.raises(InputError, match=r"are Keras models .*StrandAveraged"):
        Teacher(Ensemble([wrapped, wrapped]))
