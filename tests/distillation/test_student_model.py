"""The student in training behaves as any Keras model, and learns from what its teachers say."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from evoaug_tf.augment import AugmentBase
from keras import layers
from scipy import stats

from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.labels import student_splits
from degu_tf.distillation.student_model import DistillationModel
from degu_tf.distillation.teacher import Teacher
from degu_tf.heads import HeadLayout
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.augmentation.schemes import augmented
from degu_tf.training.losses import DistillationLoss
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder

LENGTH = 32
N, BATCH = 44, 12
"""Sequences that are fitted, and in a step; the last step has 8."""


class Turned(AugmentBase):
    """A user's augmentation: the sequence backwards."""

    def __call__(self, x):
        return tf.reverse(x, axis=[1])


@pytest.fixture(scope="module")
def heads(teachers):
    return teachers.heads.student()


@pytest.fixture(scope="module")
def teacher(teachers):
    return Teacher(teachers)


@pytest.fixture(scope="module")
def data(teachers, splits):
    """Training and validation data `(x, y)` in the student's layout."""
    labelled = student_splits(teachers, splits)

    def arrays(split, n):
        return np.eye(4, dtype="float32")[split.sequences[:n]], split.targets[:n].astype("float32")

    return arrays(labelled.train, N), arrays(labelled.validation, 40)


@pytest.fixture(scope="module")
def batches(data):
    return tf.data.Dataset.from_tensor_slices(data[0]).batch(BATCH)


def linear(heads, seed=0):
    """A student whose gradient is known by hand."""
    rng = np.random.default_rng(seed)
    sequence = keras.Input((LENGTH, 4))
    flat = layers.Flatten()(sequence)
    model = keras.Model(sequence, layers.Dense(heads.n_columns)(flat))
    model.set_weights([rng.normal(0, 0.05, weight.shape) for weight in model.weights])
    return model


def same(one, other, tolerance=1e-6):
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.allclose(a, b, rtol=0, atol=tolerance) for a, b in pairs)


def losses(heads, y, y_pred, weights=None):
    """The paper's loss in numpy: the sum over heads of each one's mean squared error."""
    weights = {"mean": 1.0, **(weights or {})}
    return sum(
        weights.get(role, 1.0) * np.mean((heads.take(y, role) - heads.take(y_pred, role)) ** 2)
        for role in heads.roles
    )


class TestWhatAStepIsTrainedOn:
    RATE = 0.05

    def by_hand(self, model, heads, steps, weights=None):
        """Weights and losses of stochastic gradient descent in float64."""
        weights = {"mean": 1.0, **(weights or {})}
        kernel, bias = (weight.astype("float64") for weight in model.get_weights())
        seen = []
        for x, y in steps:
            flat = x.reshape(len(x), -1).astype("float64")
            predicted = flat @ kernel + bias
            seen.append(losses(heads, y, predicted, weights))
            slope = 2.0 * (predicted - y) / (len(x) * heads.n_targets)
            for role in heads.roles:
                slope[:, heads.slice(role)] *= weights.get(role, 1.0)
            kernel, bias = kernel - self.RATE * flat.T @ slope, bias - self.RATE * slope.sum(axis=0)
        return kernel, bias, seen

    def fitted(self, data, epochs=2, **options):
        heads = options.pop("heads")
        loss_weights = options.pop("loss_weights", None)
        model = DistillationModel(linear(heads), heads, **options)
        model.compile(keras.optimizers.SGD(self.RATE), loss_weights=loss_weights, metrics=[])
        history = model.fit(data, epochs=epochs, shuffle=False, verbose=0).history
        return model, history

    def steps(self, batches, augmentation, epochs=2, append=False):
        n = int(batches.cardinality())
        changed = augmented(batches.repeat(), augmentation, 7, n, append=append)
        return list(changed.take(epochs * n).as_numpy_iterator())

    def check(self, model, history, heads, steps, weights=None):
        kernel, bias, seen = self.by_hand(linear(heads), heads, steps, weights)
        found = model.get_weights()
        np.testing.assert_allclose(found[0], kernel, rtol=0, atol=2e-6)
        np.testing.assert_allclose(found[1], bias, rtol=0, atol=2e-6)
        sizes = [len(x) for x, _ in steps]
        for epoch, loss in enumerate(history["loss"]):
            part = slice(epoch * len(steps) // 2, (epoch + 1) * len(steps) // 2)
            assert loss == pytest.approx(np.average(seen[part], weights=sizes[part]), rel=1e-4)

    @pytest.mark.parametrize("append", [False, True])
    def test_teachers_label_the_augmented_batch(self, append, heads, teachers, teacher, batches):
        evoaug = scheme("evoaug_one")
        model, history = self.fitted(
            batches, heads=heads, teacher=teacher, scheme=evoaug, seed=7, append=append
        )
        steps = [(x, teachers.columns(x)) for x, _ in self.steps(batches, evoaug, append=append)]
        assert [len(x) for x, _ in steps] == [n * (1 + append) for n in (12, 12, 12, 8) * 2]
        self.check(model, history, heads, steps)
        if append:
            for (x, _), (original, _) in zip(steps, batches, strict=False):
                assert np.array_equal(x[: len(original)], original)

    def test_static_labels_are_those_of_the_data(self, heads, batches):
        mutagenesis = scheme("mutagenesis")
        model, history = self.fitted(batches, heads=heads, scheme=mutagenesis, seed=7, append=True)
        steps = self.steps(batches, mutagenesis, append=True)
        for (_, y), (_, original) in zip(steps, batches, strict=False):
            assert np.array_equal(y, np.concatenate([original, original]))
        self.check(model, history, heads, steps)

    def test_teachers_without_a_scheme_label_the_data(self, heads, teachers, teacher, batches):
        only_x = batches.map(lambda x, y: x)
        model, history = self.fitted(only_x, heads=heads, teacher=teacher)
        x = [x.numpy() for x in only_x] * 2
        self.check(model, history, heads, [(each, teachers.columns(each)) for each in x])

    def test_heads_are_weighted(self, heads, batches):
        weights = {"epistemic": 3.0, "aleatoric": 0.0}
        model, history = self.fitted(batches, heads=heads, loss_weights=weights)
        steps = list(batches.as_numpy_iterator()) * 2
        self.check(model, history, heads, steps, weights)

    def test_a_users_scheme_and_arrays(self, heads, teachers, teacher, batches, data):
        """In their order, or shuffled as Keras does by default."""
        kept, shuffled = (
            DistillationModel(linear(heads), heads, teacher, Turned()) for _ in range(2)
        )
        for model, options in ((kept, {"shuffle": False}), (shuffled, {})):
            model.compile(keras.optimizers.SGD(self.RATE), metrics=[])
            history = model.fit(*data[0], batch_size=BATCH, epochs=2, verbose=0, **options).history
            if model is kept:
                turned = [np.ascontiguousarray(x[:, ::-1]) for x, _ in batches.as_numpy_iterator()]
                steps = [(x, teachers.columns(x)) for x in turned] * 2
                self.check(model, history, heads, steps)
        assert not same(shuffled, kept, 1e-4)


@pytest.fixture(scope="module")
def make(heads, teacher):
    """A function that makes a compiled student, of a dense layer if no other is given."""

    def build(student=None, seed=7, **options):
        options = {"teacher": teacher, "scheme": scheme("mutagenesis"), **options}
        model = DistillationModel(student or linear(heads), heads, seed=seed, **options)
        model.compile(keras.optimizers.Adam(0.01), metrics=[])
        model.optimizer.build(model.trainable_variables)
        return model

    return build


@pytest.fixture(scope="module")
def deep(heads):
    """A function that builds a student with batch normalisation and so much dropout."""

    def build(dropout=0.1):
        keras.utils.set_random_seed(1)
        sequence = keras.Input((LENGTH, 4))
        x = layers.Dense(8)(layers.Flatten()(sequence))
        x = layers.ReLU()(layers.BatchNormalization()(x))
        return keras.Model(sequence, layers.Dense(heads.n_columns)(layers.Dropout(dropout)(x)))

    return build


@pytest.fixture(scope="module")
def fitted(deep, heads, teacher, data, teachers, tmp_path_factory):
    """A student after four epochs, its history, its checkpoint, and the members' weights before."""
    folder = tmp_path_factory.mktemp("fitted")
    before = [member.model.get_weights() for member in teachers.members]
    model = DistillationModel(deep(), heads, teacher, scheme("evoaug"), seed=7)
    model.compile(keras.optimizers.Adam(0.3))
    history = model.fit(
        *data[0],
        batch_size=BATCH,
        epochs=4,
        validation_data=data[1],
        validation_batch_size=17,
        callbacks=[
            keras.callbacks.ModelCheckpoint(folder / "best.keras", save_best_only=True),
            keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True),
        ],
        verbose=0,
    ).history
    model.save(folder / "model.keras")
    return model, history, folder, before


class TestAsAnyKerasModel:
    def test_history_names_loss_and_heads(self, fitted, heads):
        _, history, _, _ = fitted
        names = {"loss", *(f"{column}_pearson" for column in heads.columns)}
        assert set(history) == names | {f"val_{name}" for name in names}
        assert all(len(values) == 4 and np.isfinite(values).all() for values in history.values())

    def test_validation_is_on_the_datas_labels_unaugmented(self, fitted, heads, data):
        model, history, _, _ = fitted
        x, y = data[1]
        predicted = model.predict(x, verbose=0)
        by_hand = losses(heads, y, predicted)
        assert min(history["val_loss"]) == pytest.approx(by_hand, rel=1e-4)
        evaluated = model.evaluate(x, y, batch_size=17, verbose=0, return_dict=True)
        assert evaluated["loss"] == pytest.approx(by_hand, rel=1e-4)
        best = int(np.argmin(history["val_loss"]))
        for index, column in enumerate(heads.columns):
            r = stats.pearsonr(predicted[:, index], y[:, index]).statistic
            assert evaluated[f"{column}_pearson"] == pytest.approx(r, abs=1e-5)
            assert history[f"val_{column}_pearson"][best] == pytest.approx(r, abs=1e-5)

    def test_callbacks_keep_the_best_epoch(self, fitted, data):
        model, history, folder, _ = fitted
        assert np.argmin(history["val_loss"]) < 3
        best = keras.models.load_model(folder / "best.keras")
        x, y = data[1]
        found = best.evaluate(x, y, verbose=0, return_dict=True)["loss"]
        assert found == pytest.approx(min(history["val_loss"]), rel=1e-4)
        assert same(best, model, 0.0)

    def test_it_predicts_what_its_student_does(self, fitted, data, heads):
        model, _, _, _ = fitted
        x, _ = data[1]
        assert model.input_shape == (None, LENGTH, 4)
        assert model.output_shape == (None, heads.n_columns)
        assert np.array_equal(model.predict(x, verbose=0), model.student.predict(x, verbose=0))
        np.testing.assert_allclose(
            model(x, training=False), model.predict(x, verbose=0), rtol=0, atol=1e-6
        )

    def test_teachers_are_neither_trained_nor_counted(self, fitted, teachers):
        model, _, _, before = fitted
        assert model.count_params() == model.student.count_params()
        assert [id(each) for each in model.variables] == [id(v) for v in model.student.variables]
        iteration_and_rate, moments = 2, 2 * len(model.student.trainable_variables)
        assert len(model.optimizer.variables) == iteration_and_rate + moments
        for member, weights in zip(teachers.members, before, strict=True):
            assert all(map(np.array_equal, member.model.get_weights(), weights))

    def test_its_file_is_as_large_as_a_students(self, fitted, teachers, tmp_path):
        model, _, folder, _ = fitted
        alone = keras.models.clone_model(model.student)
        alone.compile(keras.optimizers.Adam(0.3), DistillationLoss(model.heads))
        alone.optimizer.build(alone.trainable_variables)
        alone.save(tmp_path / "alone.keras")

        def size(path, name):
            with zipfile.ZipFile(path) as archive:
                return archive.getinfo(name).file_size

        one, other = folder / "model.keras", tmp_path / "alone.keras"
        weights = "model.weights.h5"
        held = sum(each.nbytes for each in alone.get_weights())
        assert size(one, weights) - size(other, weights) < held
        assert os.path.getsize(one) - os.path.getsize(other) < 10_000

    def test_a_loaded_model_is_the_saved_one(self, fitted, data, teachers):
        model, _, folder, _ = fitted
        loaded = keras.models.load_model(folder / "model.keras")
        assert type(loaded) is DistillationModel
        assert (loaded.heads, loaded.append, loaded.seed) == (model.heads, False, 7)
        x, y = data[1]
        assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
        assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
        assert isinstance(loaded.loss, DistillationLoss)
        for one, other in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
            assert np.array_equal(one, other)
        assert loaded.teacher is None

    def test_what_is_saved_says_where_the_teachers_are(self, fitted, teachers):
        _, _, folder, _ = fitted
        with zipfile.ZipFile(folder / "model.keras") as archive:
            config = json.loads(archive.read("config.json"))["config"]
        assert config["teacher"] == {
            "folder": str(teachers.folder),
            "n_members": 2,
            "fingerprint": teachers.fingerprint(),
            "epistemic": "std",
            "dtype": "float32",
        }
        assert config["scheme"]["name"] == "EvoAug"


def test_a_seed_decides_everything(make, data):
    first, again, other = (make(seed=seed) for seed in (7, 7, 8))
    for model in (first, again, other):
        model.fit(*data[0], batch_size=BATCH, epochs=2, verbose=0)
    assert same(again, first)
    assert not same(other, first, 1e-3)


class TestGoingOn:
    @pytest.fixture
    def run(self, teachers, tmp_path):
        return shutil.copytree(teachers.folder, tmp_path / "teachers")

    def test_a_loaded_model_goes_on_as_if_it_had_never_stopped(
        self, deep, make, teachers, batches, tmp_path
    ):
        """Teachers come from the folder, augmentations and optimiser where they were."""
        straight, stopped = (make(deep(dropout=0.0)) for _ in range(2))
        straight.fit(batches, epochs=2, verbose=0)
        stopped.fit(batches, epochs=1, verbose=0)
        stopped.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        loaded.fit(batches, initial_epoch=1, epochs=2, verbose=0)
        assert same(loaded, straight)
        assert not same(loaded, stopped, 1e-3)
        assert loaded.teacher.ensemble is not teachers
        assert loaded.teacher.ensemble.folder == teachers.folder
        assert int(loaded.optimizer.iterations) == 8

    def test_without_its_teachers_it_predicts_but_does_not_learn(self, make, run, data, tmp_path):
        """And says so again after it was saved without them."""
        model = make(teacher=Teacher(Ensemble.load(run)))
        expected = model.predict(data[1][0], verbose=0)
        shutil.rmtree(run)
        for _ in range(2):
            model.save(tmp_path / "model.keras")
            model = keras.models.load_model(tmp_path / "model.keras")
            with pytest.raises(InputError, match=f"are gone: .* Received: {run}$"):
                model.fit(*data[0], verbose=0)
        assert np.array_equal(model.predict(data[1][0], verbose=0), expected)
        model.evaluate(*data[1], verbose=0)

    def test_given_again_or_given_up_teachers_are_not_looked_for(
        self, make, data, teacher, tmp_path, monkeypatch
    ):
        make().save(tmp_path / "model.keras")
        monkeypatch.setattr(Teacher, "from_record", None)
        for given in (teacher, None):
            loaded = keras.models.load_model(tmp_path / "model.keras")
            loaded.teacher = given
            loaded.fit(*data[0], batch_size=N, verbose=0)
            assert loaded.teacher is given
            assert (loaded.get_config()["teacher"] is None) == (given is None)

    def test_another_ensemble_in_their_place_is_refused(self, make, run, data, tmp_path):
        make(teacher=Teacher(Ensemble.load(run))).save(tmp_path / "model.keras")
        shutil.rmtree(run / "member_01")
        shutil.copytree(run / "member_00", run / "member_01")
        RunFolder(run).finish(n_members=2)
        loaded = keras.models.load_model(tmp_path / "model.keras")
        with pytest.raises(InputError, match=f"{run}, which holds another ensemble"):
            loaded.fit(*data[0], verbose=0)

    def test_a_users_scheme_is_passed_anew(self, make, batches, tmp_path):
        model = make(scheme=Turned(), append=True, teacher=None)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        assert loaded.append
        with pytest.raises(InputError, match=r"pass it. Received: .*Turned"):
            loaded.fit(batches, verbose=0)
        loaded.scheme = Turned()
        loaded.fit(batches, verbose=0)
        model.fit(batches, verbose=0)
        assert same(loaded, model)


class TestWhatIsFitted:
    def test_steps_per_epoch(self, make, batches):
        model = make(teacher=None)
        history = model.fit(batches, epochs=2, steps_per_epoch=3, verbose=0).history
        assert len(history["loss"]) == 2
        assert int(model.optimizer.iterations) == 6

    def test_batches_of_unknown_number_need_steps(self, make, batches):
        unknown = batches.filter(lambda x, y: True)
        model = make(teacher=None)
        for data in (unknown, batches.repeat()):
            with pytest.raises(InputError, match=r"name steps_per_epoch. Received: .*None"):
                model.fit(data, verbose=0)
        model.fit(unknown, steps_per_epoch=5, verbose=0)
        assert int(model.optimizer.iterations) == 5

    def test_sequences_alone_will_do_with_teachers(self, make, data):
        x, y = data[0]
        models = [make(), make()]
        models[0].fit(x, verbose=0)
        models[1].fit(x, np.full_like(y, np.nan), verbose=0)
        assert same(*models)
        assert np.isfinite(models[0].get_weights()[0]).all()

    def test_weights_of_sequences_are_kept(self, make, data):
        x, y = data[0]
        model = make()
        before = model.get_weights()
        model.fit(x, y, sample_weight=np.zeros(N, "float32"), verbose=0)
        assert all(map(np.array_equal, model.get_weights(), before))
        with pytest.raises(InputError, match="come behind labels"):
            model.fit(x, sample_weight=np.ones(N, "float32"))

    def test_what_cannot_be_augmented_is_refused(self, make, data, batches):
        model = make()
        x, y = data[0]
        refused = [
            ({"x": x, "y": y, "validation_split": 0.5}, "given by validation_data. .*=0.5"),
            ({"x": iter([(x, y)])}, r"arrays or a tf.data.Dataset. Received: list_iterator"),
            ({"x": x.argmax(-1), "y": y}, "floating-point sequences"),
        ]
        for arguments, message in refused:
            with pytest.raises(InputError, match=message):
                model.fit(**arguments, verbose=0)
        with pytest.raises(ValueError, match="`y` should not be passed"):
            model.fit(batches, y, verbose=0)


def test_mixed_precision(deep, make, heads, data, tmp_path):
    kept = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make(deep())
    finally:
        keras.config.set_dtype_policy(kept)
    history = model.fit(*data[0], batch_size=BATCH, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]
    assert {each.dtype for each in model.student.trainable_variables} == {"float32"}
    assert model.student.layers[2].compute_dtype == "bfloat16"
    x, y = data[1]
    predicted = model.predict(x, verbose=0).astype("float64")
    loss = model.evaluate(x, y, verbose=0)
    assert loss == pytest.approx(losses(heads, y, predicted), rel=1e-3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.student.layers[2].compute_dtype == "bfloat16"
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


class TestWhatDoesNotGoTogether:
    def test_student_and_layout(self, heads):
        with pytest.raises(InputError, match=r"must emit the columns .*Received: 6 columns"):
            DistillationModel(linear(heads), HeadLayout(("Dev",), epistemic="std"))

    def test_teachers_and_layout(self, heads, teachers, teacher):
        logged = teachers.heads.student("log_variance")
        with pytest.raises(InputError, match="a student of these teachers predicts"):
            DistillationModel(linear(logged), logged, teacher)
        model = DistillationModel(linear(heads), heads)
        with pytest.raises(InputError, match="a student of these teachers predicts"):
            model.teacher = Teacher(teachers, "log_variance")

    def test_append_without_a_scheme(self, heads):
        with pytest.raises(InputError, match="name a scheme"):
            DistillationModel(linear(heads), heads, append=True)

    def test_loss_weights(self, heads):
        model = DistillationModel(linear(heads), heads)
        with pytest.raises(InputError, match=r"weigh 'epistemic' and 'aleatoric'.*\['mean'\]"):
            model.compile(loss_weights={"mean": 1.0})
        with pytest.raises(InputError, match="belong to the default loss"):
            model.compile(loss="mse", loss_weights={"epistemic": 2.0})
        with pytest.raises(InputError, match="must name each of"):
            model.compile(loss_weights={"epistemic": {"Dev": 2.0}})
        model.compile(loss="mse", metrics=["mae"])

    def test_a_scheme_that_is_none(self, heads, data):
        model = DistillationModel(linear(heads), heads, scheme="evoaug")
        model.compile()
        with pytest.raises(InputError, match=r"expected an augmentation, .*Received: 'evoaug'"):
            model.fit(*data[0], verbose=0)


MIRRORED = """
import sys
import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from degu_tf.distillation.student_model import DistillationModel
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.training.augmentation.names import scheme
from degu_tf.distillation.teacher import Teacher

teachers = Ensemble.load(sys.argv[1])
heads = teachers.heads.student()
rng = np.random.default_rng(0)
x = np.eye(4, dtype="float32")[rng.integers(0, 4, (24, 32))]
y = rng.normal(size=(24, heads.n_columns)).astype("float32")


def fit(strategy, teacher=None, scheme=None, labels=y, as_dataset=False):
    with strategy.scope():
        keras.utils.set_random_seed(3)
        sequence = keras.Input((32, 4))
        z = keras.layers.Conv1D(4, 5, activation="relu")(sequence)
        z = keras.layers.Dense(heads.n_columns)(keras.layers.Flatten()(z))
        student = keras.Model(sequence, z)
        model = DistillationModel(student, heads, teacher, scheme, seed=1)
        model.compile(keras.optimizers.SGD(0.05))
    data = (x,) if labels is None else (x, labels)
    if as_dataset:
        data = (tf.data.Dataset.from_tensor_slices(data).batch(12),)
    history = model.fit(
        *data, epochs=2, validation_data=(x, y), shuffle=False, verbose=0,
        **({} if as_dataset else {"batch_size": 12}),
    ).history
    return model, history


def agree(**options):
    one, alone = fit(tf.distribute.get_strategy(), **options)
    two, mirrored = fit(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), **options)
    for name, values in alone.items():
        np.testing.assert_allclose(mirrored[name], values, rtol=0, atol=1e-5, err_msg=name)
    for variable, expected in zip(two.trainable_variables, one.get_weights(), strict=True):
        copies = variable.value.values
        assert len(copies) == 2, copies
        for copy in copies:
            np.testing.assert_allclose(copy, expected, rtol=0, atol=1e-6)
    assert alone["loss"][0] != alone["loss"][1]
    return two


teacher = Teacher(teachers)
measured = y[:, : teachers.heads.n_columns]
agree()
agree(teacher=teacher, labels=measured)
agree(teacher=teacher, labels=None, as_dataset=True)
agree(teacher=teacher, scheme=scheme("mutagenesis"), labels=measured, as_dataset=True)
two = agree(teacher=teacher, scheme=scheme("evoaug"))
two.save(sys.argv[2])
loaded = keras.models.load_model(sys.argv[2])
np.testing.assert_array_equal(loaded.predict(x, verbose=0), two.predict(x, verbose=0))
print("agreed")
"""


@pytest.mark.slow
@pytest.mark.exhaustive
def test_two_devices_learn_what_one_does(teachers, tmp_path):
    """In a process of its own, because devices are set before TensorFlow begins."""
    command = [sys.executable, "-c", MIRRORED, teachers.folder, tmp_path / "model.keras"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1:] == ["agreed"], ran.stderr
