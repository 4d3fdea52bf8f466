"""Predictors: the two protocols, the one for a Keras model, and strand averaging."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np
import tensorflow as tf

from degu_tf.heads import HeadLayout, Prediction
from degu_tf.models.own.columns import as_columns
from degu_tf.sequences.encoding import (
    as_float,
    as_tokens,
    check_sequences,
    reverse_complement,
)
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash
from degu_tf.utils.progress import bar

BATCH_SIZE = 512
"""Batch size of predictions; it bounds memory and does not change the numbers."""

BATCH_BASES = 2**17
"""Bases in a batch, so that batches of long sequences are smaller."""


@runtime_checkable
class Predictor(Protocol):
    """What calibration, attribution, variant scoring and every other analysis asks for.

    An ensemble, a student, a wrapper around either: anything with this method.
    """

    def predict(self, sequences: Any) -> Prediction:
        """Predict tokens `(N, L)`, strings, or float `(N, L, 4)` that need not be one-hot."""
        ...


@runtime_checkable
class DescribedPredictor(Predictor, Protocol):
    """A predictor that also tells what it predicts, from how many bases, and who it is.

    A `ModelPredictor`, an ensemble, MC dropout, and wrappers around them: what calibration files,
    resumable outputs and windows along a genome ask for.
    """

    @property
    def heads(self) -> HeadLayout:
        """Columns of the model, or of an ensemble's members."""
        ...

    @property
    def input_length(self) -> int | None:
        """Bases it takes, or None if it takes any length."""
        ...

    def fingerprint(self) -> str:
        """SHA-256 of what decides its predictions."""
        ...


class ModelPredictor:
    """One Keras model with the meaning of its output columns.

    Parameters
    ----------
    model
        A model from `(N, L, 4)` to `(N, n_columns)` or `(N, length, n_columns)`. Several outputs
        are put side by side (`degu_tf.models.own.columns.as_columns`).
    heads
        What its columns mean.
    batch_size
        Batch size; by default `batch_size_of` the sequences' length.

    Raises
    ------
    InputError
        If the model's output does not have the layout's number of columns.

    Examples
    --------
    >>> from degu_tf.models import registry
    >>> heads = HeadLayout(("activity",))
    >>> model = registry.build("deepstarr", (32, 4), heads, width=0.05)
    >>> ModelPredictor(model, heads).predict(["ACGT" * 8, "TTTT" * 8]).mean.shape
    (2, 1)
    """

    def __init__(
        self, model: keras.Model, heads: HeadLayout, batch_size: int | None = None
    ) -> None:
        self.model = as_columns(model, heads)
        self.heads = heads
        self.batch_size = batch_size

    def __repr__(self) -> str:
        length = "any length" if self.input_length is None else f"{self.input_length} bp"
        columns = ", ".join(self.heads.columns)
        n = self.model.count_params()
        return f"ModelPredictor({length}; columns {columns}; {n:,} parameters)"

    @functools.cached_property
    def _forward(self) -> Callable[[np.ndarray], tf.Tensor]:
        shape = tf.TensorSpec((None, *self.model.input_shape[1:]), tf.float32)
        function = tf.function(lambda batch: self.model(batch, training=False))
        concrete = function.get_concrete_function(shape)
        return lambda batch: concrete(tf.constant(batch))

    @property
    def input_length(self) -> int | None:
        """Bases the model takes, or None if it takes any length."""
        return self.model.input_shape[1]

    def columns(self, sequences: Any, progress: bool | None = False) -> np.ndarray:
        """The raw output `(N, n_columns)` or `(N, length, n_columns)` float32.

        Raises
        ------
        InputError
            If sequences have another length than the model takes.
        """
        sequences = check_length(as_array(sequences), self.input_length)
        check_long_enough(self.model, sequences.shape[1])
        size = self.batch_size or batch_size_of(sequences.shape[1])
        starts = range(0, len(sequences), size)
        batches = [
            self._forward(as_float(sequences[start : start + size])).numpy()
            for start in bar(starts, "predicting", progress)
        ]
        return np.concatenate(batches).astype(np.float32, copy=False)

    def predict(self, sequences: Any, progress: bool | None = False) -> Prediction:
        """Predict strings, tokens `(N, L)` or float `(N, L, 4)`."""
        return self.heads.prediction(self.columns(sequences, progress))

    def fingerprint(self) -> str:
        """SHA-256 of the model's weights: equal weights, equal fingerprint."""
        digest = hashlib.sha256()
        for weight in self.model.get_weights():
            digest.update(f"{weight.dtype} {weight.shape}".encode())
            digest.update(np.ascontiguousarray(weight).data)
        return digest.hexdigest()


class StrandAveraged:
    """A predictor that averages the predictions of a sequence and of its reverse complement.

    Uncertainties are the mean of both strands' standard deviations. The strands share one model
    and one experiment, so their errors are correlated and averaging is not taken to shrink them.
    Around a `DescribedPredictor` it is one, too, with a fingerprint of its own.

    Parameters
    ----------
    predictor
        Any predictor. Profiles of the reverse strand are reversed before averaging.

    Examples
    --------
    >>> from degu_tf.models import registry
    >>> heads = HeadLayout(("activity",))
    >>> model = ModelPredictor(registry.build("deepstarr", (32, 4), heads, width=0.05), heads)
    >>> averaged = StrandAveraged(model)
    >>> averaged.predict(["ACGT" * 8]).mean.shape, averaged.input_length
    ((1, 1), 32)
    """

    def __new__(cls, predictor: Predictor | None = None) -> "StrandAveraged":
        """Around a `DescribedPredictor` it is one, too."""
        described = cls is StrandAveraged and isinstance(predictor, DescribedPredictor)
        return super().__new__(_DescribedStrandAveraged if described else cls)

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, sequences: Any) -> Prediction:
        """Predict both strands and average them."""
        sequences = as_array(sequences)
        forward = self.predictor.predict(sequences)
        reverse = self.predictor.predict(reverse_complement(sequences))

        def average(strands: Sequence[np.ndarray]) -> np.ndarray:
            a, b = strands
            return (a + (b[:, ::-1] if b.ndim == 3 else b)) / 2.0

        return combined([forward, reverse], average)


class Described:
    """Base of wrappers around a `DescribedPredictor`, which have its heads and input length."""

    predictor: DescribedPredictor
    kind = "wrapper"

    @property
    def heads(self) -> HeadLayout:
        """The wrapped predictor's layout."""
        return self.predictor.heads

    @property
    def input_length(self) -> int | None:
        """Bases the wrapped predictor takes, or None if it takes any length."""
        return self.predictor.input_length

    def fingerprint(self) -> str:
        """SHA-256 of what decides the predictions: the kind of wrapper and what it wraps."""
        return content_hash([self.kind, self.predictor.fingerprint()])


class _DescribedStrandAveraged(Described, StrandAveraged):
    predictor: DescribedPredictor
    kind = "strand average"


def combined(
    predictions: Sequence[Prediction], join: Callable[[Sequence[np.ndarray]], np.ndarray]
) -> Prediction:
    """One prediction whose arrays are made of the same arrays of several predictions.

    Parameters
    ----------
    predictions
        Predictions of the same targets, one or more.
    join
        From one array of each prediction to one array, such as their mean. What any prediction
        lacks, the result lacks.
    """

    def part(name: str) -> np.ndarray | None:
        arrays = [getattr(each, name) for each in predictions]
        return None if any(array is None for array in arrays) else join(arrays)

    first = predictions[0]
    stds = {name: part(name) for name in ("aleatoric", "epistemic")}
    return Prediction(
        first.targets,
        join([each.mean for each in predictions]),
        stds["aleatoric"],
        stds["epistemic"],
        part("columns"),
        {
            name: join([each.floored[name].astype(np.float32) for each in predictions]) > 0.0
            for name, std in stds.items()
            if std is not None
        },
        first.task,
    )


def window_of(predictor: Predictor, window: int | None = None) -> int:
    """Bases in the windows a predictor takes: a given number, or its own input length.

    Raises
    ------
    InputError
        If neither is known.
    """
    if window is None and isinstance(predictor, DescribedPredictor):
        window = predictor.input_length
    if window is None:
        raise InputError(
            "expected window=..., the number of bases that the predictor takes, because it has no "
            "input length. Received: window=None"
        )
    return window


def batch_size_of(length: int) -> int:
    """Batch size for sequences of that many bases: `BATCH_SIZE`, or less for long ones.

    Examples
    --------
    >>> batch_size_of(249), batch_size_of(2048)
    (512, 64)
    """
    return max(1, min(BATCH_SIZE, BATCH_BASES // length))


def as_array(sequences: Any) -> np.ndarray:
    """Strings as tokens; arrays of tokens or `(N, L, 4)` checked and passed on."""
    if isinstance(sequences, np.ndarray) and sequences.dtype.kind in "uifb":
        return check_sequences(sequences)
    return as_tokens(sequences)


def check_length(sequences: np.ndarray, length: int | None) -> np.ndarray:
    """Refuse sequences of another length than a model takes.

    Raises
    ------
    InputError
        If the length differs; None takes any.
    """
    if length is not None and sequences.shape[1] != length:
        received = f"{sequences.shape[1]} bases in each of {len(sequences)} sequences"
        raise InputError(
            f"the model takes sequences of {length} bases; degu.Fitted resizes, pads or cuts "
            f"others into windows. Received: {received}",
            f"the model takes sequences of {length} bases. Received: {received}",
        )
    return sequences


def check_long_enough(model: keras.Model, length: int) -> None:
    """Refuse sequences of which a model of any length leaves nothing.

    Raises
    ------
    InputError
        If they are too short.
    """
    try:
        model.compute_output_shape((1, length, 4))
    except ValueError as error:
        raise InputError(
            f"sequences too short for the model ({error}). Received: {length} bases"
        ) from None
