"""The forward pass of training gives the layers' own numbers, and moves their averages."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from degu_tf.heads import HeadLayout
from degu_tf.models import registry
from degu_tf.training.forward import Learner, TrainingForward, trains_itself

HEADS = HeadLayout(("a", "b"), "std")
ARCHITECTURES = [
    ("deepstarr", 64, {"dropout": 0.0}),
    ("deepstarr", 81, {"dropout": 0.0, "conv_kernels": (6, 3, 5, 3)}),
    ("residualbind", 60, {"conv_dropout": 0.0, "residual_dropout": 0.0, "dense_dropout": 0.0}),
    ("dream_rnn", 40, {"variant": "released", "conv_dropout": 0.0, "final_dropout": 0.0}),
]


def batch(length, n=32, seed=0):
    tokens = np.random.default_rng(seed).integers(0, 5, (n, length))
    return tf.one_hot(tokens, 4)  # every fifth base is unknown


def gradients(forward, network, x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(forward(x) ** 2)
    return [np.asarray(each) for each in tape.gradient(loss, network.trainable_variables)]


@pytest.fixture(autouse=True)
def same_weights():
    """Where a value lies at a kink of ReLU or at a tie of pooling, rounding decides its gradient:
    rare, but with new weights in each run it would come now and then."""
    keras.utils.set_random_seed(1)


@pytest.mark.parametrize(("name", "length", "options"), ARCHITECTURES)
def test_outputs_and_averages_are_the_layers_own(name, length, options):
    network = registry.build(name, (length, 4), HEADS, width=0.1, **options)
    twin = keras.models.clone_model(network)
    twin.set_weights(network.get_weights())
    forward = TrainingForward(network)
    assert not forward.is_plain
    for seed in range(2):
        x = batch(length, seed=seed)
        np.testing.assert_allclose(forward(x), twin(x, training=True), atol=2e-5)
    for ours, theirs in zip(network.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(network(x), twin(x), atol=2e-5)


@pytest.mark.parametrize(("name", "length", "options"), ARCHITECTURES)
def test_gradients_are_as_near_to_exact_ones_as_the_layers(name, length, options):
    network = registry.build(name, (length, 4), HEADS, width=0.1, **options)
    x = batch(length)
    start = network.get_weights()
    ours = gradients(TrainingForward(network), network, x)
    network.set_weights(start)
    theirs = gradients(lambda x: network(x, training=True), network, x)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        exact = registry.build(name, (length, 4), HEADS, width=0.1, **options)
    finally:
        keras.config.set_dtype_policy(policy)
    exact.set_weights(start)
    truth = gradients(lambda x: exact(x, training=True), exact, tf.cast(x, tf.float64))
    size = max(np.abs(each).max() for each in truth)
    ours_off, theirs_off = (
        max(np.abs(each - right).max() for each, right in zip(found, truth, strict=True)) / size
        for found in (ours, theirs)
    )
    assert ours_off < 2 * theirs_off + 1e-5


def first_block(**changes):
    """Conv, normalisation, ReLU, pooling, with something changed."""
    network = keras.Sequential(
        [
            keras.Input((20, 4)),
            layers.Conv1D(3, 5, **{"padding": "same", **changes.get("conv", {})}),
            layers.BatchNormalization(**changes.get("bn", {})),
            layers.Activation(changes.get("activation", "relu")),
            layers.MaxPooling1D(**changes.get("pool", {})),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    for layer, values in changes.get("set", {}).items():
        for name, value in values.items():
            setattr(network.layers[layer], name, value)
    return network


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"conv": {"padding": "valid"}},
        {"conv": {"padding": "causal"}},
        {"conv": {"strides": 2}},
        {"conv": {"dilation_rate": 2}},
        {"conv": {"groups": 2, "filters": 4}},
        {"conv": {"use_bias": False}},
        {"conv": {"activation": "tanh"}},
        {"conv": {"filters": 3, "kernel_size": 40}},
        {"bn": {"scale": False, "center": False, "momentum": 0.5, "epsilon": 0.1}},
        {"bn": {"gamma_initializer": "random_normal"}},
        {"bn": {"axis": 1}},
        {"set": {1: {"trainable": False}}},
        {"set": {0: {"trainable": False}}},
        {"activation": "gelu"},
        {"pool": {"pool_size": 3}},
        {"pool": {"pool_size": 3, "strides": 2, "padding": "same"}},
    ],
    ids=str,
)
def test_other_first_blocks(changes):
    conv = changes.get("conv", {})
    if "filters" in conv or "kernel_size" in conv:
        network = keras.Sequential(
            [
                keras.Input((20, 4)),
                layers.Conv1D(**{"padding": "same", "kernel_size": 5, **conv}),
                layers.BatchNormalization(),
                layers.Activation("relu"),
                layers.MaxPooling1D(),
            ]
        )
    else:
        network = first_block(**changes)
    twin = keras.models.clone_model(network)
    twin.set_weights(network.get_weights())
    for ours, theirs in zip(network.layers, twin.layers, strict=True):
        theirs.trainable = ours.trainable
    x = batch(20)
    np.testing.assert_allclose(TrainingForward(network)(x), twin(x, training=True), atol=1e-5)
    for ours, theirs in zip(network.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_layer_used_twice_is_left_to_keras():
    sequence = keras.Input((20, 4))
    conv = layers.Conv1D(4, 3, padding="same")
    x = layers.Concatenate()([layers.BatchNormalization()(conv(sequence)), conv(sequence)])
    network = keras.Model(sequence, x)
    twin = keras.models.clone_model(network)
    twin.set_weights(network.get_weights())
    forward = TrainingForward(network)
    assert forward.is_plain
    np.testing.assert_allclose(forward(batch(20)), twin(batch(20), training=True), atol=1e-6)


def fit(wrap):
    keras.utils.set_random_seed(3)
    network = registry.build("deepstarr", (48, 4), HEADS, width=0.1, dropout=0.0)
    network.get_layer("dense1").kernel_regularizer = keras.regularizers.L2(0.1)
    model = wrap(network)
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    model.optimizer.build(model.trainable_variables)
    labels = np.random.default_rng(1).normal(size=(64, 4)).astype("f")
    history = model.fit(batch(48, 64), labels, 16, 3, shuffle=False, verbose=0).history
    return network, history


@pytest.fixture(scope="module")
def fitted():
    """A network that was fitted by a `Learner`, and its history."""
    return fit(Learner)


def test_a_fit_is_that_of_keras(fitted):
    ours, history = fitted
    theirs, expected = fit(lambda network: network)
    assert expected["loss"][-1] < expected["loss"][0]
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-4)
    # Adam moves biases before normalisation by the rounding of their zero gradients
    np.testing.assert_allclose(ours(batch(48)), theirs(batch(48)), atol=0.02)


def test_dropout_takes_place():
    network = registry.build("deepstarr", (32, 4), HEADS, width=0.1, dropout=0.9)
    forward, x = TrainingForward(network), batch(32)
    assert np.abs(forward(x) - forward(x)).max() > 0.1


@pytest.mark.slow
def test_a_fitted_network_opens_in_plain_keras(fitted, tmp_path):
    network, _ = fitted
    network.save(tmp_path / "model.keras")
    code = (
        "import keras, numpy, sys; model = keras.models.load_model(sys.argv[1]);"
        "print(model(numpy.ones((1, 48, 4), 'f')).numpy().tolist());"
        "assert not any(name.startswith('degu') for name in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.keras"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    expected = network(np.ones((1, 48, 4), "f")).numpy()
    np.testing.assert_allclose(json.loads(done.stdout), expected, rtol=1e-5)


@pytest.mark.slow
def test_checkpoints_are_of_the_network(tmp_path):
    network = registry.build("deepstarr", (48, 4), HEADS, width=0.1)
    learner = Learner(network)
    learner.compile("adam", "mse")
    files = tmp_path / "m.keras", tmp_path / "m.weights.h5"
    checkpoints = [
        keras.callbacks.ModelCheckpoint(file, save_weights_only=file.suffix == ".h5")
        for file in files
    ]
    learner.fit(batch(48), np.zeros((32, 4), "f"), callbacks=checkpoints, verbose=0)
    expected = network(batch(48))
    np.testing.assert_allclose(keras.models.load_model(files[0])(batch(48)), expected, atol=1e-6)
    network.set_weights([0.0 * each for each in network.get_weights()])
    network.load_weights(files[1])
    np.testing.assert_allclose(network(batch(48)), expected, atol=1e-6)


def test_models_with_a_step_of_their_own():
    class Own(keras.Model):
        def train_step(self, data):
            return {"loss": 0.0}

    assert trains_itself(Own())
    assert not trains_itself(first_block())
