"""Which rules a Keras layer follows, and the error that names a layer without one."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from degu_tf.attribution.deeplift.elementwise import (
    ACTIVATIONS,
    Activation,
    Product,
    Softmax,
)
from degu_tf.attribution.deeplift.linear import (
    Affine,
    Concatenation,
    Convolution,
    Dense,
    Differentiated,
    Sum,
)
from degu_tf.attribution.deeplift.pairs import Rule
from degu_tf.attribution.deeplift.pooling import MaxPooling
from degu_tf.attribution.deeplift.recurrent import LSTM, Bidirectional
from degu_tf.models.inference.folding import IDENTITIES
from degu_tf.utils.errors import InputError

OTHER_METHODS = "Other methods explain any model: saliency, integrated_gradients or ism"
"""What to do where DeepSHAP has no rule."""


class NoRule(Exception):
    """A layer cannot be explained; the message says what of it."""


def rules_of(layer: keras.layers.Layer, n_inputs: int, dtype: tf.DType) -> list[Rule]:
    """The rules a layer follows, one after the other; the first takes all its inputs.

    None are those of a layer that passes its input on.

    Parameters
    ----------
    layer
        A layer of Keras itself.
    n_inputs
        How many tensors it takes.
    dtype
        Type to compute in.

    Raises
    ------
    InputError
        If the layer, its activation or one of its options has no rule.
    """
    try:
        rule = _RULES.get(type(layer))
        if rule is None:
            raise NoRule("this type of layer")
        if getattr(layer, "data_format", "channels_last") == "channels_first":
            raise NoRule("channels_first")
        return rule(layer, n_inputs, Arrays(dtype))
    except NoRule as error:
        raise InputError(
            f"DeepSHAP has no rule for {error}: layer {layer.name!r} of type "
            f"{type(layer).__name__}. {OTHER_METHODS}. There are rules for layers of the types "
            f"{', '.join(sorted(each.__name__ for each in _RULES))}"
        ) from None


class Arrays:
    """Weights as arrays of one type."""

    def __init__(self, dtype: tf.DType) -> None:
        self.dtype = dtype.as_numpy_dtype

    def __call__(self, weight: object) -> np.ndarray:
        """The array of a variable or number."""
        return np.asarray(keras.ops.convert_to_numpy(weight), self.dtype)

    def bias(self, layer: keras.layers.Layer) -> np.ndarray | None:
        """A layer's bias, or None if it has none."""
        return self(layer.bias) if layer.use_bias else None


def activation_rules(function: Callable) -> list[Rule]:
    """The rules of an activation function of Keras; none for the linear one.

    Raises
    ------
    NoRule
        If the function is not known.
    """
    if function is None or function is keras.activations.linear:
        return []
    if function is keras.activations.softmax:
        return [Softmax()]
    if function not in ACTIVATIONS:
        raise NoRule(f"the activation {getattr(function, '__name__', function)!r}")
    return [Activation(function, ACTIVATIONS[function])]


def _convolution(layer: layers.Conv1D, _: int, arrays: Arrays) -> list[Rule]:
    if layer.strides[0] > 1 and layer.dilation_rate[0] > 1:
        raise NoRule("stride and dilation at once")
    rule = Convolution(
        arrays(layer.kernel),
        arrays.bias(layer),
        layer.strides[0],
        layer.dilation_rate[0],
        layer.groups,
        layer.padding,
    )
    return [rule, *activation_rules(layer.activation)]


def _dense(layer: layers.Dense, _: int, arrays: Arrays) -> list[Rule]:
    return [Dense(arrays(layer.kernel), arrays.bias(layer)), *activation_rules(layer.activation)]


def _normalisation(layer: layers.BatchNormalization, _: int, arrays: Arrays) -> list[Rule]:
    shape = [1] * (len(layer.input.shape) - 1)
    axis = layer.axis if layer.axis < 0 else layer.axis - 1
    shape[axis] = -1
    mean, variance = arrays(layer.moving_mean), arrays(layer.moving_variance)
    # as tf.nn.batch_normalization computes them
    scale = tf.math.rsqrt(variance + arrays(layer.epsilon)).numpy()
    if layer.scale:
        scale = scale * arrays(layer.gamma)
    shift = -mean * scale
    if layer.center:
        shift = arrays(layer.beta) - mean * scale
    return [Affine(scale.reshape(shape), shift.reshape(shape))]


def _rescaling(layer: layers.Rescaling, _: int, arrays: Arrays) -> list[Rule]:
    return [Affine(arrays(np.asarray(layer.scale)), arrays(np.asarray(layer.offset)))]


def _max_pooling(layer: layers.MaxPooling1D, *_: object) -> list[Rule]:
    return [MaxPooling(layer.pool_size[0], layer.strides[0], layer.padding)]


def _global_max_pooling(layer: layers.GlobalMaxPooling1D, *_: object) -> list[Rule]:
    pooling = MaxPooling(None, keep_axis=layer.keepdims)
    return [pooling]


def _softmax(layer: layers.Softmax, *_: object) -> list[Rule]:
    if not isinstance(layer.axis, int) or layer.axis == 0:
        raise NoRule(f"a softmax over the axes {layer.axis}")
    return [Softmax(layer.axis)]


def _relu(layer: layers.ReLU, *_: object) -> list[Rule]:
    if is_plain(layer):
        return activation_rules(keras.activations.relu)
    return _kinked(layer)


def is_plain(layer: layers.ReLU) -> bool:
    """Whether a ReLU has no bound, no slope and no threshold of its own."""
    return (layer.max_value, layer.negative_slope, layer.threshold) == (None, 0.0, 0.0)


def _kinked(layer: keras.layers.Layer, *_: object) -> list[Rule]:
    return [Activation(layer.call, "kinked")]


def _elu(layer: layers.ELU, *_: object) -> list[Rule]:
    return [Activation(layer.call, "pieces")]


def _parametric(layer: layers.PReLU, _: int, arrays: Arrays) -> list[Rule]:
    alpha = arrays(layer.alpha)
    return [Activation(lambda z: tf.nn.relu(z) - alpha * tf.nn.relu(-z), "kinked")]


def _lstm(layer: layers.LSTM, _: int, arrays: Arrays) -> list[Rule]:
    return [_one_lstm(layer, arrays)]


def _one_lstm(layer: layers.LSTM, arrays: Arrays) -> LSTM:
    if layer.stateful:
        raise NoRule("a stateful layer")
    cell = layer.cell
    functions = (cell.activation, cell.recurrent_activation)
    activation, gate = (_only_activation(function) for function in functions)
    return LSTM(
        arrays(cell.kernel),
        arrays(cell.recurrent_kernel),
        arrays.bias(cell),
        activation,
        gate,
        layer.return_sequences,
        layer.go_backwards,
    )


def _only_activation(function: Callable) -> Activation:
    if function is keras.activations.linear:
        return Activation(function, "kinked")
    rule = activation_rules(function)[0]
    if not isinstance(rule, Activation):
        raise NoRule(f"the activation {function.__name__!r} in a recurrent layer")
    return rule


def _bidirectional(layer: layers.Bidirectional, _: int, arrays: Arrays) -> list[Rule]:
    both = (layer.forward_layer, layer.backward_layer)
    for each in both:
        if type(each) is not layers.LSTM:
            raise NoRule(f"a {type(each).__name__} in both directions")
    forwards, backwards = (_one_lstm(each, arrays) for each in both)
    return [Bidirectional(forwards, backwards, _MERGES[layer.merge_mode]())]


_MERGES: dict[str, Callable[[], Rule]] = {
    "ave": lambda: Sum([0.5, 0.5]),
    "concat": lambda: Concatenation(-1),
    "mul": Product,
    "sum": lambda: Sum([1.0, 1.0]),
}


def _sum(weigh: Callable[[int], list[float]]) -> Callable[..., list[Rule]]:
    return lambda layer, n_inputs, arrays: [Sum(weigh(n_inputs))]


def _concatenation(layer: layers.Concatenate, *_: object) -> list[Rule]:
    return [Concatenation(layer.axis)]


def _differentiated(layer: keras.layers.Layer, *_: object) -> list[Rule]:
    return [Differentiated(layer.call)]


_RULES: dict[type, Callable[..., list[Rule]]] = {
    **dict.fromkeys(IDENTITIES, lambda *_: []),
    layers.Activation: lambda layer, *_: activation_rules(layer.activation),
    layers.Add: _sum(lambda n: [1.0] * n),
    layers.Average: _sum(lambda n: [1.0 / n] * n),
    layers.AveragePooling1D: _differentiated,
    layers.BatchNormalization: _normalisation,
    layers.Bidirectional: _bidirectional,
    layers.Concatenate: _concatenation,
    layers.Conv1D: _convolution,
    layers.Cropping1D: _differentiated,
    layers.Dense: _dense,
    layers.ELU: _elu,
    layers.Flatten: _differentiated,
    layers.GlobalAveragePooling1D: _differentiated,
    layers.GlobalMaxPooling1D: _global_max_pooling,
    layers.LSTM: _lstm,
    layers.LeakyReLU: _kinked,
    layers.MaxPooling1D: _max_pooling,
    layers.Multiply: lambda *_: [Product()],
    layers.PReLU: _parametric,
    layers.Permute: _differentiated,
    layers.ReLU: _relu,
    layers.RepeatVector: _differentiated,
    layers.Rescaling: _rescaling,
    layers.Reshape: _differentiated,
    layers.Softmax: _softmax,
    layers.Subtract: _sum(lambda n: [1.0, -1.0]),
    layers.UpSampling1D: _differentiated,
    layers.ZeroPadding1D: _differentiated,
}
