"""The fast forward pass gives Keras' numbers, for every option of a layer and every batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from degu_tf.heads import HeadLayout
from degu_tf.models import registry
from degu_tf.models.inference.fast_forward import MEMORY_BOUND_TERMS, FastForward

LENGTHS = (17, 18)
SHAPE = (18, 4)
BFLOAT16_ROUNDING = 2.0**-8


def functional(body, length=18):
    sequence = keras.Input((length, 4))
    return keras.Model(sequence, body(sequence))


def batch(n, length=18):
    return np.random.default_rng(n).normal(size=(n, length, 4)).astype("float32")


def agree(model, x, dtype="float32", terms=1.0, **options):
    """Hold the fast form of a model against Keras' own; give the fast form."""
    expected = keras.ops.convert_to_numpy(model(x, training=False))
    forward = FastForward(model, dtype, **options)
    found = forward(x)
    assert found.dtype == tf.float32
    assert expected.std() > 0.01
    tolerance = 1e-5 if dtype == "float32" else terms * BFLOAT16_ROUNDING
    tolerance *= np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    return forward


def conv(filters=6, kernel=3, **options):
    return layers.Conv1D(filters, kernel, bias_initializer="random_normal", **options)


def relu_pooled(x, **pooling):
    return layers.MaxPooling1D(**pooling)(layers.Activation("relu")(conv()(x)))


CONVOLUTIONS = {
    "valid": {},
    "same": {"padding": "same"},
    "even and same": {"kernel": 4, "padding": "same"},
    "even": {"kernel": 4},
    "one wide": {"kernel": 1},
    "as long as the sequence": {"kernel": 17},
    "causal": {"padding": "causal"},
    "causal and dilated": {"padding": "causal", "dilation_rate": 2},
    "strided": {"strides": 2},
    "strided and same": {"strides": 3, "padding": "same"},
    "even, strided and same": {"kernel": 4, "strides": 2, "padding": "same"},
    "dilated": {"dilation_rate": 3},
    "dilated and same": {"dilation_rate": 4, "padding": "same"},
    "grouped": {"groups": 2, "padding": "same"},
    "grouped and dilated": {"groups": 2, "dilation_rate": 2},
    "without bias": {"use_bias": False},
    "many terms": {"kernel": MEMORY_BOUND_TERMS // 4 + 1, "padding": "same"},
    "channels first": {"data_format": "channels_first"},
}

POOLINGS = {
    "none": None,
    "pairs": {"pool_size": 2},
    "pairs, same": {"pool_size": 2, "padding": "same"},
    "overlapping pairs": {"pool_size": 2, "strides": 1},
    "threes": {"pool_size": 3},
    "overlapping threes, same": {"pool_size": 3, "strides": 2, "padding": "same"},
    "pairs, channels first": {"pool_size": 2, "data_format": "channels_first"},
}

ACTIVATIONS = (
    *("linear", "relu", "silu", "elu", "sigmoid", "tanh", "softmax", "softplus", "exponential"),
    *("gelu", "selu", "leaky_relu", "hard_sigmoid"),
)


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_every_kind_of_convolution(case, stir):
    """With and without the pooling of pairs, which has a form of its own."""

    def body(x):
        return layers.Activation("relu")(conv(**CONVOLUTIONS[case])(x))

    model = stir(functional(body))
    assert not agree(model, batch(3)).is_plain
    agree(model, batch(3), "bfloat16", terms=3)
    for length in LENGTHS if model.output_shape[1] > 2 else (18,):
        pooled = stir(functional(lambda x: layers.MaxPooling1D(2)(body(x)), length))
        agree(pooled, batch(3, length))


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("case", POOLINGS)
def test_every_kind_of_pooling(case, length, stir):
    pooling = POOLINGS[case]
    model = stir(functional(lambda x: relu_pooled(x, **pooling) if pooling else conv()(x), length))
    for n in (1, 2, 3, 7):
        agree(model, batch(n, length))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation, stir):
    """As an option and as a layer, of convolutions and dense layers."""

    def body(x):
        parts = [
            layers.MaxPooling1D(2)(conv(activation=activation)(x)),
            layers.Activation(activation)(layers.Dense(6)(x)),
            layers.Dense(6, activation=activation)(x),
        ]
        return layers.Concatenate(axis=1)(parts)

    model = stir(functional(body))
    assert not agree(model, batch(3)).is_plain
    agree(model, batch(3), "bfloat16", terms=6)


class Doubled(layers.Activation):
    """A user's activation layer."""

    def call(self, x):
        return 2.0 * super().call(x)


def shared_flatten(x):
    flatten = layers.Flatten()
    return layers.Concatenate()([flatten(conv(3, 3)(x)), flatten(conv(2, 5)(x))])


def shared_convolution(x):
    convolution = conv(4, 3, padding="same")
    return layers.Add()([convolution(x), convolution(layers.ReLU()(convolution(x)))])


def used_beside_its_activation(x):
    y = conv()(x)
    return layers.Add()([y, layers.ReLU()(y), layers.ReLU()(layers.MaxPooling1D(2, 1, "same")(y))])


def nested(x):
    inner = [keras.Input(SHAPE), conv(), layers.BatchNormalization(), layers.ReLU()]
    return layers.Dense(2)(keras.Sequential(inner)(x))


def nested_list(x):
    """A model within that gives a list of one tensor."""
    sequence = keras.Input(SHAPE)
    return layers.Dense(2)(keras.Model(sequence, [conv()(sequence)])(x)[0])


LAYERS = {
    "relu": lambda x: layers.ReLU()(conv()(x)),
    "bounded relu": lambda x: layers.ReLU(max_value=0.5)(conv()(x)),
    "sloped relu": lambda x: layers.ReLU(negative_slope=0.2)(layers.Dense(3)(x)),
    "shifted relu": lambda x: layers.ReLU(threshold=0.1)(layers.Dense(3)(x)),
    "user's activation": lambda x: Doubled("relu")(layers.Dense(3)(conv()(x))),
    "two activations": lambda x: layers.ReLU()(layers.Dense(3, activation="tanh")(x)),
    "normalisation": lambda x: layers.BatchNormalization()(conv(activation="relu")(x)),
    "average": lambda x: layers.GlobalAveragePooling1D()(conv()(x)),
    "recurrent": lambda x: layers.Bidirectional(layers.LSTM(3))(conv()(x)),
    "lambda": lambda x: layers.Dense(2)(layers.Lambda(lambda y: 2.0 * y)(x)),
    "three terms": lambda x: layers.Add()([conv(2, 1)(x), conv(2, 1)(x), conv(2, 1)(x)]),
    "a term for all positions": lambda x: layers.Add()(
        [conv()(x), layers.Dense(6)(layers.GlobalMaxPooling1D(keepdims=True)(x))]
    ),
    "side by side": lambda x: layers.Concatenate()([conv(padding="same")(x), layers.Dense(2)(x)]),
    "one behind the other": lambda x: layers.Concatenate(axis=1)([conv()(x), layers.Dense(6)(x)]),
    "flattened": lambda x: layers.Dense(2)(layers.Flatten()(conv()(x))),
    "flattened, channels first": lambda x: layers.Dense(2)(
        layers.Flatten(data_format="channels_first")(conv()(x))
    ),
    "shared flatten": shared_flatten,
    "shared convolution": shared_convolution,
    "used beside its activation": used_beside_its_activation,
    "nested": nested,
}


@pytest.mark.parametrize("case", LAYERS)
def test_every_other_layer(case, stir):
    model = stir(functional(LAYERS[case]))
    assert not agree(model, batch(3)).is_plain
    agree(model, batch(3), "bfloat16", terms=6)


class Sum(layers.Layer):
    """A user's layer of two tensors."""

    def call(self, x, y):
        return 2.0 * x + y


class Scaled(layers.Layer):
    def call(self, x, factor=1.0):
        return factor * x


class First(layers.Layer):
    def call(self, tensors):
        return tensors[0]


class Inner(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(x)


def state_of(x):
    """The first of the three outputs of a layer."""
    return layers.LSTM(3, return_state=True)(x)[0]


PLAIN = {
    "two tensors": lambda: functional(lambda x: Sum()(conv(4, 1)(x), x)),
    "a maximum": lambda: functional(lambda x: layers.Maximum()([conv(4, 1)(x), x])),
    "a named option": lambda: functional(lambda x: Scaled()(conv()(x), factor=3.0)),
    "a list of one": lambda: functional(lambda x: First()([conv()(x)])),
    "a list from a nested model": lambda: functional(nested_list),
    "several outputs": lambda: functional(state_of),
    "arithmetic": lambda: functional(lambda x: conv()(x) + 1.0),
    "masked": lambda: functional(
        lambda x: layers.GlobalAveragePooling1D()(layers.ReLU()(layers.Masking()(x)))
    ),
    "subclassed": Inner,
}


@pytest.mark.parametrize("case", PLAIN)
def test_what_is_not_known_is_called_as_keras_does(case, stir):
    model, x = PLAIN[case](), batch(3)
    x[:, 5] = 0.0
    model(x)
    stir(model)
    assert agree(model, x).is_plain
    assert agree(model, x, "bfloat16", terms=0.01).is_plain


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names())
def test_architectures_in_a_graph(name, stir):
    """Where TensorFlow rewrites the graph, and for every size of batch."""
    heads = HeadLayout(("Dev", "Hk"), aleatoric="std")
    length = 128 if name == "cnn_task_base" else 32
    model = stir(registry.build(name, (length, 4), heads, width=0.05))
    forwards = {("float32", True): 1e-5}
    if name == "deepstarr":
        forwards |= {("float32", False): 1e-5, ("bfloat16", True): 20 * BFLOAT16_ROUNDING}
    expected = {n: model(batch(n, length), training=False).numpy() for n in (1, 2, 3, 7)}
    scale = np.abs(expected[7]).max()
    spec = tf.TensorSpec((None, length, 4))
    for (dtype, constants), tolerance in forwards.items():
        forward = FastForward(model, dtype, constants=constants)
        assert not forward.is_plain
        graph = tf.function(forward, input_signature=[spec], autograph=False)
        for n, columns in expected.items():
            found = graph(batch(n, length))
            np.testing.assert_allclose(found, columns, rtol=0, atol=tolerance * scale)
        held = graph.get_concrete_function().captured_inputs
        assert not any(each.shape == model.layers[1].kernel.shape for each in held) or not constants


def test_bfloat16_rounds(stir):
    model = stir(functional(lambda x: layers.Dense(3)(conv()(x))))
    exact, rounded = (FastForward(model, dtype)(batch(7)) for dtype in ("float32", "bfloat16"))
    assert np.abs(exact - rounded).max() > 1e-4


def test_sequences_of_any_length(stir):
    model = stir(registry.build("residualbind", (None, 4), HeadLayout(("a",)), width=0.05))
    graph = tf.function(
        FastForward(model), input_signature=[tf.TensorSpec((None, None, 4))], autograph=False
    )
    for length in (25, 30, 31):
        expected = model(batch(3, length), training=False)
        np.testing.assert_allclose(graph(batch(3, length)), expected, atol=1e-5)


def test_weights_are_those_of_when_it_was_made(stir):
    """The model may go on training; what was made of it stays."""
    model = stir(functional(lambda x: layers.Dense(3)(conv()(x))))
    forward = FastForward(model)
    before = forward(batch(3)).numpy()
    stir(model, seed=1)
    assert np.array_equal(forward(batch(3)), before)
