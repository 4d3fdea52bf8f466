"""The graph of a model, read from its configuration: what is seen and what is refused."""

import keras
import pytest
from keras import layers

from degu_tf.models.inference.wiring import Wiring, as_functional

SHAPE = (12, 4)


def functional(body):
    sequence = keras.Input(SHAPE, name="sequence")
    return keras.Model(sequence, body(sequence))


def diamond():
    """`conv` goes to `left` and `sum`, `left` twice through the one `twice`."""
    twice = layers.Conv1D(3, 1, name="twice")

    def body(sequence):
        conv = layers.Conv1D(3, 3, padding="same", name="conv")(sequence)
        left = layers.Activation("relu", name="left")(conv)
        return layers.Add(name="sum")([twice(twice(left)), conv])

    return functional(body)


def keys(nodes):
    return [node.key for node in nodes]


class Inner(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


class Holding(layers.Layer):
    """Keeps a function, so that it has no configuration."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


class Scaled(layers.Layer):
    def call(self, x, factor=None):
        return x if factor is None else factor * x


class First(layers.Layer):
    def call(self, tensors):
        return tensors[0]


class Halves(layers.Layer):
    def call(self, x):
        return x[:, :6], x[:, 6:]


def test_nodes_come_after_what_they_take():
    wiring = Wiring(diamond())
    assert wiring.input == ("sequence", 0)
    assert wiring.output == ("sum", 0)
    order = list(wiring.nodes)
    assert len(order) == 6
    for key, node in wiring.nodes.items():
        assert all(order.index(source) < order.index(key) for source in node.inputs)
    assert wiring.nodes["sum", 0].inputs == (("twice", 1), ("conv", 0))
    assert wiring.nodes["twice", 1].inputs == (("twice", 0),)


def test_who_takes_what():
    wiring = Wiring(diamond())
    assert sorted(keys(wiring.consumers(("conv", 0)))) == [("left", 0), ("sum", 0)]
    assert wiring.only_consumer(("conv", 0)) is None
    assert wiring.only_consumer(("left", 0)).key == ("twice", 0)
    assert wiring.only_consumer(("sum", 0)) is None
    assert wiring.called_once("conv")
    assert not wiring.called_once("twice")


def test_an_output_that_is_used_further_has_no_only_consumer():
    sequence = keras.Input(SHAPE)
    conv = layers.Conv1D(3, 3, name="conv")(sequence)
    layers.BatchNormalization()(conv)
    wiring = Wiring(keras.Model(sequence, conv))
    assert wiring.only_consumer(("conv", 0)) is None
    assert len(wiring.nodes) == 2


def test_a_tensor_taken_twice_has_no_only_consumer():
    def body(sequence):
        conv = layers.Conv1D(3, 3, name="conv")(sequence)
        return layers.Add()([conv, conv])

    assert Wiring(functional(body)).only_consumer(("conv", 0)) is None


def test_sequential_models_are_chains():
    model = keras.Sequential([keras.Input(SHAPE), layers.Conv1D(3, 3), layers.Flatten()])
    kinds = [type(node.layer).__name__ for node in Wiring(model).nodes.values()]
    assert kinds == ["InputLayer", "Conv1D", "Flatten"]
    same = as_functional(model)
    assert same.name == model.name
    assert same.layers[1] is model.layers[0]


def test_lists_of_one_tensor_are_a_models_one_input_and_output():
    sequence = keras.Input(SHAPE)
    dense = layers.Dense(2, name="dense")(sequence)
    wiring = Wiring(keras.Model([sequence], [dense]))
    assert wiring.output == ("dense", 0)


def test_a_call_for_inference_is_nothing_special():
    model = functional(lambda x: layers.BatchNormalization()(layers.Dense(2)(x), training=False))
    assert len(Wiring(model).nodes) == 3


def two_inputs():
    a, b = keras.Input(SHAPE), keras.Input(SHAPE)
    return keras.Model([a, b], layers.Add()([a, b]))


def two_outputs():
    sequence = keras.Input(SHAPE)
    return keras.Model(sequence, [layers.Dense(2)(sequence), layers.Dense(2)(sequence)])


def named_input():
    sequence = keras.Input(SHAPE, name="sequence")
    return keras.Model({"sequence": sequence}, layers.Dense(2)(sequence))


class Opaque(layers.Dense):
    """Keras cannot say what comes out of it."""

    def compute_output_spec(self, *arguments, **named):
        raise NotImplementedError


def opaque():
    model = keras.Sequential([Opaque(2)])
    model.build((None, *SHAPE))
    return model


REFUSED = {
    "2 inputs": two_inputs,
    "2 outputs": two_outputs,
    "names its inputs": named_input,
    "not a functional one": Inner,
    "without configuration": lambda: functional(Holding(abs)),
    "takes factor by name": lambda: functional(lambda x: Scaled()(x, factor=3.0)),
    "takes value.* by name": lambda: functional(
        lambda x: layers.MultiHeadAttention(1, 2)(x, value=x)
    ),
    "a list of one tensor": lambda: functional(lambda x: First()([x])),
    "has several outputs": lambda: functional(lambda x: Halves()(x)[0]),
    "of type Add is an operation on tensors": lambda: functional(
        lambda x: layers.Dense(2)(x) + 1.0
    ),
    "has no symbolic input": opaque,
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_known_here_is_refused(message):
    with pytest.raises(ValueError, match=message):
        Wiring(REFUSED[message]())
