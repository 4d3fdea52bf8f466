"""Mixed precision: a matter of the training alone, with nearly the numbers of float32."""

from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from cases import one_in
from weight_files import MODELS

from degu_tf.data.splits import Splits
from degu_tf.distillation.distill import Augmentation, DistillationSettings, distill
from degu_tf.sequences.encoding import as_float
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.precision.mixed import computing_in, is_mixed, scaled_for
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import train
from degu_tf.utils.errors import InputError

MIXED = ["mixed_bfloat16", "mixed_float16"]
FAR = 0.25
"""Largest root of the mean square between predictions of one seed, in deviations of the targets.

Training amplifies rounding; members of other seeds lie 0.3 apart here.
"""

pytestmark = pytest.mark.filterwarnings("ignore::degu_tf.metrics.correlation.ConstantColumnWarning")


@pytest.fixture(scope="module")
def data(make_splits):
    return make_splits(("Dev", "Hk"), sizes=(300, 40, 40))


@pytest.fixture(scope="module")
def still(spec):
    """Without dropout, which draws other numbers in other types."""
    return replace(spec, options={**spec.options, "dropout": 0.0})


@pytest.fixture(scope="module")
def settings(quick):
    return quick


@pytest.fixture(scope="module")
def plain(data, still, settings):
    """What float32 gives."""
    return train(data, still, settings, Run(seed=1, progress=False))


def distance(one, other, data):
    """How far two models' predictions lie apart, in deviations of the targets."""
    means = [model.predict(data.test.sequences).mean for model in (one, other)]
    return float(np.sqrt(np.mean(((means[0] - means[1]) / data.test.targets.std(axis=0)) ** 2)))


@pytest.mark.slow
@pytest.mark.parametrize("precision", MIXED)
def test_training_is_nearly_that_of_float32(data, still, settings, plain, precision, tmp_path):
    """The loss falls, predictions are near, and the file holds nothing of it."""
    run = Run(tmp_path / "run", seed=1, progress=False)
    model = train(data, still, replace(settings, precision=precision), run)
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert history["val_loss"].iloc[-1] < 0.5 * history["val_loss"].iloc[0]
    assert 0 < distance(model, plain, data) < FAR
    errors = [
        np.std(each.predict(data.test.sequences).mean - data.test.targets)
        for each in (model, plain)
    ]
    assert errors[0] < 1.1 * errors[1]
    assert keras.config.dtype_policy().name == "float32"
    loaded = keras.models.load_model(tmp_path / "run" / "model.keras", compile=False)
    for each in (model.model, loaded):
        assert not is_mixed(each)
        assert {layer.dtype_policy.name for layer in each.layers} == {"float32"}
        assert {weight.dtype for weight in each.weights} == {"float32"}


@pytest.mark.parametrize("precision", MIXED)
def test_outputs_and_loss_are_float32(still, data, precision):
    model = still.build((32, 4), data.heads, 0)
    with computing_in(model, precision):
        types = {layer.name: layer.compute_dtype for layer in model.layers if layer.weights}
        *others, last = types.values()
        assert set(others) == {precision.removeprefix("mixed_")}
        assert last == "float32"
        assert model(np.zeros((2, 32, 4), np.float32), training=True).dtype == "float32"
    assert not is_mixed(model)


@pytest.mark.parametrize("head", ["linear", "positive"])
def test_all_that_makes_the_columns_stays_in_float32(data, head):
    spec = ModelSpec("deepstarr", {"width": 0.05}, head=head)
    heads = replace(data.heads, aleatoric="std")
    model = spec.build((32, 4), heads, 0)
    with computing_in(model, "mixed_float16"):
        half = [layer.name for layer in model.layers if layer.compute_dtype == "float16"]
    assert not [name for name in half if name.startswith("output")]
    assert half


@pytest.mark.parametrize("precision", MIXED)
def test_a_forward_pass_is_that_of_float32_to_one_in_a_hundred(still, data, stir, precision):
    model = stir(still.build((32, 4), data.heads, 0))
    x = as_float(data.test.sequences)
    expected = model(x).numpy()
    with computing_in(model, precision):
        found = model(x).numpy()
    assert 0 < np.abs(found - expected).max() < 0.01 * np.abs(expected).max()
    assert np.array_equal(model(x), expected)


@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_computes_in_16_bits(models, name):
    """And puts out float32; afterwards it is what it was."""
    model = models[name]
    rows = np.random.default_rng(0).integers(0, 4, (8, model.input_shape[1]))
    x = np.eye(4, dtype=np.float32)[rows]
    expected = model(x).numpy()
    with computing_in(model, "mixed_bfloat16"):
        assert is_mixed(model)
        found = model(x)
    assert found.dtype == "float32"
    assert 0 < np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
    assert np.array_equal(model(x), expected)


def test_layers_of_an_error_are_put_back(still, data):
    model = still.build((32, 4), data.heads, 0)

    def fail():
        with computing_in(model, "mixed_bfloat16"):
            assert is_mixed(model)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not is_mixed(model)


def test_keras_scales_the_loss_of_float16_alone():
    adam = keras.optimizers.Adam()
    assert isinstance(scaled_for("mixed_float16", adam), keras.optimizers.LossScaleOptimizer)
    assert scaled_for("mixed_bfloat16", adam) is scaled_for("float32", adam) is adam


@pytest.mark.slow
@pytest.mark.parametrize("precision", MIXED)
@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
def test_a_training_that_was_stopped_ends_as_one_that_was_not(
    data, still, settings, precision, schedule, tmp_path, monkeypatch
):
    """The scale of the loss is part of the state; so is the average of the weights."""
    monkeypatch.setattr("degu_tf.training.epochs.checkpoint.INTERVAL", 0)
    chosen = replace(settings, epochs=4, precision=precision, schedule=schedule, ema=0.9)

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    whole = train(data, still, chosen, Run(seed=1, progress=False))
    with pytest.raises(KeyboardInterrupt):
        train(data, still, chosen, Run(tmp_path, seed=1, progress=False, callbacks=[Stop()]))
    assert (tmp_path / "training_state.npz").is_file()
    resumed = train(data, still, chosen, Run(tmp_path, seed=1, progress=False))
    assert resumed.fingerprint() == whole.fingerprint()


@pytest.mark.slow
@pytest.mark.parametrize("precision", MIXED)
def test_missing_values_are_left_out(data, still, settings, precision):
    targets = data.train.targets[:, :2].copy()
    targets[::3, 0] = np.nan
    gaps = Splits.from_arrays(
        data.train.sequences,
        targets,
        data.validation.sequences,
        data.validation.targets,
        data.test.sequences,
        data.test.targets,
        missing_targets="keep",
    )
    model = train(gaps, still, replace(settings, precision=precision), Run(seed=1, progress=False))
    plain = train(gaps, still, settings, Run(seed=1, progress=False))
    assert distance(model, plain, data) < FAR


@pytest.mark.slow
@pytest.mark.parametrize("precision", MIXED)
def test_a_rate_that_is_far_too_high_is_an_error_as_ever(data, still, settings, precision):
    chosen = replace(settings, precision=precision, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="diverged"):
        train(data, still, chosen, Run(seed=1, progress=False))


@pytest.mark.slow
@pytest.mark.parametrize("precision", one_in(2, MIXED))
def test_students(teachers, splits, still, quick, precision):
    """Static labels, and labels of the teachers for augmented batches, in standardised units."""
    chosen = replace(quick, precision=precision, standardise=True)
    for augmentation in (None, Augmentation(scheme("mutagenesis"))):
        distillation = DistillationSettings(augmentation=augmentation)
        made = [
            distill(
                teachers,
                splits,
                still,
                each,
                run=Run(seed=1, progress=False),
                distillation=distillation,
            )
            for each in (chosen, replace(chosen, precision="float32"))
        ]
        means = [student.predict(splits.test.sequences).mean for student in made]
        assert np.sqrt(np.mean((means[0] - means[1]) ** 2)) < FAR * splits.test.targets[:, :2].std()
        assert not is_mixed(made[0].model)


def test_only_what_differs_from_float32_is_recorded():
    assert "precision" not in TrainingSettings().to_dict()
    described = TrainingSettings(precision="mixed_bfloat16").to_dict()
    assert described["precision"] == "mixed_bfloat16"


def test_other_words_and_stages_are_refused(settings):
    with pytest.raises(InputError, match="Received: 'float16'"):
        TrainingSettings(precision="float16")
    with pytest.raises(InputError, match="trained in the same precision"):
        TrainingSettings(precision="mixed_float16", finetune=settings)
