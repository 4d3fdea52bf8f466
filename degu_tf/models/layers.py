"""Parts shared by all architectures: checks of arguments, size scaling, the output layer.

Every layer is given a name, so that two models built alike have alike layers, in one process or
in two.
"""

import math
from collections.abc import Container, Sequence
from numbers import Real
from typing import Any

import keras

from degu_tf.heads import HeadLayout
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole

POSITIVE_OFFSET = 1e-6
"""Added to softplus outputs, which round to zero in float32 where their input is very negative."""

STARTING_BIAS = -2.0
"""Of positive standard deviations, which so begin at 0.13, where those of log2 activity lie."""

_EVIDENTIAL_BOUNDS = {"nu": 0.0, "alpha": 1.0, "beta": 0.0}


def check_input(
    architecture: str, input_shape: Sequence[int | None], heads: HeadLayout, *, shortest: int
) -> tuple[int, int]:
    """Refuse an input shape or heads that an architecture of fixed length cannot take.

    Parameters
    ----------
    architecture
        Its name, for the message.
    input_shape
        Length in bases and number of channels, `(L, 4)`.
    heads
        What the output columns mean.
    shortest
        The smallest length, in bases, that leaves a position after all pooling.

    Returns
    -------
    tuple
        The shape as plain Python values.

    Raises
    ------
    InputError
        If the shape is not `(L, 4)`, L is too short or None, or heads is not a `HeadLayout`.
    """
    length, channels = check_any_input(architecture, input_shape, heads, shortest=shortest)
    if length is None:
        raise InputError(
            f"{architecture} needs a fixed length, because its dense layers have a weight for "
            f"each position: give a length of at least {shortest}. "
            f"Received: input_shape={input_shape!r}"
        )
    return length, channels


def check_any_input(
    architecture: str, input_shape: Sequence[int | None], heads: HeadLayout, *, shortest: int
) -> tuple[int | None, int]:
    """`check_input` of an architecture whose weights are independent of the length.

    The length may be None, for sequences of any length.
    """
    if not isinstance(heads, HeadLayout):
        raise InputError(
            "heads must be a HeadLayout, such as HeadLayout(('activity',)). "
            f"Received: heads={heads!r}"
        )
    received = f"Received: input_shape={input_shape!r}"
    if (
        not isinstance(input_shape, tuple | list)
        or len(input_shape) != 2
        or input_shape[1] != 4
        or not (input_shape[0] is None or is_whole(input_shape[0]))
    ):
        raise InputError(
            "input_shape must be (length, 4): bases and the channels A C G T, without the batch. "
            + received
        )
    length = input_shape[0]
    if length is None:
        return None, 4
    if length < shortest:
        raise InputError(
            f"{architecture} takes sequences of at least {shortest} bases: nothing is left of "
            f"shorter ones after pooling. {received}"
        )
    return int(length), 4


def check_sizes(name: str, values: Sequence[int], count: int | None = None) -> tuple[int, ...]:
    """Whole numbers of at least 1, `count` of them, or at least one where `count` is None.

    Raises
    ------
    InputError
        If a value is something else, or their number is.
    """
    if (
        not isinstance(values, tuple | list)
        or len(values) == 0
        or (count is not None and len(values) != count)
        or not all(is_whole(value, 1) for value in values)
    ):
        number = "one or more" if count is None else count
        raise InputError(
            f"{name} must be a sequence of {number} whole numbers of at least 1. "
            f"Received: {name}={values!r}"
        )
    return tuple(int(value) for value in values)


def check_rate(name: str, rate: float) -> float:
    """A dropout rate: at least 0, less than 1.

    Raises
    ------
    InputError
        If it is not.
    """
    if not _is_number(rate) or not 0.0 <= rate < 1.0:
        raise InputError(f"{name} must be at least 0 and less than 1. Received: {name}={rate!r}")
    return float(rate)


def scale(sizes: Sequence[int], width: float) -> tuple[int, ...]:
    """Numbers of filters or units times `width`, rounded, at least 1 each.

    Raises
    ------
    InputError
        If width is not a finite number above 0.

    Examples
    --------
    >>> scale((256, 60), 0.25)
    (64, 15)
    """
    if not _is_number(width) or not 0.0 < width < math.inf:
        raise InputError(f"width must be a finite number above 0. Received: width={width!r}")
    return tuple(max(1, round(size * float(width))) for size in sizes)


def output_head(x: Any, heads: HeadLayout) -> Any:
    """The last layer of every architecture, named ``"output"``: one column for each of `heads`.

    One linear dense layer (paper, Methods, "Models"), so that uncertainty columns of the forms
    ``"std"`` and ``"log_variance"`` are unbounded. Means of binary targets come through a sigmoid,
    in a layer of their own where there are other columns. Evidential columns (Amini et al. 2020)
    come from a dense layer for each block: gamma linear, nu > 0, alpha > 1, beta > 0 by softplus.

    Parameters
    ----------
    x
        Keras tensor `(N, features)`, or `(N, length, features)` for an output at each position.
    heads
        Which columns to put out.

    Returns
    -------
    keras.KerasTensor
        `(N, n_columns)` or `(N, length, n_columns)`.

    Examples
    --------
    >>> tensor = output_head(keras.Input((16,)), HeadLayout(("Dev", "Hk"), epistemic="std"))
    >>> tensor.shape
    (None, 4)
    """
    if heads.task == "binary":
        return _by_role(x, heads)
    if heads.aleatoric != "evidential":
        return keras.layers.Dense(heads.n_columns, name="output")(x)
    blocks = []
    for role in heads.roles:
        bound = _EVIDENTIAL_BOUNDS.get(role)
        activation = "linear" if bound is None else "softplus"
        block = keras.layers.Dense(heads.n_targets, activation, name=f"output_{role}")(x)
        if bound is not None:
            offset = bound + POSITIVE_OFFSET
            block = keras.layers.Rescaling(1.0, offset, name=f"output_{role}_offset")(block)
        blocks.append(block)
    return keras.layers.Concatenate(name="output")(blocks)


def _by_role(x: Any, heads: HeadLayout, positive: Container[str] = ()) -> Any:
    """A dense layer for each block of columns, side by side; some through softplus."""
    link = "sigmoid" if heads.task == "binary" else "linear"
    if heads.roles == ("mean",):
        return keras.layers.Dense(heads.n_targets, link, name="output")(x)
    blocks = []
    for role in heads.roles:
        bounded = "softplus" if role in positive else "linear"
        block = keras.layers.Dense(
            heads.n_targets,
            link if role == "mean" else bounded,
            bias_initializer=keras.initializers.Constant(
                STARTING_BIAS if role in positive else 0.0
            ),
            name=f"output_{role}",
        )
        blocks.append(block(x))
    return keras.layers.Concatenate(name="output")(blocks)


def with_probabilities(model: keras.Model, heads: HeadLayout) -> keras.Model:
    """The same model with probabilities as the means of binary targets.

    Architectures of this package have them already (`output_head`), as has a model of means alone
    that ends in a sigmoid. Of any other the last dense layer is replaced.

    Parameters
    ----------
    model
        A model that ends in one dense layer, linear or with a sigmoid.
    heads
        What its columns mean; nothing changes where they are not binary.

    Raises
    ------
    InputError
        If it ends in anything else; the layer is named.

    Examples
    --------
    >>> x = keras.Input((3,))
    >>> heads = HeadLayout(("open",), epistemic="std", task="binary")
    >>> model = with_probabilities(keras.Model(x, keras.layers.Dense(2)(x)), heads)
    >>> model.get_layer("output_mean").activation.__name__
    'sigmoid'
    """
    if heads.task != "binary" or _probability_features(model) is not None:
        return model
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    if heads.roles == ("mean",) and activation is keras.activations.sigmoid:
        return model
    output = last_dense(model)
    if output is None or output.activation not in _LINKS:
        raise InputError(
            "expected a model that ends in a dense layer, linear or with a sigmoid, for the "
            f"probabilities of binary targets. Received: {model.name}, which ends in "
            f"{last.name!r}, a {type(last).__name__}"
        )
    return keras.Model(model.input, _by_role(output.input, heads), name=model.name)


_LINKS = (keras.activations.linear, keras.activations.sigmoid)


def _probability_features(model: keras.Model) -> Any:
    """What the dense layers of a binary model with several blocks take; None for other models."""
    for layer in model.layers:
        sigmoid = getattr(layer, "activation", None) is keras.activations.sigmoid
        if layer.name == "output_mean" and sigmoid:
            return layer.input
    return None


def positive_uncertainty(model: keras.Model, heads: HeadLayout) -> keras.Model:
    """The same model with standard deviations that cannot come out negative.

    The one linear layer ``"output"`` of the paper becomes a dense layer for each block of columns:
    means linear, standard deviations through softplus, log-variances linear. Biases of deviations
    begin at `STARTING_BIAS`: from a start at softplus(0) = 0.69 students learnt the epistemic
    column worse than with a linear layer, from there about as well. Models whose output is
    positive or evidential already, or that predict means alone, are returned unchanged.

    Parameters
    ----------
    model
        A model whose last layer is one dense layer; any other is returned unchanged.
    heads
        What its columns mean.

    Examples
    --------
    >>> from degu_tf.models import registry
    >>> heads = HeadLayout(("Dev",), "std", "std")
    >>> model = registry.build("deepstarr", (32, 4), heads, width=0.05)
    >>> positive_uncertainty(model, heads).get_layer("output_epistemic").activation.__name__
    'softplus'
    """
    if "std" not in (heads.aleatoric, heads.epistemic):
        return model
    features, output = _probability_features(model), last_dense(model)
    if output is not None and output.activation is keras.activations.linear:
        features = output.input
    if features is None:
        return model
    positive = [role for role in heads.roles if getattr(heads, role, None) == "std"]
    return keras.Model(model.input, _by_role(features, heads, positive), name=model.name)


def last_dense(model: keras.Model) -> keras.layers.Dense | None:
    """The dense layer whose output is the model's; None if another layer puts it out."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense) and layer.output is model.output:
            return layer
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
