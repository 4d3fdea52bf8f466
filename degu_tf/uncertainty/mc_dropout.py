"""Monte Carlo dropout: the networks that dropout thins a model to, pooled like an ensemble.

A copy of the model is made in which each dropout layer draws its masks from the seed, the sequence
and the pass alone, and in which a sequence becomes as many rows as there are passes where it first
meets such a layer: what lies before is computed for sequences, what comes after for rows.
"""

import functools
import hashlib
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from degu_tf.ensemble import pool_members
from degu_tf.errors import InputError
from degu_tf.files import content_hash
from degu_tf.heads import Form, Prediction
from degu_tf.models.fast import FastForward
from degu_tf.models.wiring import Wiring, as_functional
from degu_tf.predictor import ModelPredictor, as_array, check_length
from degu_tf.progress import bar
from degu_tf.sequence import as_float

MEMORY = 2**28
"""Bytes that the rows computed at once may take: four times their largest activation."""

MAX_SEQUENCES = 16
"""Sequences taken at once; each has an operation of its own for every dropout layer."""

LEVELS = 2**16
"""Dropout rates are rounded to a multiple of one over this."""

_PHILOX = 1
_PER_COUNT = 8
"""Numbers of 16 bits in each of the generator's blocks of 128."""


class MCDropout:
    """A model whose dropout stays on: mean and spread over random passes (Gal & Ghahramani 2016).

    Only dropout is random: batch normalisation and everything else work as at inference (paper,
    Methods, "MC Dropout"). Passes are pooled as an ensemble's members are: the mean, the
    population standard deviation over passes as epistemic uncertainty, and the mean aleatoric
    uncertainty where the model has such a head.

    Each unit is dropped independently of all others, for every sequence, pass and layer, and the
    kept ones are scaled up as Keras does in training. The masks follow from the seed, the
    sequence's content and the number of the pass: a sequence is predicted alike in whatever
    company, order or portions it comes, and twice in one call too (the arithmetic may round
    differently in another portion). Masks of two sequences are independent. On one machine the
    same call gives the same bits.

    Passes are computed together, many rows at a time; what lies before the first dropout is
    computed once for all of them. At most `MEMORY` bytes or thereabouts are in use however many
    sequences and passes there are, besides `n_passes` outputs of up to `MAX_SEQUENCES` sequences.

    Parameters
    ----------
    predictor
        A trained model with its heads. The model is neither changed nor held: it is taken as it is
        now, and training it further does not change these predictions.
    n_passes
        Random passes (paper: 100), at least 2.
    seed
        Seed of the masks.
    rows
        Rows, each a sequence in a pass, computed at once; None takes as many as `MEMORY` allows.
        It does not change the masks.

    Raises
    ------
    InputError
        If the model has no active dropout, is a student, which has epistemic columns already, is
        random in another way than by `Dropout` and `SpatialDropout1D` layers of its own, or is
        not a functional or sequential model.

    References
    ----------
    Gal and Ghahramani, "Dropout as a Bayesian approximation", ICML 2016.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> from degu_tf.models import registry
    >>> heads = HeadLayout(("activity",))
    >>> model = registry.build("deepstarr", (32, 4), heads, width=0.05)
    >>> mc_dropout = MCDropout(ModelPredictor(model, heads), n_passes=20)
    >>> mc_dropout.predict(["ACGT" * 8, "TTTT" * 8]).epistemic.shape
    (2, 1)
    """

    def __init__(
        self,
        predictor: ModelPredictor,
        n_passes: int = 100,
        seed: int = 0,
        *,
        rows: int | None = None,
    ) -> None:
        if not isinstance(predictor, ModelPredictor):
            raise InputError(
                "MC dropout takes a ModelPredictor: one Keras model with its heads. "
                f"Received: {type(predictor).__name__}"
            )
        if "epistemic" in predictor.heads.roles:
            raise InputError(
                "the model predicts epistemic uncertainty itself; MC dropout is for one without, "
                f"such as a teacher. Received: columns {predictor.heads.columns}"
            )
        self.n_passes = _whole("n_passes", n_passes, least=2)
        self.seed = _whole("seed", seed, least=0)
        self._rows = None if rows is None else _whole("rows", rows, least=1)
        self.heads = predictor.heads
        self._model = predictor.model
        self._fingerprint = predictor.fingerprint()
        thinned = _thinned(predictor.model)
        self._shapes = thinned.shapes
        self._forward = FastForward(thinned.model)
        self._compiled = functools.cache(self._compile)

    @property
    def input_length(self) -> int | None:
        """Bases the model takes, or None if it takes any length."""
        return self._model.input_shape[1]

    def pass_columns(self, sequences: Any) -> np.ndarray:
        """Raw output of every pass, `(n_passes, N, n_columns)` or `(n_passes, N, length, ...)`.

        Held in memory all at once, which `columns` and `predict` avoid.

        Raises
        ------
        InputError
            If sequences have another length than the model takes.
        """
        return np.concatenate(list(self._blocks(sequences, progress=False)), axis=1)

    def columns(
        self, sequences: Any, epistemic: Form = "std", progress: bool | None = False
    ) -> np.ndarray:
        """Passes pooled as `Ensemble.columns` pools members, in the order of `heads.student()`.

        Parameters
        ----------
        sequences
            Strings, tokens `(N, L)`, or float `(N, L, 4)`.
        epistemic
            Form of the epistemic columns: ``"std"`` or ``"log_variance"``.
        progress
            Show a bar.

        Raises
        ------
        InputError
            If sequences have another length than the model takes.
        """
        blocks = self._blocks(sequences, progress)
        return np.concatenate([pool_members(block, self.heads, epistemic) for block in blocks])

    def predict(self, sequences: Any, progress: bool | None = False) -> Prediction:
        """Mean over passes, their spread as epistemic, and the mean aleatoric uncertainty."""
        return self.heads.student().prediction(self.columns(sequences, progress=progress))

    def fingerprint(self) -> str:
        """SHA-256 of the model's weights, the number of passes and the seed."""
        return content_hash([self._fingerprint, self.n_passes, self.seed])

    def _blocks(self, sequences: Any, progress: bool | None) -> Iterator[np.ndarray]:
        """Outputs of all passes, a few sequences at a time."""
        sequences = check_length(as_array(sequences), self.input_length)
        _check_long_enough(self._model, sequences.shape[1])
        n_at_once, n_passes = self._block_size(sequences.shape[1])
        forward = self._compiled(n_at_once, n_passes)
        for start in bar(range(0, len(sequences), n_at_once), "MC dropout", progress):
            block = as_float(sequences[start : start + n_at_once])
            keys = np.zeros(n_at_once, np.uint64)
            keys[: len(block)] = [_key(each, self.seed) for each in block]
            passes = [
                forward(tf.constant(block), tf.constant(keys), tf.constant(first, tf.int64)).numpy()
                for first in range(0, self.n_passes, n_passes)
            ]
            yield np.concatenate(passes)[: self.n_passes]

    def _block_size(self, length: int) -> tuple[int, int]:
        """How many sequences, and how many passes of them, are computed at once."""
        rows = self._rows
        if rows is None:
            largest = max(math.prod(size or length for size in shape) for shape in self._shapes)
            rows = max(1, MEMORY // (4 * largest * np.dtype(np.float32).itemsize))
        n_blocks = math.ceil(self.n_passes / rows)
        n_at_once = min(MAX_SEQUENCES, max(1, rows // self.n_passes))
        return n_at_once, math.ceil(self.n_passes / n_blocks)

    def _compile(self, n_at_once: int, n_passes: int) -> Callable[..., tf.Tensor]:
        """From up to `n_at_once` sequences to `n_passes` outputs of each, in one call."""

        def forward(batch: tf.Tensor, keys: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
            token = _BLOCK.set(_Block(keys, tf.shape(batch)[0], first, n_passes))
            try:
                output = self._forward(batch)
            finally:
                _BLOCK.reset(token)
            by_sequence = tf.reshape(output, _join(-1, n_passes, tf.shape(output)[1:]))
            return tf.experimental.numpy.swapaxes(by_sequence, 0, 1)

        signature = [
            tf.TensorSpec((None, *self._model.input_shape[1:]), tf.float32),
            tf.TensorSpec((n_at_once,), tf.uint64),
            tf.TensorSpec((), tf.int64),
        ]
        return tf.function(forward, autograph=False).get_concrete_function(*signature)


def _key(sequence: np.ndarray, seed: int) -> int:
    """A sequence's own key for the random generator."""
    content = np.ascontiguousarray(sequence).tobytes()
    digest = hashlib.blake2b(content, digest_size=8, key=seed.to_bytes(8, "little"))
    return int.from_bytes(digest.digest(), "little")


class _Block:
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


_BLOCK: ContextVar[_Block | None] = ContextVar("_BLOCK", default=None)
"""What is being traced; layers are copied on their way there, so they look it up here."""


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


@dataclass(frozen=True)
class _Thinned:
    """A model with `DropoutMasks` for its dropout, and shapes of what comes after them."""

    model: keras.Model
    shapes: tuple[tuple[int | None, ...], ...]


def _thinned(model: keras.Model) -> _Thinned:
    """A copy of the model in which dropout is on; it is refused if that would not be all of it."""
    try:
        Wiring(model)
    except ValueError as error:
        raise InputError(
            "MC dropout takes a functional or sequential model of one input and one output, whose "
            f"layers can be seen. Received: {error}"
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
    return _Thinned(clone, tuple(tensor.shape[1:] for tensor in random.values()))


def _copy(layer: layers.Layer) -> layers.Layer:
    try:
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer)
        return layer.__class__.from_config(layer.get_config())
    except Exception as error:
        raise InputError(
            f"layer {layer.name!r} cannot be made again from its configuration. Received: {error}"
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
        reason = "does something else in training, and it cannot be seen whether that is random"
    else:
        return
    raise InputError(
        f"layer {layer.name!r} {reason}; MC dropout would not be what it was trained with. "
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


def _check_long_enough(model: keras.Model, length: int) -> None:
    try:
        model.compute_output_shape((1, length, 4))
    except ValueError as error:
        raise InputError(
            f"sequences too short for the model ({error}). Received: {length} bases"
        ) from None


def _join(*parts: Any) -> tf.Tensor:
    """One shape from sizes and shapes."""
    return tf.concat([tf.reshape(tf.cast(part, tf.int32), (-1,)) for part in parts], 0)


def _whole(name: str, value: Any, least: int) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or not least <= value < 2**63:
        raise InputError(f"{name} must be a whole number of at least {least}. Received: {value!r}")
    return int(value)
