"""Copies of models whose dropout stays on, each mask drawn from a sequence's key and the pass.

Where a sequence first meets dropout it becomes as many rows as there are passes: what lies before
is computed for sequences, what comes after for rows.
"""

import inspect
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from degu_tf.models.inference.wiring import Wiring, as_functional
from degu_tf.utils.errors import InputError

LEVELS = 2**16
"""Dropout rates are rounded to a multiple of one over this, and to neither 0 nor 1."""

_PHILOX = 1
_PER_COUNT = 8
"""Numbers of 16 bits in each of the generator's blocks of 128."""


class Block:
    """Sequences and passes that a graph is traced for.

    Parameters
    ----------
    keys
        A key for each sequence there can be, `(n_at_once,)`.
    n
        How many there are.
    first
        Number of the first pass.
    n_passes
        Number of passes.
    """

    def __init__(self, keys: tf.Tensor, n: tf.Tensor, first: tf.Tensor, n_passes: int) -> None:
        n_at_once = keys.shape[0]
        self.n_passes = n_passes
        self._first = tf.cast(first, tf.uint64)
        self._keys = tf.split(keys, n_at_once)
        self._passes = tf.unstack(tf.where(tf.range(n_at_once) < n, n_passes, 0))

    def numbers(self, size: int | tf.Tensor, layer: int) -> tf.Tensor:
        """Random int16 `(n, n_passes, size)`, the numbers of one layer.

        Each sequence has its key, each layer its half of the generator's counter, and passes follow
        one another in the other half: no two share a number, and which passes are drawn at once
        does not matter.
        """
        counts = -(-size // _PER_COUNT)
        start = self._first * tf.cast(counts, tf.uint64)
        counter = tf.stack([start, tf.constant(layer, tf.uint64)])
        drawn = [
            tf.raw_ops.StatelessRandomUniformFullIntV2(
                shape=tf.stack([passes, counts * 4]),
                key=key,
                counter=counter,
                alg=_PHILOX,
                dtype=tf.int32,
            )
            for key, passes in zip(self._keys, self._passes, strict=True)
        ]
        numbers = tf.bitcast(tf.concat(drawn, 0), tf.int16)
        return tf.reshape(numbers, (-1, self.n_passes, counts * _PER_COUNT))[:, :, :size]

    def by_pass(self, rows: tf.Tensor) -> tf.Tensor:
        """From an output for each row, sequence by sequence, to `(n_passes, n, ...)`."""
        by_sequence = tf.reshape(rows, _join(-1, self.n_passes, tf.shape(rows)[1:]))
        return tf.experimental.numpy.swapaxes(by_sequence, 0, 1)


_BLOCK: ContextVar[Block | None] = ContextVar("_BLOCK", default=None)
"""What is being traced. A layer cannot hold it, for it is copied from its configuration."""


@contextmanager
def tracing(block: Block) -> Iterator[None]:
    """While it lasts, a `thinned` model that is called draws this block's masks."""
    token = _BLOCK.set(block)
    try:
        yield
    finally:
        _BLOCK.reset(token)


class DropoutMasks(layers.Layer):
    """Dropout with the masks of the block being traced.

    Parameters
    ----------
    rate
        Share of units that is dropped.
    noise_shape
        Sizes of a mask, without the batch: None for the input's, 1 for one number along that axis.
    index
        Number of this dropout among the model's.
    repeats
        Whether the input has a row for each sequence rather than for each sequence and pass.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None],
        index: int,
        repeats: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate, self.noise_shape, self.index = rate, tuple(noise_shape), index
        self.repeats = repeats

    def get_config(self) -> dict[str, Any]:
        """What the layer is made of."""
        names = ("rate", "noise_shape", "index", "repeats")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Drop and scale."""
        block = _BLOCK.get()
        if block is None:
            return x
        shape = x.shape[1:] if x.shape[1:].is_fully_defined() else tf.shape(x)[1:]
        sizes = [shape[i] if size is None else size for i, size in enumerate(self.noise_shape)]
        dropped = min(max(round(self.rate * LEVELS), 1), LEVELS - 1)
        numbers = block.numbers(math.prod(sizes), self.index)
        kept = tf.cast(numbers >= dropped - LEVELS // 2, x.dtype)
        scale = LEVELS / (LEVELS - dropped)
        if self.repeats:
            kept = tf.reshape(kept, (-1, block.n_passes, *sizes))
            return tf.reshape((x * scale)[:, tf.newaxis] * kept, _join(-1, shape))
        return x * (tf.reshape(kept, (-1, *sizes)) * scale)


class RowForEachPass(layers.Layer):
    """A row for each pass of the block being traced, from a row for each sequence."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Repeat."""
        block = _BLOCK.get()
        return x if block is None else tf.repeat(x, block.n_passes, axis=0)


Shape = tuple[int | None, ...]


def thinned(model: keras.Model) -> tuple[keras.Model, tuple[Shape, ...]]:
    """A copy of a model in which dropout is on, and the shapes of what differs between passes.

    Outside of `tracing` the copy gives what the model gives at inference. Shapes are without the
    batch, with None for a length that is not fixed.

    Raises
    ------
    InputError
        If the model has no dropout, is random in another way too, or cannot be copied.

    Examples
    --------
    >>> sequence = keras.Input((8, 4))
    >>> model = keras.Model(sequence, layers.Dense(1)(layers.Dropout(0.1)(sequence)))
    >>> thinned(model)[1]
    ((8, 4), (8, 1))
    """
    try:
        Wiring(model)
    except ValueError as error:
        raise InputError(
            "MC dropout takes a functional or sequential model of one input and one output, whose "
            f"layers are accessible. Received: {error}"
        ) from error
    if isinstance(model, keras.Sequential):
        model = as_functional(model)
    for layer in model.layers:
        _check_randomness(layer)
    random: dict[int, keras.KerasTensor] = {}
    n_masks = 0

    def for_each_pass(value: Any) -> Any:
        fixed = keras.utils.is_keras_tensor(value) and id(value) not in random
        return RowForEachPass()(value) if fixed else value

    def call(layer: layers.Layer, *args: Any, **kwargs: Any) -> Any:
        nonlocal n_masks
        tensors = [x for x in keras.tree.flatten((args, kwargs)) if keras.utils.is_keras_tensor(x)]
        is_random = [id(x) in random for x in tensors]
        if _is_dropout(layer):
            (x,) = tensors
            shape = _noise_shape(layer, x.shape)
            output = DropoutMasks(layer.rate, shape, n_masks, not is_random[0])(x)
            n_masks += 1
        elif not any(is_random):
            return layer(*args, **kwargs)
        else:
            args, kwargs = keras.tree.map_structure(for_each_pass, (args, kwargs))
            output = layer(*args, **kwargs)
        random[id(output)] = output
        return output

    copies: dict[str, layers.Layer] = {}

    def copy(layer: layers.Layer) -> layers.Layer:
        copies[layer.name] = _copy(layer)
        return copies[layer.name]

    clone = keras.models.clone_model(model, clone_function=copy, call_function=call)
    if not n_masks:
        raise InputError(
            "MC dropout needs a model with dropout: it has none, or all its rates are 0. "
            f"Received: model {model.name}"
        )
    for name, layer in copies.items():
        if not _is_dropout(layer):
            layer.set_weights(model.get_layer(name).get_weights())
    return clone, tuple(tensor.shape[1:] for tensor in random.values())


def _copy(layer: layers.Layer) -> layers.Layer:
    try:
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer)
        return layer.__class__.from_config(layer.get_config())
    except Exception as error:
        raise InputError(
            f"layer {layer.name!r} cannot be rebuilt from its configuration. Received: {error}"
        ) from error


def _is_dropout(layer: layers.Layer) -> bool:
    return type(layer) in (layers.Dropout, layers.SpatialDropout1D) and layer.rate > 0


def _noise_shape(layer: layers.Layer, shape: Sequence[int | None]) -> tuple[int | None, ...]:
    """The sizes of a layer's mask without the batch."""
    if type(layer) is layers.SpatialDropout1D:
        return 1, None
    given = layer.noise_shape or (None,) * len(shape)
    if len(given) != len(shape) or given[0] is not None:
        raise InputError(
            f"the noise_shape of layer {layer.name!r} must be None for sequences, whose masks are "
            f"independent, and have {len(shape)} sizes. Received: noise_shape={given}"
        )
    return tuple(given[1:])


def _check_randomness(layer: layers.Layer) -> None:
    """Refuse a layer whose randomness in training is not that of `_is_dropout`."""
    if _is_dropout(layer):
        if layer.rate < 1:
            return
        reason = "drops everything"
    elif _has_own_randomness(layer):
        reason = "is random in training, and only Dropout and SpatialDropout1D are taken"
    elif not type(layer).__module__.startswith("keras.") and _knows_training(layer):
        reason = "behaves differently in training, which may be random"
    else:
        return
    raise InputError(
        f"layer {layer.name!r} {reason}; MC dropout would differ from the dropout in training. "
        f"Received: a {type(layer).__name__} layer"
    )


def _has_own_randomness(layer: layers.Layer) -> bool:
    """Whether there are random generators in a layer, other than those recurrent ones never use."""
    if isinstance(layer, layers.Bidirectional):
        return any(map(_has_own_randomness, (layer.forward_layer, layer.backward_layer)))
    if isinstance(layer, layers.LSTM | layers.GRU | layers.SimpleRNN):
        return layer.dropout > 0 or layer.recurrent_dropout > 0
    stored = {id(weight) for weight in layer.weights}
    return any(id(variable) not in stored for variable in layer.variables)


def _knows_training(layer: layers.Layer) -> bool:
    return "training" in inspect.signature(layer.call).parameters


def _join(*parts: Any) -> tf.Tensor:
    """One shape from sizes and shapes."""
    return tf.concat([tf.reshape(tf.cast(part, tf.int32), (-1,)) for part in parts], 0)
