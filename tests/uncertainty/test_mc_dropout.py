"""Monte Carlo dropout against enumerated masks, Keras' own dropout, and its promises of seed."""

import itertools
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from cases import one_in
from keras import layers

from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.models.predictor import ModelPredictor, Predictor
from degu_tf.uncertainty import mc_dropout
from degu_tf.uncertainty.mc_dropout import MCDropout
from degu_tf.utils.errors import InputError

LENGTH = 6
ACTIVITY = HeadLayout(("activity",))


def sequences(n, length=LENGTH, seed=0):
    return np.random.default_rng(seed).integers(0, 4, (n, length), dtype=np.uint8)


def predictor(body, heads=None, length=LENGTH):
    sequence = keras.Input((length, 4))
    model = keras.Model(sequence, body(sequence))
    return ModelPredictor(model, heads or HeadLayout(targets(model.output_shape[-1])))


def targets(n):
    return tuple(f"t{i}" for i in range(n))


@pytest.fixture(scope="module")
def single(stir):
    """A small DeepSTARR for 32 bases with weights like those of a trained one."""
    heads = HeadLayout(("Dev", "Hk"), aleatoric="log_variance")
    return ModelPredictor(stir(build("deepstarr", (32, 4), heads, width=0.05)), heads)


def ones(x, units):
    """A one for each unit, so that what dropout makes of it is its mask, scaled."""
    return layers.Dense(units, kernel_initializer="zeros", bias_initializer="ones")(x)


def masks(rate=0.3, units=40, **options):
    def body(x):
        return layers.Dropout(rate)(ones(layers.Flatten()(x), units))

    return MCDropout(predictor(body), **options)


def close_to_enumeration(values, weights, prediction, row, n_passes):
    """Mean and std within five of their standard errors, from the values of all masks."""
    mean = np.sum(weights * values)
    moments = {k: np.sum(weights * (values - mean) ** k) for k in (2, 4)}
    std = np.sqrt(moments[2])
    error = np.sqrt((moments[4] - moments[2] ** 2) / n_passes) / (2.0 * std)
    assert np.sum(weights) == pytest.approx(1.0)
    assert std > 0.05
    assert abs(prediction.mean[row, 0] - mean) < 5.0 * std / np.sqrt(n_passes)
    assert abs(prediction.epistemic[row, 0] - std) < 5.0 * error


def all_masks(units, rate):
    """Every mask of so many units, scaled, and its probability."""
    kept = np.array(list(itertools.product((0.0, 1.0), repeat=units)))
    return kept / (1.0 - rate), np.prod(np.where(kept, 1.0 - rate, rate), axis=1)


def normalised(layer, x):
    gamma, beta, mean, variance = layer.get_weights()
    return gamma * (x - mean) / np.sqrt(variance + layer.epsilon) + beta


def test_one_dropout_is_the_sum_over_all_masks(stir):
    """Batch normalisation on both sides of it, with moving statistics that matter."""
    hidden, out = layers.Dense(5), layers.Dense(1)
    before, after = layers.BatchNormalization(), layers.BatchNormalization()
    rate, n_passes = 0.3, 100_000

    def body(x):
        x = before(hidden(layers.Flatten()(x)))
        return out(layers.Activation("tanh")(after(layers.Dropout(rate)(x))))

    single = predictor(body, ACTIVITY)
    stir(single.model, seed=1)
    prediction = MCDropout(single, n_passes, seed=1).predict(sequences(3))
    kept, weights = all_masks(5, rate)
    for row, tokens in enumerate(sequences(3)):
        x = normalised(before, np.eye(4)[tokens].reshape(-1) @ hidden.kernel + hidden.bias)
        values = np.tanh(normalised(after, x * kept)) @ out.kernel + out.bias
        close_to_enumeration(values[:, 0], weights, prediction, row, n_passes)


def test_two_dropouts_and_a_skip_are_the_sum_over_all_masks(stir):
    hidden, second, out = layers.Dense(4), layers.Dense(4), layers.Dense(1)
    rates, n_passes = (0.5, 0.2), 100_000

    def body(x):
        x = hidden(layers.Flatten()(x))
        y = second(layers.Dropout(rates[0])(x))
        return out(layers.Dropout(rates[1])(layers.Activation("relu")(layers.Add()([x, y]))))

    single = predictor(body, ACTIVITY)
    stir(single.model, seed=2)
    prediction = MCDropout(single, n_passes, seed=2).predict(sequences(2))
    (first, p), (last, q) = all_masks(4, rates[0]), all_masks(4, rates[1])
    for row, tokens in enumerate(sequences(2)):
        x = np.eye(4)[tokens].reshape(-1) @ hidden.kernel + hidden.bias
        y = np.maximum(x + (x * first) @ second.kernel + second.bias, 0.0)
        values = (y[:, np.newaxis] * last) @ out.kernel + out.bias
        close_to_enumeration(values[..., 0], np.outer(p, q), prediction, row, n_passes)


class Dropping(layers.Dropout):
    """Keras' dropout, always on."""

    def call(self, x, training=None):
        return super().call(x, training=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["deepstarr", "residualbind", "mprann", "dream_rnn", "dream_rnn released", "cnn_task_base"],
)
def test_every_architecture_is_as_random_as_with_keras_dropout(name, models):
    """The reference: Keras' own dropout layers in training mode, everything else not."""
    model, n_passes, n = models[name], 200, 2
    single = ModelPredictor(model, HeadLayout(targets(model.output_shape[-1])))

    def copy(layer):
        made = Dropping if type(layer) is layers.Dropout else type(layer)
        return made.from_config(layer.get_config())

    reference = keras.models.clone_model(model, clone_function=copy)
    reference.set_weights(model.get_weights())
    keras.utils.set_random_seed(0)
    x = sequences(n, model.input_shape[1])
    rows = np.repeat(np.eye(4, dtype=np.float32)[x], n_passes, axis=0)
    expected = reference(rows, training=False).numpy()
    expected = expected.reshape(n, n_passes, *expected.shape[1:])
    ours = MCDropout(single, n_passes, rows=400).pass_columns(x).swapaxes(0, 1)
    assert ours.shape == expected.shape
    errors = np.sqrt((ours.var(axis=1) + expected.var(axis=1)) / n_passes)
    assert np.all(np.abs(ours.mean(axis=1) - expected.mean(axis=1)) < 5.0 * errors + 1e-6)
    ratio = np.sqrt(ours.var(axis=1).mean(axis=-1) / expected.var(axis=1).mean(axis=-1))
    assert np.median(ratio) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_share_of_zeros_and_scale(rate):
    values = masks(rate, n_passes=500).pass_columns(sequences(5))
    assert np.unique(values).tolist() == pytest.approx([0.0, 1.0 / (1.0 - rate)], rel=1e-4)
    error = np.sqrt(rate * (1.0 - rate) / values.size)
    assert abs(np.mean(values == 0.0) - rate) < 5.0 * error


def test_masks_are_independent():
    """Between units, passes, sequences and layers: correlations as of independent numbers."""

    def body(x):
        x = layers.Flatten()(x)
        return layers.Concatenate()([layers.Dropout(0.5)(ones(x, 40)) for _ in range(2)])

    values = MCDropout(predictor(body), 400).pass_columns(sequences(3)) - 1.0
    shifts = {
        "units": (values[..., :39], values[..., 1:40]),
        "passes": (values[:-1], values[1:]),
        "distant passes": (values[:-8], values[8:]),
        "sequences": (values[:, :-1], values[:, 1:]),
        "layers": (values[..., :40], values[..., 40:]),
    }
    for what, (a, b) in shifts.items():
        assert abs(np.mean(a * b)) < 5.0 / np.sqrt(a.size), what
    patterns = [row.tobytes() for row in values.reshape(-1, 40)]
    assert len(set(patterns)) == len(patterns)


def test_a_layer_called_twice_has_two_masks():
    def body(x):
        dropout, x = layers.Dropout(0.5), ones(layers.Flatten()(x), 40)
        return layers.Concatenate()([dropout(x), dropout(x)])

    values = MCDropout(predictor(body), 10).pass_columns(sequences(1))
    assert not np.array_equal(values[..., :40], values[..., 40:])


@pytest.mark.slow
@pytest.mark.parametrize("rows", one_in(2, [1, 7, 30, 31, 95, 1000]))
def test_masks_do_not_depend_on_what_is_computed_at_once(rows):
    """Neither on rows nor on the company, order and portions of sequences."""
    x = sequences(20)
    expected = masks(units=13, n_passes=30).pass_columns(x)
    ours = masks(units=13, n_passes=30, rows=rows)
    assert np.array_equal(ours.pass_columns(x), expected)
    assert np.array_equal(ours.pass_columns(x[[11, 4, 4]]), expected[:, [11, 4, 4]])


def test_more_passes_begin_with_the_same():
    x = sequences(2)
    few, many = (masks(n_passes=n).pass_columns(x) for n in (10, 25))
    assert np.array_equal(many[:10], few)


def test_seed_decides(single):
    x = sequences(20, 32)
    first, again, other = (MCDropout(single, 10, seed, rows=40).predict(x) for seed in (1, 1, 2))
    assert np.array_equal(first.columns, again.columns)
    assert not np.any(first.epistemic == other.epistemic)


def test_strings_tokens_and_floats_are_one(single):
    ours = MCDropout(single, 5, rows=10)
    assert isinstance(ours, Predictor)
    tokens = sequences(3, 32)
    texts = ["".join("ACGT"[base] for base in row) for row in tokens]
    inputs = (tokens, texts, np.eye(4, dtype=np.float32)[tokens], np.eye(4)[tokens])
    outputs = [ours.predict(each).columns for each in inputs]
    assert all(np.array_equal(each, outputs[0]) for each in outputs)


def test_passes_are_pooled_as_members(single):
    """A log-variance head: mean log-variance, then the root of its exponential."""
    ours = MCDropout(single, 12)
    passes = ours.pass_columns(sequences(20, 32)).astype(np.float64)
    prediction = ours.predict(sequences(20, 32))
    np.testing.assert_allclose(prediction.mean, passes[..., :2].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(prediction.epistemic, passes[..., :2].std(axis=0), rtol=1e-5)
    aleatoric = np.sqrt(np.exp(passes[..., 2:].mean(axis=0)))
    np.testing.assert_allclose(prediction.aleatoric, aleatoric, rtol=1e-5)
    logarithms = ours.columns(sequences(20, 32), epistemic="log_variance")
    np.testing.assert_allclose(logarithms[:, 4:], 2.0 * np.log(prediction.epistemic), rtol=1e-4)
    assert ours.heads == single.heads
    assert ours.input_length == 32


def test_evidential_heads_give_what_is_epistemic_over_passes(stir):
    heads = HeadLayout(("activity",), aleatoric="evidential", epistemic="evidential")
    model = stir(build("deepstarr", (32, 4), heads, width=0.05))
    single = MCDropout(ModelPredictor(model, heads), 12)
    passes = single.pass_columns(sequences(4, 32)).astype(np.float64)
    prediction = single.predict(sequences(4, 32))
    np.testing.assert_allclose(prediction.epistemic, passes[..., :1].std(axis=0), rtol=1e-5)
    alpha, beta = passes[..., 2], passes[..., 3]
    expected = np.sqrt(beta / (alpha - 1.0)).mean(axis=0)
    np.testing.assert_allclose(prediction.aleatoric[:, 0], expected, rtol=1e-5)


def test_the_model_stays_as_it_is(single):
    model, x = single.model, sequences(4, 32)
    before = [variable.numpy() for variable in model.variables]
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    plain = single.predict(x).mean
    MCDropout(single, 10).predict(x)
    for variable, value in zip(model.variables, before, strict=True):
        assert np.array_equal(variable.numpy(), value)
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
    assert np.array_equal(single.predict(x).mean, plain)


def test_the_model_is_taken_as_it_was(stir):
    single = predictor(lambda x: layers.Dense(1)(layers.Dropout(0.5)(layers.Flatten()(x))))
    ours = MCDropout(single, 10)
    fingerprint, before = ours.fingerprint(), ours.predict(sequences(2)).mean
    stir(single.model, seed=3)
    assert np.array_equal(ours.predict(sequences(2)).mean, before)
    assert ours.fingerprint() == fingerprint
    assert not np.any(MCDropout(single, 10).predict(sequences(2)).mean == before)


def test_fingerprint_tells_models_passes_and_seeds_apart():
    single = predictor(lambda x: layers.Dense(1)(layers.Dropout(0.5)(layers.Flatten()(x))))
    several = [MCDropout(single, 10, 1), MCDropout(single, 11, 1), MCDropout(single, 10, 2)]
    assert len({each.fingerprint() for each in (*several, masks())}) == 4
    assert MCDropout(single, 10, 1).fingerprint() == several[0].fingerprint()


class Counter(layers.Layer):
    """Passes its input on and notes how many rows came."""

    def call(self, x):
        tf.py_function(self.rows.append, [tf.shape(x)[0]], [])
        return tf.identity(x)


def test_what_is_computed_for_sequences_and_for_passes(monkeypatch):
    """Once for a sequence before the first dropout; after it as many rows as memory allows."""

    class Before(Counter):
        rows: ClassVar = []

    class After(Counter):
        rows: ClassVar = []

    def body(x):
        x = After()(layers.Dropout(0.5)(Before()(ones(layers.Flatten()(x), 64))))
        return layers.Dense(1)(x)

    def rows_of(**options):
        Before.rows, After.rows = [], []
        MCDropout(predictor(body), 50, **options).predict(sequences(20))
        return [int(n) for n in Before.rows], [int(n) for n in After.rows]

    assert rows_of() == ([16, 4], [800, 200])
    before, after = rows_of(rows=110)
    assert before == [2] * 10
    assert after == [100] * 10
    monkeypatch.setattr(mc_dropout, "MEMORY", 25 * 4 * 64 * 4)
    before, after = rows_of()
    assert before == [1] * 40
    assert after == [25] * 40


def test_maps_can_be_dropped_whole():
    """SpatialDropout1D, and Dropout with a noise_shape that says the same or the opposite."""

    def exposed(layer):
        def body(x):
            return layer(ones(x, 8))

        return MCDropout(predictor(body), 40).pass_columns(sequences(2))

    for layer in (layers.SpatialDropout1D(0.5), layers.Dropout(0.5, noise_shape=(None, 1, None))):
        values = exposed(layer)
        assert np.all(values == values[:, :, :1])
        assert np.all(values.std(axis=(0, 1, 2)) > 0.5)
        assert np.all(values.std(axis=-1).mean() > 0.5)
    values = exposed(layers.Dropout(0.5, noise_shape=(None, None, 1)))
    assert np.all(values == values[..., :1])
    assert np.all(values.std(axis=2).mean() > 0.5)


def test_any_length():
    def body(x):
        x = layers.Dropout(0.5)(layers.Conv1D(3, 10, activation="relu")(x))
        return layers.Dense(1)(layers.GlobalAveragePooling1D()(layers.Dropout(0.5)(x)))

    ours = MCDropout(predictor(body, length=None), 10)
    assert ours.input_length is None
    for length in (30, 41):
        x = sequences(3, length)
        fixed = predictor(body, length=length)
        fixed.model.set_weights(ours._model.get_weights())
        assert np.all(ours.predict(x).epistemic > 1e-4)
        np.testing.assert_allclose(ours.columns(x), MCDropout(fixed, 10).columns(x), atol=1e-6)
    with pytest.raises(InputError, match=r"too short .* Received: 9 bases"):
        ours.predict(sequences(1, 9))


def test_sequential_models_nested_ones_and_recurrent_layers():
    inner = keras.Sequential([keras.Input((LENGTH, 4)), layers.Conv1D(3, 3), layers.ReLU()])
    stack = [keras.Input((LENGTH, 4)), inner, layers.LSTM(3), layers.Dropout(0.5), layers.Dense(1)]
    single = MCDropout(ModelPredictor(keras.Sequential(stack), ACTIVITY), 20)
    assert np.all(single.predict(sequences(3)).epistemic > 1e-4)


class Noisy(layers.Layer):
    def call(self, x, training=False):
        return x + tf.random.normal(tf.shape(x)) if training else x


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.GaussianDropout(0.2, name="odd"), "'odd' is random .* a GaussianDropout layer"),
        (layers.GaussianNoise(0.2, name="odd"), "'odd' is random"),
        (layers.LSTM(3, return_sequences=True, dropout=0.1, name="odd"), "'odd' is random"),
        (
            layers.Bidirectional(
                layers.GRU(3, return_sequences=True, recurrent_dropout=0.1), name="odd"
            ),
            "'odd' is random",
        ),
        (layers.TimeDistributed(layers.Dropout(0.1), name="odd"), "'odd' is random"),
        (keras.Sequential([layers.Dropout(0.1)], name="odd"), "'odd' is random"),
        (Noisy(name="odd"), "'odd' behaves differently in training"),
        (layers.Dropout(1.0, name="odd"), "'odd' drops everything"),
        (layers.Dropout(0.2, noise_shape=(1, None, None), name="odd"), "noise_shape .* 'odd'"),
    ],
)
def test_other_randomness_is_refused_by_name(layer, message):
    def body(x):
        return layers.Dense(1)(layers.Dropout(0.1)(layers.Flatten()(layer(x))))

    with pytest.raises(InputError, match=message):
        MCDropout(predictor(body))


def test_layers_without_randomness_pass():
    """Rates of zero are no randomness, but something else must have some."""

    def body(x):
        x = layers.GaussianNoise(0.0)(layers.Dropout(0.0)(x))
        return layers.Dense(1)(layers.Dropout(0.5)(layers.Flatten()(x)))

    MCDropout(predictor(body), 5).predict(sequences(1))
    with pytest.raises(InputError, match=r"needs a model with dropout.* Received: model"):
        MCDropout(predictor(lambda x: layers.Dense(1)(layers.Dropout(0.0)(x))))


def test_bad_input(single):
    heads = HeadLayout(("activity",), epistemic="std")
    student = ModelPredictor(build("deepstarr", (32, 4), heads, width=0.05), heads)
    with pytest.raises(InputError, match=r"epistemic uncertainty itself"):
        MCDropout(student)
    with pytest.raises(InputError, match=r"takes a ModelPredictor.* Received: Ensemble"):
        MCDropout(Ensemble([single, single]))
    for options, message in (
        ({"n_passes": 1}, r"n_passes must be a whole number of at least 2 .*Received: n_passes=1"),
        ({"n_passes": 2.5}, "n_passes must be a whole number"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"rows": 0}, "rows must be a whole number of at least 1"),
    ):
        with pytest.raises(InputError, match=message):
            MCDropout(single, **options)
    with pytest.raises(InputError, match="takes sequences of 32 bases"):
        MCDropout(single, 2).predict(sequences(1, 31))
    model = keras.Model(inputs := [keras.Input((6, 4)), keras.Input((6, 4))], layers.Add()(inputs))
    with pytest.raises(InputError, match="of one input and one output"):
        MCDropout(ModelPredictor(model, HeadLayout(targets(4))))
