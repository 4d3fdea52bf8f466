"""A model's forward pass as few TensorFlow operations, for models that only predict.

Keras' layers are general; on the CPU the same numbers come sooner from convolutions that carry
their bias and activation with them, weights that are constants of the graph, and, where a
convolution's output is larger than memory is fast, one that makes only the larger of each pair of
positions. What is not known here is left to the Keras layer itself.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from degu_tf.models.inference.folding import fold
from degu_tf.models.inference.wiring import Key, Node, Wiring

Step = Callable[..., tf.Tensor]

Array = Any
"""A NumPy array, which becomes a constant of the graph, or a tensor, which becomes an input."""

MEMORY_BOUND_TERMS = 64
"""With fewer terms in each sum, a float32 convolution waits for memory rather than arithmetic."""

_ACTIVATIONS = {
    keras.activations.linear: tf.identity,
    keras.activations.relu: tf.nn.relu,
    keras.activations.silu: tf.nn.silu,
    keras.activations.elu: tf.nn.elu,
    keras.activations.sigmoid: tf.nn.sigmoid,
    keras.activations.tanh: tf.nn.tanh,
    keras.activations.softmax: tf.nn.softmax,
    keras.activations.softplus: tf.nn.softplus,
    keras.activations.exponential: tf.exp,
}


class FastForward:
    """A model's forward pass, `(N, L, 4)` to `(N, n_columns)` or `(N, length, n_columns)`.

    Meant to be called while a `tf.function` is traced: weights become constants of its graph.

    Parameters
    ----------
    model
        Any Keras model of one input and one output; it is folded first. One whose layers cannot
        be seen from outside is called as it is.
    dtype
        Type that is computed in, ``"float32"`` or ``"bfloat16"``; the result is float32.
    constants
        Whether weights become constants of the graph, which is faster, or inputs of it, which
        keeps the graph small.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> from degu_tf.models import registry
    >>> model = registry.build("deepstarr", (32, 4), HeadLayout(("Dev", "Hk")), width=0.05)
    >>> forward = tf.function(FastForward(model))
    >>> forward(tf.zeros((3, 32, 4))).shape
    TensorShape([3, 2])
    """

    def __init__(
        self, model: keras.Model, dtype: str = "float32", *, constants: bool = True
    ) -> None:
        folded = fold(model)
        self._wiring: Wiring | None = None
        try:
            wiring = Wiring(folded)
            self._steps = _Plan(wiring, tf.as_dtype(dtype), constants).steps
            self._wiring = wiring
        except ValueError:
            self._whole = folded
        self.dtype = tf.as_dtype(dtype)

    @property
    def is_plain(self) -> bool:
        """Whether the model is called as Keras would call it."""
        return self._wiring is None

    def __call__(self, batch: tf.Tensor) -> tf.Tensor:
        """Outputs of a batch in float32."""
        if self._wiring is None:
            return tf.cast(self._whole(batch, training=False), tf.float32)
        values = {self._wiring.input: tf.cast(batch, self.dtype)}
        for key, (sources, step) in self._steps.items():
            values[key] = step(*(values[source] for source in sources))
        return tf.cast(values[self._wiring.output], tf.float32)


class _Plan:
    """What makes each node's value from others', in an order that can be followed."""

    def __init__(self, wiring: Wiring, dtype: tf.DType, constants: bool) -> None:
        self.wiring, self.dtype, self.constants = wiring, dtype, constants
        self.steps: dict[Key, tuple[tuple[Key, ...], Step]] = {}
        done = {wiring.input}
        for key, node in wiring.nodes.items():
            if key not in done:
                last, step = self._step(node)
                done.update(each.key for each in last)
                self.steps[last[-1].key] = (node.inputs, step)

    def _step(self, node: Node) -> tuple[list[Node], Step]:
        """The nodes that one step computes, in order, and that step."""
        layer = node.layer
        own = _activation(layer) if type(layer) in _WITH_ACTIVATION else None
        if type(layer) is layers.Dense and own is not None:
            nodes, activation = self._with_activation(node, own)
            return nodes, _dense(*self._arrays(layer), activation)
        if type(layer) is layers.Conv1D and own is not None and _is_usual(layer):
            nodes, activation = self._with_activation(node, own)
            pooling = self.wiring.only_consumer(nodes[-1].key)
            arrays = self._arrays(layer)
            if pooling is not None and self._makes_pairs(layer, pooling.layer):
                return [*nodes, pooling], _larger_of_pairs(layer, *arrays, activation)
            return nodes, _convolution(layer, *arrays, activation)
        if type(layer) in _ACTIVATION_LAYERS and own is not None:
            return [node], own
        if type(layer) in _OTHERS and _is_channels_last(layer):
            return [node], _OTHERS[type(layer)](layer)
        if len(node.inputs) > 1:
            raise ValueError(f"no way to call {layer.name} with several inputs")
        return [node], _as_keras_does(layer, self.dtype)

    def _with_activation(self, node: Node, own: Step) -> tuple[list[Node], Step]:
        """A linear layer and the activation layer that alone takes its output, or its own."""
        after = self.wiring.only_consumer(node.key)
        linear = node.layer.activation is keras.activations.linear
        if linear and after is not None and type(after.layer) in _ACTIVATION_LAYERS:
            activation = _activation(after.layer)
            if activation is not None:
                return [node, after], activation
        return [node], own

    def _arrays(self, layer: layers.Conv1D | layers.Dense) -> tuple[Array, Array]:
        kernel = keras.ops.convert_to_numpy(layer.kernel)
        bias = np.zeros(kernel.shape[-1])
        if layer.use_bias:
            bias = keras.ops.convert_to_numpy(layer.bias)
        kernel, bias = (array.astype(self.dtype.as_numpy_dtype) for array in (kernel, bias))
        return (kernel, bias) if self.constants else (tf.constant(kernel), tf.constant(bias))

    def _makes_pairs(self, layer: layers.Conv1D, pooling: keras.layers.Layer) -> bool:
        """Whether a pooling of pairs is better done by two convolutions of every second position.

        They write half as much each, and the larger of the two needs no more memory.
        """
        return (
            self.dtype == tf.float32
            and type(pooling) is layers.MaxPooling1D
            and _is_channels_last(pooling)
            and _sizes(pooling) == (2, 2, "valid")
            and (layer.strides[0], layer.dilation_rate[0], layer.groups) == (1, 1, 1)
            and np.prod(layer.kernel.shape[:2]) <= MEMORY_BOUND_TERMS
        )


_ACTIVATION_LAYERS = (layers.Activation, layers.ReLU)
_WITH_ACTIVATION = (*_ACTIVATION_LAYERS, layers.Conv1D, layers.Dense)


def _activation(layer: keras.layers.Layer) -> Step | None:
    """What a layer's activation is in TensorFlow, None if it is not known here."""
    if isinstance(layer, layers.ReLU):
        config = layer.get_config()
        special = (config["max_value"], config["negative_slope"], config["threshold"])
        return tf.nn.relu if special == (None, 0.0, 0.0) else None
    return _ACTIVATIONS.get(layer.activation)


def _is_usual(layer: layers.Conv1D) -> bool:
    return _is_channels_last(layer) and layer.padding != "causal"


def _is_channels_last(layer: keras.layers.Layer) -> bool:
    return getattr(layer, "data_format", "channels_last") == "channels_last"


def _sizes(layer: layers.MaxPooling1D) -> tuple[int, int, str]:
    return layer.pool_size[0], layer.strides[0], layer.padding


def _convolution(layer: layers.Conv1D, kernel: Array, bias: Array, activation: Step) -> Step:
    def step(x: tf.Tensor) -> tf.Tensor:
        y = tf.nn.conv2d(
            x[:, tf.newaxis],
            tf.expand_dims(kernel, 0),
            strides=[1, 1, layer.strides[0], 1],
            padding=layer.padding.upper(),
            dilations=[1, 1, layer.dilation_rate[0], 1],
        )
        return tf.squeeze(activation(tf.nn.bias_add(y, bias)), 1)

    return step


def _larger_of_pairs(layer: layers.Conv1D, kernel: Array, bias: Array, activation: Step) -> Step:
    width = layer.kernel_size[0]

    def step(x: tf.Tensor) -> tf.Tensor:
        if layer.padding == "same":
            x = tf.pad(x, ((0, 0), ((width - 1) // 2, width // 2), (0, 0)))
        x = x[:, tf.newaxis]
        n_pairs = (tf.shape(x)[2] - width + 1) // 2
        span = 2 * (n_pairs - 1) + width

        def every_second(start: int) -> tf.Tensor:
            part = x[:, :, start : start + span]
            y = tf.nn.conv2d(part, tf.expand_dims(kernel, 0), (1, 2), "VALID")
            return activation(tf.nn.bias_add(y, bias))

        return tf.squeeze(tf.maximum(every_second(0), every_second(1)), 1)

    return step


def _dense(kernel: Array, bias: Array, activation: Step) -> Step:
    def step(x: tf.Tensor) -> tf.Tensor:
        y = tf.matmul(tf.reshape(x, (-1, kernel.shape[0])), kernel)
        shape = tf.concat([tf.shape(x)[:-1], [kernel.shape[1]]], 0)
        return tf.reshape(activation(tf.nn.bias_add(y, bias)), shape)

    return step


def _max_pooling(layer: layers.MaxPooling1D) -> Step:
    size, stride, padding = _sizes(layer)

    def step(x: tf.Tensor) -> tf.Tensor:
        return tf.squeeze(
            tf.nn.max_pool2d(x[:, tf.newaxis], (1, size), (1, stride), padding.upper()), 1
        )

    return step


def _flatten(x: tf.Tensor) -> tf.Tensor:
    size = x.shape[1:].num_elements() or tf.reduce_prod(tf.shape(x)[1:])
    return tf.reshape(x, (tf.shape(x)[0], size))


def _as_keras_does(layer: keras.layers.Layer, dtype: tf.DType) -> Step:
    def step(x: tf.Tensor) -> tf.Tensor:
        return tf.cast(layer(tf.cast(x, layer.compute_dtype), training=False), dtype)

    return step


_OTHERS = {
    layers.Add: lambda _: lambda *terms: functools.reduce(tf.add, terms),
    layers.Concatenate: lambda layer: lambda *parts: tf.concat(parts, layer.axis),
    layers.Flatten: lambda _: _flatten,
    layers.MaxPooling1D: _max_pooling,
    layers.Multiply: lambda _: lambda *factors: functools.reduce(tf.multiply, factors),
}
