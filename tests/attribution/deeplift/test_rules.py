"""Rules layer by layer: nothing is lost in float64, and what is known by hand comes out."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from degu_tf.attribution import contributions
from degu_tf.attribution.deeplift import compiled
from degu_tf.attribution.deeplift.elementwise import ACTIVATIONS
from degu_tf.attribution.shap_values import deepshap
from degu_tf.sequences.encoding import one_hot
from degu_tf.utils.errors import InputError

LENGTH = 12


@pytest.fixture(autouse=True)
def eager(request):
    """Run without tracing, which takes longer than these small models."""
    tf.config.run_functions_eagerly("compiled" not in request.node.name)
    yield
    tf.config.run_functions_eagerly(False)


def model_of(*parts, length=LENGTH, n_outputs=1):
    """A model of layers between a convolution and a dense layer."""
    sequence = keras.Input((length, 4))
    x = layers.Conv1D(6, 3, padding="same")(sequence)
    for part in parts:
        x = part(x)
    if len(x.shape) == 3:
        x = layers.Flatten()(x)
    return keras.Model(sequence, layers.Dense(n_outputs)(x))


def draw(n, length=LENGTH, seed=0):
    return np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8)


def check_complete(model, length=LENGTH, tolerance=1e-10):
    """Every pair's scores sum to its own difference of outputs, those that Keras computes."""
    x, references = draw(3, length), draw(2, length, seed=1)
    result = deepshap(model, x, references, dtype="float64")
    assert np.abs(result.delta).max() <= tolerance * np.abs(result.prediction).max()
    expected = model(one_hot(x), training=False).numpy()[..., 0].reshape(3, -1).mean(axis=1)
    np.testing.assert_allclose(result.prediction, expected, rtol=1e-4, atol=1e-5)
    assert np.ptp(result.prediction) > 0.0
    return result


CONVOLUTIONS = {
    "valid": {"kernel_size": 4},
    "same": {"kernel_size": 4, "padding": "same"},
    "causal": {"kernel_size": 3, "padding": "causal", "dilation_rate": 2},
    "dilated": {"kernel_size": 3, "padding": "same", "dilation_rate": 3},
    "strided": {"kernel_size": 3, "strides": 2, "padding": "same"},
    "strided valid": {"kernel_size": 2, "strides": 3},
    "strided causal": {"kernel_size": 4, "strides": 2, "padding": "causal"},
    "groups": {"kernel_size": 3, "groups": 3, "padding": "same", "use_bias": False},
    "wide": {"kernel_size": 12},
    "few channels after more": {"kernel_size": 5, "padding": "same"},
}


@pytest.mark.parametrize("options", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
@pytest.mark.parametrize("channels", [6, 12])
def test_a_convolution_hands_multipliers_on_as_its_gradient_does(stir, options, channels):
    if options.get("groups"):
        first = layers.Conv1D(channels, 1)
    else:
        first = layers.Conv1D(channels, 3, padding="same")
    model = stir(model_of(first, layers.Conv1D(6, **options)))
    x, references = draw(2), draw(3, seed=1)
    result = deepshap(model, x, references, dtype="float64")
    with tf.GradientTape() as tape:
        sequences = tf.constant(one_hot(x))
        tape.watch(sequences)
        y = model(sequences)
    gradient = tape.gradient(y, sequences).numpy()
    expected = gradient * (one_hot(x) - one_hot(references).mean(axis=0))
    np.testing.assert_allclose(result.scores, expected, atol=1e-5)


LINEAR = {
    "average pooling": lambda: [layers.AveragePooling1D(3, 2, padding="same")],
    "batch normalisation": lambda: [layers.BatchNormalization()],
    "batch normalisation of positions": lambda: [layers.BatchNormalization(axis=1)],
    "plain batch normalisation": lambda: [layers.BatchNormalization(scale=False, center=False)],
    "cropping": lambda: [layers.Cropping1D((1, 2))],
    "dense on positions": lambda: [layers.Dense(5, use_bias=False)],
    "dropout": lambda: [layers.Dropout(0.5), layers.SpatialDropout1D(0.2)],
    "global average": lambda: [layers.GlobalAveragePooling1D()],
    "permute": lambda: [layers.Permute((2, 1))],
    "rescaling": lambda: [layers.Rescaling(2.0, 1.0), layers.Rescaling([1.0, 2, 3, 4, 5, 6])],
    "repeat": lambda: [layers.GlobalAveragePooling1D(), layers.RepeatVector(3)],
    "reshape": lambda: [layers.Reshape((6, 12)), layers.Conv1D(3, 2)],
    "upsampling": lambda: [layers.UpSampling1D(2)],
    "zero padding": lambda: [layers.ZeroPadding1D(2), layers.Conv1D(3, 5)],
}


@pytest.mark.parametrize("parts", LINEAR.values(), ids=LINEAR)
def test_linear_layers_are_exact(stir, parts):
    check_complete(stir(model_of(*parts())), tolerance=1e-12)


@pytest.mark.parametrize("name", [*(each.__name__ for each in ACTIVATIONS), "linear", "softmax"])
def test_activations_lose_nothing(stir, name):
    model = stir(model_of(layers.Conv1D(5, 3, activation=name), layers.Activation(name)))
    check_complete(model)


NONLINEAR = {
    "relu layer": lambda: [layers.ReLU()],
    "relu with bounds": lambda: [layers.ReLU(max_value=0.5, negative_slope=0.1, threshold=0.1)],
    "elu layer": lambda: [layers.ELU(0.5)],
    "leaky relu layer": lambda: [layers.LeakyReLU(0.2)],
    "prelu": lambda: [layers.PReLU()],
    "softmax over positions": lambda: [layers.Softmax(axis=1)],
    "softmax layer": lambda: [layers.Softmax()],
    "max pooling": lambda: [layers.MaxPooling1D(5)],
    "max pooling after relu": lambda: [layers.ReLU(), layers.MaxPooling1D(5)],
    "overlapping max pooling": lambda: [layers.ReLU(), layers.MaxPooling1D(3, 2)],
    "overlapping same pooling": lambda: [layers.MaxPooling1D(4, 3, padding="same")],
    "same pooling": lambda: [layers.MaxPooling1D(5, padding="same")],
    "sparse pooling": lambda: [layers.MaxPooling1D(2, 3)],
    "sparse same pooling": lambda: [layers.MaxPooling1D(2, 5, padding="same")],
    "global max": lambda: [layers.GlobalMaxPooling1D()],
    "global max after relu": lambda: [layers.ReLU(), layers.GlobalMaxPooling1D(keepdims=True)],
}


@pytest.mark.parametrize("parts", NONLINEAR.values(), ids=NONLINEAR)
def test_nonlinear_layers_lose_nothing(stir, parts):
    check_complete(stir(model_of(*parts())))


def branches(join, *more):
    sequence = keras.Input((LENGTH, 4))
    a = layers.Conv1D(6, 3, padding="same", activation="relu")(sequence)
    b = layers.Conv1D(6, 5, padding="same", activation="tanh")(sequence)
    gate = layers.Reshape((1, 6))(layers.Dense(6, "sigmoid")(layers.GlobalAveragePooling1D()(a)))
    given = {"two": [a, b], "three": [a, b, a], "broadcast": [gate, b], "broadcast 2": [a, gate]}
    x = join(given[more[0]] if more else [a, b])
    return keras.Model(sequence, layers.Dense(1)(layers.Flatten()(x)))


JOINS = {
    "add": (layers.Add, "three"),
    "broadcast add": (layers.Add, "broadcast"),
    "average": (layers.Average, "three"),
    "subtract": (layers.Subtract, "two"),
    "multiply": (layers.Multiply, "two"),
    "multiply three": (layers.Multiply, "three"),
    "multiply broadcast": (layers.Multiply, "broadcast"),
    "multiply broadcast second": (layers.Multiply, "broadcast 2"),
    "concatenate": (layers.Concatenate, "three"),
    "concatenate positions": (lambda: layers.Concatenate(axis=1), "three"),
}


@pytest.mark.parametrize(("join", "given"), JOINS.values(), ids=JOINS)
def test_branches_lose_nothing(stir, join, given):
    check_complete(stir(branches(join(), given)))


def test_a_product_is_shared_by_the_symmetric_rule():
    sequence = keras.Input((2, 4))
    first, second = (layers.Dense(1, use_bias=False) for _ in range(2))
    a = first(layers.Flatten()(layers.Cropping1D((0, 1))(sequence)))
    b = second(layers.Flatten()(layers.Cropping1D((1, 0))(sequence)))
    model = keras.Model(sequence, layers.Multiply()([a, b]))
    first.set_weights([np.array([[1.0], [2.0], [3.0], [5.0]])])
    second.set_weights([np.array([[7.0], [11.0], [13.0], [17.0]])])
    result = deepshap(model, ["AT"], ["CG"])
    # a goes from 2 to 1 where b is on average 15, b from 13 to 17 where a is on average 1.5
    a_share, b_share = (1.0 - 2.0) * 15.0, (17.0 - 13.0) * 1.5
    np.testing.assert_allclose(result.scores.sum(axis=2), [[a_share, b_share]])
    np.testing.assert_allclose(result.scores[0, 0], [15.0, -30.0, 0.0, 0.0])


def test_softmax_is_exponentials_times_the_inverse_of_their_sum():
    sequence = keras.Input((1, 4))
    z = layers.Flatten()(sequence)
    pick = layers.Dense(1, use_bias=False)
    model = keras.Model(sequence, pick(layers.Softmax()(layers.Rescaling(1.0)(z))))
    pick.set_weights([np.array([[1.0], [0.0], [0.0], [0.0]])])
    x, r = np.array([[[0.3, -0.2, 0.5, 2.0]]]), np.array([[[-0.1, 0.4, 0.5, 1.0]]])
    result = deepshap(model, x, r, dtype="float64")
    # exp(z) and 1 / sum(exp(z)), whose product is shared equally
    e_x, e_r = np.exp(x[0, 0]), np.exp(r[0, 0])
    q_x, q_r = 1 / e_x.sum(), 1 / e_r.sum()
    own = np.array([1.0, 0, 0, 0]) * (e_x - e_r) * (q_x + q_r) / 2
    through_sum = (e_x[0] + e_r[0]) / 2 * (-q_x * q_r) * (e_x - e_r)
    np.testing.assert_allclose(result.scores[0, 0], own + through_sum, rtol=1e-6)


def test_a_shift_of_all_inputs_of_a_softmax_changes_no_score(stir):
    model = stir(model_of(layers.Conv1D(5, 3), layers.Softmax()))
    plain = deepshap(model, draw(3), draw(2, seed=1), dtype="float64")
    kernel, bias = model.layers[2].get_weights()
    model.layers[2].set_weights([kernel, bias + 300.0])
    shifted = deepshap(model, draw(3), draw(2, seed=1), dtype="float64")
    np.testing.assert_allclose(shifted.scores, plain.scores, atol=1e-6)
    assert np.isfinite(deepshap(model, draw(3), draw(2, seed=1)).scores).all()


def test_max_pooling_gives_the_difference_to_where_the_larger_value_lies():
    sequence = keras.Input((3, 4))
    score = layers.Dense(1, use_bias=False)
    model = keras.Model(sequence, layers.GlobalMaxPooling1D()(score(sequence)))
    score.set_weights([np.array([[0.0], [1.0], [4.0], [9.0]])])
    result = deepshap(model, ["ATC", "AAC"], ["GAA"])
    # the first sequence's largest, 9 at position 1, exceeds the reference's, 4 at position 0; the
    # second's is 1, so that the reference's position loses the 3
    np.testing.assert_allclose(result.scores.sum(axis=2), [[0.0, 5.0, 0.0], [-3.0, 0.0, 0.0]])


def test_close_inputs_get_the_slope_and_not_rounding_noise():
    sequence = keras.Input((1, 4))
    dense = layers.Dense(1, "silu", use_bias=False)
    model = keras.Model(sequence, dense(layers.Flatten()(sequence)))
    # two steps that all but cancel: the input of SiLU moves by 1e-6 only
    dense.set_weights([np.array([[4.0], [4.0 + 1e-6], [0.0], [0.0]])])
    result = deepshap(model, ["A"], ["C"])
    sigmoid = 1.0 / (1.0 + np.exp(-4.0))
    slope = sigmoid + 4.0 * sigmoid * (1.0 - sigmoid)
    np.testing.assert_allclose(result.scores[0, 0, :2], [4.0 * slope, -4.0 * slope], rtol=1e-5)


@pytest.mark.parametrize("name", ["relu", "silu", "softmax"])
def test_large_layers_are_compiled_and_give_the_same(stir, monkeypatch, name):
    length = compiled.COMPILED_FROM // 10
    conv = layers.Conv1D(20, 3, activation=name)
    model = stir(model_of(conv, layers.MaxPooling1D(2), length=length))
    x, references = draw(2, length), draw(3, length, seed=1)
    fused = deepshap(model, x, references, dtype="float64")
    monkeypatch.setattr(compiled, "can_compile", lambda: False)
    plain = deepshap(model, x, references, dtype="float64")
    np.testing.assert_allclose(fused.scores, plain.scores, atol=1e-12)


def test_models_within_the_model_are_taken_apart(stir):
    inner_input = keras.Input((LENGTH, 6))
    inner = keras.Model(inner_input, layers.Conv1D(6, 3, activation="silu")(inner_input))
    sequential = keras.Sequential([keras.Input((10, 6)), layers.Dense(3, "tanh")])
    check_complete(stir(model_of(inner, sequential)))


def test_a_shared_layer_has_a_rule_at_each_of_its_calls(stir):
    sequence = keras.Input((LENGTH, 4))
    shared = layers.Conv1D(4, 3, padding="same", activation="silu")
    x = layers.Add()([shared(sequence), shared(shared(sequence))])
    model = keras.Model(sequence, layers.Dense(1)(layers.Flatten()(x)))
    check_complete(stir(model))


REFUSED = {
    "GRU": (lambda: layers.GRU(3), "this type of layer: layer 'odd' of type GRU"),
    "LayerNormalization": (
        lambda: layers.LayerNormalization(),
        "this type of layer: layer 'odd' of type LayerNormalization",
    ),
    "activation": (
        lambda: layers.Dense(3, activation=keras.activations.hard_tanh),
        "the activation 'hard_tanh': layer 'odd' of type Dense",
    ),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_a_layer_without_a_rule_is_named(make, message):
    layer = make()
    layer.name = "odd"
    with pytest.raises(InputError, match=f"no rule for {message}"):
        deepshap(model_of(layer), draw(1), draw(1))


def test_models_that_cannot_be_seen_through_are_refused():
    sequence = keras.Input((LENGTH, 4))
    joined = layers.Flatten()(sequence * 2.0)
    with pytest.raises(InputError, match="functional or sequential model"):
        deepshap(keras.Model(sequence, layers.Dense(1)(joined)), draw(1), draw(1))

    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(InputError, match="functional or sequential"):
        deepshap(Own(), draw(1), draw(1))


@pytest.mark.parametrize("pair_bytes", [1, 5000, 10**9])
def test_scores_do_not_depend_on_how_the_work_is_cut(stir, monkeypatch, pair_bytes):
    model = stir(model_of(layers.ReLU(), layers.MaxPooling1D(3), n_outputs=2))
    expected = deepshap(model, draw(5), draw(7, seed=1), 1, hypothetical=True, dtype="float64")
    monkeypatch.setattr(contributions, "PAIR_BYTES", pair_bytes)
    for kept_bytes in (1, 2**30):
        monkeypatch.setattr(contributions, "KEPT_BYTES", kept_bytes)
        cut = deepshap(model, draw(5), draw(7, seed=1), 1, hypothetical=True, dtype="float64")
        for name in ("scores", "hypothetical", "prediction", "expected"):
            np.testing.assert_allclose(
                getattr(cut, name), getattr(expected, name), rtol=1e-12, atol=1e-14
            )
