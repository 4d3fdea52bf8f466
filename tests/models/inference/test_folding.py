"""Folded models predict what the plain ones do, whatever they are made of."""

import keras
import numpy as np
import pytest
from keras import layers

from degu_tf.heads import HeadLayout
from degu_tf.models import registry
from degu_tf.models.inference.fast_forward import FastForward
from degu_tf.models.inference.folding import fold, folded_weights

HEADS = HeadLayout(("Dev", "Hk"), aleatoric="std")
SHAPE = (24, 4)


def conv(filters=6, kernel=3, **options):
    return layers.Conv1D(filters, kernel, **options)


def norm(**options):
    return layers.BatchNormalization(**options)


def functional(body, shape=SHAPE, **options):
    sequence = keras.Input(shape)
    return keras.Model(sequence, body(sequence), **options)


def norms(model):
    """How many batch normalisations a model has, those of models within it included."""
    layers_ = model._flatten_layers(include_self=False)
    return sum(isinstance(layer, layers.BatchNormalization) for layer in layers_)


def outputs(model, n=5, shape=SHAPE):
    x = np.random.default_rng(1).normal(size=(n, *shape)).astype("float32")
    return keras.ops.convert_to_numpy(model(x, training=False)).astype("float32")


def agree(model, shape=SHAPE):
    """The folded model, after its numbers and those of its fast form were held against Keras'."""
    plain, folded = outputs(model, shape=shape), fold(model)
    x = np.random.default_rng(1).normal(size=(5, *shape)).astype("float32")
    assert plain.std() > 0.05
    tolerance = 1e-5 * np.abs(plain).max()
    np.testing.assert_allclose(outputs(folded, shape=shape), plain, rtol=0, atol=tolerance)
    np.testing.assert_allclose(FastForward(model)(x), plain, rtol=0, atol=tolerance)
    return folded


class Inner(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense, self.norm = layers.Dense(3), norm()

    def call(self, x, training=False):
        return self.norm(self.dense(x), training=training)


@keras.saving.register_keras_serializable("tests")
class Gain(layers.Layer):
    """A user's layer with a weight and an option of its own."""

    def __init__(self, power=1, **options):
        super().__init__(**options)
        self.power = power

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1],), name="kernel")

    def call(self, x):
        return self.kernel * x**self.power

    def get_config(self):
        return {**super().get_config(), "power": self.power}


class Holding(layers.Layer):
    """A user's layer that cannot be described."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


class AlwaysDropping(layers.Dropout):
    """Monte-Carlo dropout: drops at inference too."""

    def call(self, x, training=None):
        return super().call(x, training=True)


class TestArchitectures:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "aleatoric"),
        [*((name, "std") for name in registry.names()), ("deepstarr", "evidential")],
    )
    def test_every_architecture(self, name, aleatoric, stir):
        heads = HeadLayout(("Dev", "Hk"), aleatoric, "evidential" if aleatoric != "std" else None)
        shape = (128 if name == "cnn_task_base" else 32, 4)
        model = stir(registry.build(name, shape, heads, width=0.05))
        folded = agree(model, shape)
        assert norms(folded) == (4 if name == "mprann" else 0)
        assert not any(isinstance(layer, layers.Dropout) for layer in folded.layers)
        assert folded.output_names == model.output_names

    def test_any_length(self, stir):
        model = stir(registry.build("residualbind", (None, 4), HEADS, width=0.05))
        agree(model, (31, 4))
        assert fold(model).input_shape == (None, None, 4)

    def test_parameters_of_deepstarr(self):
        model = registry.build("deepstarr", (249, 4), HeadLayout(("Dev", "Hk")))
        assert model.count_params() == 624_738
        assert fold(model).count_params() == 620_706

    def test_the_closed_form(self):
        """2 x + 1, normalised by mean 3, variance 4 - epsilon, gamma 10, beta 0.5."""
        model = functional(lambda x: norm(epsilon=0.5, name="norm")(conv(1, 1, name="conv")(x)))
        model.get_layer("conv").set_weights([np.full((1, 4, 1), 2.0), np.ones(1)])
        model.get_layer("norm").set_weights(list(np.array([[10.0], [0.5], [3.0], [3.5]])))
        kernel, bias = folded_weights(model.get_layer("conv"), model.get_layer("norm"))
        np.testing.assert_allclose(kernel, np.full((1, 4, 1), 10.0))
        np.testing.assert_allclose(bias, [-9.5])
        assert kernel.dtype == bias.dtype == np.float32


def used_further(x):
    y = norm()(conv()(x))
    return layers.Add()([y, layers.Activation("relu")(y)])


def twice_normalised(x):
    y = conv()(x)
    return layers.Add()([norm()(y), norm()(y)])


def beside_its_norm(x):
    y = conv()(x)
    return layers.Add()([norm()(y), y])


def shared_convolution(x):
    y = conv(4, 3, padding="same")
    return layers.Add()([norm()(y(x)), y(layers.Activation("tanh")(x))])


def shared_norm(x):
    y = norm()
    return layers.Add()([y(conv()(x)), y(conv()(x))])


def nested(x, *inner):
    """A sequential model within the model."""
    return norm()(keras.Sequential([keras.Input(SHAPE), *inner], name="inner")(x))


FOLDED = {
    "convolution": lambda x: norm()(conv()(x)),
    "without bias": lambda x: norm()(conv(use_bias=False)(x)),
    "without gamma and beta": lambda x: norm(scale=False, center=False, epsilon=0.1)(conv()(x)),
    "dense": lambda x: norm()(layers.Dense(6)(x)),
    "strided": lambda x: norm()(conv(4, 5, strides=2)(x)),
    "grouped": lambda x: norm()(conv(8, groups=2)(x)),
    "causal and dilated": lambda x: norm()(conv(padding="causal", dilation_rate=3)(x)),
    "identities between": lambda x: norm()(
        layers.GaussianNoise(0.1)(layers.SpatialDropout1D(0.2)(layers.Dropout(0.5)(conv()(x))))
    ),
    "called for training": lambda x: norm()(
        layers.Dropout(0.5)(conv()(x), training=True), training=True
    ),
    "axis by its number": lambda x: norm(axis=2)(conv()(x)),
    "used further": used_further,
    "regularised": lambda x: norm()(
        conv(kernel_regularizer="l2", kernel_constraint="unit_norm")(x)
    ),
    "two": lambda x: norm()(layers.Dense(3)(layers.Activation("relu")(norm()(conv()(x))))),
    "beside a user's layer": lambda x: Gain(2)(norm()(conv()(x))),
    "within a nested model": lambda x: layers.Dense(2)(nested(x, conv(), norm(), conv())),
}

LEFT = {
    "after an activation": lambda x: norm()(conv(activation="relu")(x)),
    "after an activation layer": lambda x: norm()(layers.ReLU()(conv()(x))),
    "after pooling": lambda x: norm()(layers.MaxPooling1D(2)(conv()(x))),
    "of two norms": twice_normalised,
    "used beside its norm": beside_its_norm,
    "of a shared convolution": shared_convolution,
    "shared": shared_norm,
    "over another axis": lambda x: norm(axis=1)(conv()(x)),
    "channels first": lambda x: norm(axis=1)(conv(data_format="channels_first")(x)),
    "channels first, last axis": lambda x: norm()(conv(data_format="channels_first")(x)),
    "over positions of a dense layer": lambda x: norm(axis=1)(layers.Dense(5)(x)),
    "after another kind of layer": lambda x: norm()(layers.SeparableConv1D(3, 3)(x)),
    "after a user's layer": lambda x: norm()(Gain()(x)),
    "after a nested model": lambda x: nested(x, conv(), layers.ReLU()),
}


@pytest.mark.parametrize("case", FOLDED)
def test_what_can_be_folded_is(case, stir):
    model = stir(functional(FOLDED[case]))
    folded = agree(model)
    assert norms(model) > 0
    assert norms(folded) == (1 if "nested" in case else 0)


@pytest.mark.parametrize("case", LEFT)
def test_what_cannot_be_folded_stays(case, stir):
    model = stir(functional(LEFT[case]))
    folded = agree(model)
    assert folded is not model
    assert norms(folded) == norms(model) > 0
    assert folded.count_params() == model.count_params()


def test_an_output_that_is_also_normalised(stir):
    """The convolution is the model's output; its normalisation belongs to another model."""
    sequence = keras.Input(SHAPE)
    y = conv()(sequence)
    both = keras.Model(sequence, norm()(y))
    stir(both)
    model = keras.Model(sequence, y)
    assert agree(model).count_params() == model.count_params()


def test_a_model_without_normalisation_comes_back_as_a_copy(stir):
    model = stir(functional(lambda x: layers.Dense(2)(layers.Flatten()(conv()(x)))))
    folded = agree(model)
    assert folded is not model
    before = outputs(folded)
    stir(model, seed=1)
    assert np.array_equal(outputs(folded), before)


def test_models_that_have_nothing_but_dropout_or_nothing():
    for body in (layers.Dropout(0.5), lambda x: x):
        folded = agree(functional(body))
        assert [type(layer) for layer in folded.layers] == [layers.InputLayer]


def test_sequential_models(stir):
    parts = (conv(), norm(), layers.ReLU(), layers.Flatten(), layers.Dropout(0.3), layers.Dense(2))
    model = stir(keras.Sequential([keras.Input(SHAPE), *parts]))
    folded = agree(model)
    assert norms(folded) == 0
    late = keras.Sequential([conv(), norm()])
    assert fold(late) is late
    late.build((None, *SHAPE))
    assert norms(agree(stir(late))) == 0


def subclassed():
    model = Inner()
    model(np.zeros((1, *SHAPE)))
    return model


def named_input():
    sequence = keras.Input(SHAPE, name="sequence")
    return keras.Model({"sequence": sequence}, norm()(conv()(sequence)))


WHOLE = {
    "subclassed": subclassed,
    "subclassed within": lambda: functional(lambda x: norm()(conv()(Inner()(x)))),
    "sequential of a subclassed one": lambda: keras.Sequential([keras.Input(SHAPE), Inner()]),
    "lambda": lambda: functional(lambda x: norm()(conv()(layers.Lambda(lambda y: 2.0 * y)(x)))),
    "lambda within": lambda: functional(
        lambda x: norm()(conv()(nested(x, layers.Lambda(lambda y: 2.0 * y))))
    ),
    "not described": lambda: functional(lambda x: norm()(conv()(Holding(lambda y: 2.0 * y)(x)))),
    "arithmetic": lambda: functional(lambda x: norm()(conv()(2.0 * x))),
    "attention": lambda: functional(
        lambda x: norm()(layers.MultiHeadAttention(1, 2)(conv(4)(x), value=x))
    ),
}


@pytest.mark.parametrize("case", WHOLE)
def test_what_cannot_be_seen_into_comes_back_as_it_is(case, stir):
    model = stir(WHOLE[case]())
    assert agree(model) is model


@pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match:UserWarning")
def test_a_model_of_a_named_input_comes_back_as_it_is(stir):
    model = stir(named_input())
    assert agree(model) is model


def test_a_users_dropout_that_always_drops_stays():
    model = functional(lambda x: norm()(conv()(AlwaysDropping(0.5)(x))))
    folded = fold(model)
    assert norms(folded) == 0
    assert any(isinstance(layer, AlwaysDropping) for layer in folded.layers)
    kept = fold(functional(lambda x: norm()(AlwaysDropping(0.5)(conv()(x)))))
    assert norms(kept) == 1


def test_the_original_is_not_touched(stir):
    model = stir(functional(FOLDED["within a nested model"]))
    weights, config, before = model.get_weights(), model.get_config(), outputs(model)
    folded = fold(model)
    assert model.get_config() == config
    for layer in folded._flatten_layers():
        assert layer not in model._flatten_layers()
    stir(folded, seed=1)
    assert all(map(np.array_equal, model.get_weights(), weights))
    assert np.array_equal(outputs(model), before)


def test_a_folded_model_is_saved_and_loaded(stir, tmp_path):
    model = stir(functional(lambda x: layers.Dense(2)(Gain(2)(nested(x, conv(), norm(), conv())))))
    folded = fold(model)
    folded.save(tmp_path / "folded.keras")
    loaded = keras.models.load_model(tmp_path / "folded.keras")
    assert np.array_equal(outputs(loaded), outputs(folded))
    np.testing.assert_allclose(outputs(loaded), outputs(model), atol=1e-5)
    assert not np.allclose(outputs(stir(loaded, seed=1)), outputs(folded))


@pytest.mark.parametrize(
    ("policy", "rounding"), [("mixed_bfloat16", 2e-2), ("mixed_float16", 4e-3)]
)
def test_mixed_precision(policy, rounding, stir):
    def body(x):
        return layers.Dense(2, dtype=policy)(
            layers.ReLU(dtype=policy)(norm(dtype=policy)(conv(dtype=policy)(x)))
        )

    model = stir(functional(body))
    exact = stir(keras.models.clone_model(model, clone_function=_in_float32))
    plain, folded = outputs(model), fold(model)
    assert norms(folded) == 0
    assert folded.layers[1].dtype_policy.name == policy
    assert folded.layers[1].kernel.dtype == "float32"
    scale = np.abs(plain).max()
    np.testing.assert_allclose(outputs(folded), plain, rtol=0, atol=rounding * scale)
    x = np.random.default_rng(1).normal(size=(5, *SHAPE)).astype("float32")
    assert FastForward(model)(x).dtype == "float32"
    np.testing.assert_allclose(FastForward(model)(x), outputs(exact), rtol=0, atol=1e-5 * scale)


def _in_float32(layer):
    return layer.__class__.from_config({**layer.get_config(), "dtype": "float32"})
