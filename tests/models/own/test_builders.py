"""A user's function as an architecture, and what of it is refused."""

import keras
import numpy as np
import own_networks
import pytest
from keras import layers

from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.models.own.builders import build_own, own_options
from degu_tf.training.model_spec import ModelSpec
from degu_tf.utils.errors import InputError

HEADS = HeadLayout(("Dev", "Hk"), aleatoric="std")


@keras.saving.register_keras_serializable("test_builders")
class Twice(layers.Layer):
    def call(self, x):
        return 2 * x


class Unregistered(Twice):
    pass


class Own(keras.Model):
    """A model of a class of its own."""

    def __init__(self, n_columns):
        super().__init__()
        self.flat, self.dense = layers.Flatten(), layers.Dense(n_columns)

    def call(self, x):
        return self.dense(self.flat(x))


def ending(*stack, shape=(32, 4)):
    """A builder of a sequential model."""
    return lambda input_shape, n_columns: keras.Sequential([*stack, layers.Dense(n_columns)])


@pytest.mark.parametrize("name", ["transformer", "residual", "several_outputs", "sequential"])
def test_seeds_decide_the_weights(name):
    spec = ModelSpec(getattr(own_networks, name))
    one, two, other = (spec.build((32, 4), HEADS, seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert build(spec.builder, (32, 4), HEADS).output_shape == (None, 4)


def test_options_are_arguments_after_the_first_two():
    assert own_options(own_networks.transformer) == {"width": 16, "heads": 2, "dropout": 0.1}
    wide = ModelSpec(own_networks.transformer, {"width": 32}).build((32, 4), HEADS, 0)
    assert wide.layers[1].filters == 32
    with pytest.raises(InputError, match=r"transformer has the options width.*Did you mean width"):
        ModelSpec(own_networks.transformer, {"widht": 2}).build((32, 4), HEADS, 0)
    with pytest.raises(InputError, match="has no options"):
        ModelSpec(own_networks.several_outputs, {"width": 2}).build((32, 4), HEADS, 0)


def test_the_positive_head_takes_the_place_of_the_last_dense_layer():
    x = np.random.default_rng(0).normal(0, 1, (50, 32, 4)).astype("f")
    positive = ModelSpec(own_networks.residual, head="positive").build((32, 4), HEADS, 0)
    assert (positive(x).numpy()[:, 2:] > 0).all()
    own = ModelSpec(own_networks.several_outputs, head="positive").build((32, 4), HEADS, 0)
    assert own.get_layer("aleatoric").activation is keras.activations.softplus
    with pytest.raises(InputError, match="ends in a dense layer"):
        ModelSpec(own_networks.several_outputs, head="mean_std").build((32, 4), HEADS, 0)


def test_models_of_their_own_class_are_called():
    registered = keras.saving.register_keras_serializable("test_builders")(Own)

    def own(input_shape, n_columns):
        return registered(n_columns)

    with pytest.raises(InputError, match=r"get_config.*of type Own"):
        build_own(own, (32, 4), HEADS, {})
    Own.get_config = lambda self: {"n_columns": self.dense.units}
    assert build_own(own, (32, 4), HEADS, {}).output_shape == (None, 4)


def test_registered_layers_pass_and_others_are_named():
    assert build_own(ending(layers.Flatten(), Twice()), (32, 4), HEADS, {}).output_shape[1] == 4
    refusals = {
        r"register_keras_serializable.*layer 'mine' of type Unregistered": Unregistered(
            name="mine"
        ),
        r"Lambda layers are not loaded.*layer 'code'": layers.Lambda(lambda x: x, name="code"),
        r"layer 'odd' of type Activation": layers.Activation(lambda x: x * x, name="odd"),
    }
    for message, layer in refusals.items():
        with pytest.raises(InputError, match=message):
            build_own(ending(layers.Flatten(), layer), (32, 4), HEADS, {})


@pytest.mark.filterwarnings("ignore")
def test_what_builders_may_not_do():
    def fails(input_shape, n_columns):
        return layers.Dense("many")(keras.Input(input_shape))

    refusals = {
        r"test_builders.py, line \d+\): \w+: .*input_shape=\(32, 4\), columns 4": fails,
        r"expected a Keras model. Received: NoneType": lambda input_shape, n_columns: None,
        r"emits 3 columns, the layout has 4": lambda input_shape, n_columns: keras.Sequential(
            [layers.Flatten(), layers.Dense(3)]
        ),
        r"takes input_shape \(32, 4\). Received: one that takes \(30, 4\)": (
            lambda input_shape, n_columns: keras.Sequential(
                [keras.Input((30, 4)), layers.Flatten(), layers.Dense(n_columns)]
            )
        ),
        r"expected a function \(input_shape, n_columns\)": lambda input_shape: None,
    }
    for message, builder in refusals.items():
        with pytest.raises(InputError, match=message):
            build_own(builder, (32, 4), HEADS, {})
    for thing in (Own, print, keras.Sequential()):
        with pytest.raises(InputError, match="expected a function"):
            ModelSpec(thing)
