"""Ensembles that were trained elsewhere: models, files, released weights, and runs one by one."""

import shutil

import keras
import numpy as np
import pytest
from keras import layers

from degu_tf.distillation.distill import DistillationSettings, distill
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.members import Columns
from degu_tf.distillation.runs import teachers_of
from degu_tf.distillation.teacher_files import open_teachers
from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.models.predictor import ModelPredictor
from degu_tf.models.released.card import convert
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.utils.errors import InputError

TARGETS = ("Dev", "Hk")
LENGTH = 32


def network(seed, n_columns=2, length=LENGTH, kernel=5):
    """A network of no architecture of this package."""
    keras.utils.set_random_seed(seed)
    sequence = keras.Input((length, 4))
    x = layers.Conv1D(6, kernel, activation="gelu")(sequence)
    x = layers.LayerNormalization()(layers.GlobalAveragePooling1D()(x))
    return keras.Model(sequence, layers.Dense(n_columns)(x))


@pytest.fixture(scope="module")
def x(splits):
    return np.eye(4, dtype=np.float32)[splits.test.sequences]


def outputs(models, x):
    return np.stack([keras.ops.convert_to_numpy(model(x, training=False)) for model in models])


def test_models_become_an_ensemble(x):
    models = [network(seed) for seed in (1, 2, 3)]
    ensemble = Ensemble.from_models(models, targets=TARGETS)
    made, prediction = outputs(models, x), ensemble.predict(x)
    np.testing.assert_allclose(prediction.mean, made.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(prediction.epistemic, made.std(axis=0), atol=1e-6)
    assert (ensemble.heads, ensemble.spec, ensemble.folder) == (HeadLayout(TARGETS), None, None)


def test_aleatoric_columns_are_named_by_their_form(x):
    models = [network(seed, 4) for seed in (1, 2)]
    with pytest.raises(InputError, match=r"4 columns for 2 targets.*aleatoric='std'"):
        Ensemble.from_models(models, targets=TARGETS)
    ensemble = Ensemble.from_models(models, targets=TARGETS, aleatoric="log_variance")
    made = outputs(models, x)
    expected = np.exp(made[..., 2:].mean(axis=0) / 2)
    np.testing.assert_allclose(ensemble.predict(x).aleatoric, expected, rtol=1e-4)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_folder_of_files_of_any_functional_model(tmp_path, x, suffix):
    models = [network(seed) for seed in (3, 4)]
    for number, model in zip((10, 9), models, strict=True):
        model.save(tmp_path / f"fold{number}{suffix}")
    ensemble = open_teachers(tmp_path, columns=Columns(otherwise=TARGETS))
    made = outputs(models[::-1], x)
    np.testing.assert_allclose(ensemble.member_columns(x), made, atol=1e-6)
    assert [path.name for path in ensemble.sources] == [f"fold9{suffix}", f"fold10{suffix}"]
    with pytest.raises(InputError, match=r"fold9.*names for the model's 2 columns"):
        open_teachers(tmp_path)


@pytest.mark.slow
def test_converted_files_and_released_weights_say_what_they_are(tmp_path):
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (3, 249))]
    models = [build("deepstarr", (249, 4), HeadLayout(TARGETS), width=0.03) for _ in range(3)]
    (tmp_path / "released").mkdir()
    for number, model in enumerate(models):
        model.save_weights(tmp_path / "released" / f"{number}_DeepSTARR.weights.h5")
    released = open_teachers(tmp_path / "released")
    np.testing.assert_allclose(released.member_columns(x), outputs(models, x), atol=1e-5)
    assert released.spec == ModelSpec("deepstarr", {"width": 0.03})
    converted = []
    for number in (0, 1):
        converted.append(tmp_path / f"{number}.keras")
        source = tmp_path / "released" / f"{number}_DeepSTARR.weights.h5"
        convert(source, converted[-1], heads=HeadLayout(("A", "B")))
    ensemble = open_teachers(converted)
    assert ensemble.heads.targets == ("A", "B")
    assert ensemble.fingerprint() == released.subset(2).fingerprint()
    renamed = open_teachers(converted, columns=Columns(("C", "D")))
    assert renamed.heads.targets == ("C", "D")


def test_a_run_for_each_member(teachers, tmp_path, splits):
    for name, member in (("a", 0), ("b", 1)):
        shutil.copytree(teachers.folder / f"member_{member:02d}", tmp_path / name)
    ensemble = open_teachers(tmp_path)
    assert ensemble.fingerprint() == teachers.fingerprint()
    assert (ensemble.heads, ensemble.spec) == (splits.heads, Ensemble.load(teachers.folder).spec)
    assert open_teachers(teachers.folder).folder == teachers.folder


def test_what_is_no_ensemble(tmp_path, teachers):
    network(1).save(tmp_path / "1_a.keras")
    for name in "ab":
        shutil.copytree(teachers.folder, tmp_path / "runs" / name)
    refusals = {
        tmp_path / "none": "expected the folder of a run. Received",
        tmp_path / "1_a.keras": "several models: an ensemble has two or more members",
        tmp_path / "runs": "a: expected the run of one teacher. Received: the run of an ensemble",
    }
    for where, message in refusals.items():
        with pytest.raises(InputError, match=message):
            open_teachers(where)
    named = Columns(otherwise=TARGETS)
    with pytest.raises(InputError, match=r"two or more members. Received: 1"):
        open_teachers(tmp_path, columns=named)
    network(1).save(tmp_path / "2_b.keras")
    with pytest.raises(InputError, match="several sets of files"):
        open_teachers(tmp_path, columns=named)
    network(1, n_columns=3).save(tmp_path / "2_a.keras")
    both = [tmp_path / "1_a.keras", tmp_path / "2_a.keras"]
    with pytest.raises(InputError, match=r"2_a.keras: expected names for the model's 3 columns"):
        open_teachers(both, columns=named)
    network(1, length=40).save(tmp_path / "2_a.keras")
    with pytest.raises(InputError, match=r"same length. Received: 32 and 40 bases"):
        open_teachers(both, columns=named)
    with pytest.raises(InputError, match=r"expected 2 to 2 members. Received: n_members=3"):
        open_teachers(both, 3, columns=named)
    with pytest.raises(InputError, match="expected a sequence of two or more models"):
        Ensemble.from_models(str(tmp_path), TARGETS)
    network(1).save_weights(tmp_path / "2_a.weights.h5")
    both[1] = tmp_path / "2_a.weights.h5"
    with pytest.raises(InputError, match=r"expected a whole model.*as released weights"):
        open_teachers(both, columns=named)


def test_code_in_a_teacher_is_refused(tmp_path):
    """A Lambda layer that would leave a file behind if it ran."""
    sign, sequence = tmp_path / "executed", keras.Input((LENGTH, 4))
    name = str(sign)
    layer = layers.Lambda(lambda x: (open(name, "w").close(), x)[1])
    model = keras.Model(sequence, layers.Dense(2)(layers.Flatten()(layer(sequence))))
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"1{suffix}")
        sign.unlink(missing_ok=True)
        with pytest.raises(InputError, match="holds a Lambda layer"):
            open_teachers([tmp_path / f"1{suffix}"] * 2, columns=Columns(TARGETS))
        assert not sign.exists()


@pytest.mark.slow
def test_foreign_teachers_teach_and_are_found_again(tmp_path, splits):
    files = [tmp_path / f"{number}.keras" for number in (1, 2)]
    for seed, file in enumerate(files):
        network(seed, kernel=1).save(file)
    teachers = open_teachers(files, columns=Columns(TARGETS))
    means = splits.without_uncertainty()
    with pytest.raises(InputError, match="architecture is not known"):
        distill(teachers, means)
    sizes = {"conv_filters": (8,), "conv_kernels": (1,), "dense_units": (8,), "dropout": 0.0}
    student = distill(
        teachers,
        means,
        ModelSpec("deepstarr", sizes),
        TrainingSettings(epochs=25, batch_size=20, learning_rate=0.01),
        Run(tmp_path / "y", 1),
        distillation=DistillationSettings(validation="ensemble"),
    )
    expected, made = (each.predict(means.test.sequences) for each in (teachers, student))
    for name in ("mean", "epistemic"):
        for target in range(2):
            pair = (getattr(each, name)[:, target] for each in (expected, made))
            assert np.corrcoef(*pair)[0, 1] > 0.7, (name, target)
    found = teachers_of(tmp_path / "y")
    assert found.fingerprint() == teachers.fingerprint()
    files[0].rename(tmp_path / "elsewhere.keras")
    assert teachers_of(tmp_path / "y") is None


def test_predictors_keep_their_layout():
    heads = HeadLayout(TARGETS)
    members = [ModelPredictor(network(seed), heads) for seed in (1, 2)]
    assert Ensemble.from_models(members).heads == heads
    assert Ensemble.from_models(members, ["A", "B"]).heads.targets == ("A", "B")
