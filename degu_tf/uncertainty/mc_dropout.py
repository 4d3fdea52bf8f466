"""Monte Carlo dropout: the networks that dropout thins a model to, pooled like an ensemble."""

import functools
import hashlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from degu_tf.heads import Form, Prediction
from degu_tf.heads.pooling import pool_members
from degu_tf.models.inference.fast_forward import FastForward
from degu_tf.models.predictor import (
    ModelPredictor,
    as_array,
    check_length,
    check_long_enough,
)
from degu_tf.sequences.encoding import as_float
from degu_tf.uncertainty.dropout_masks import Block, thinned, tracing
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash
from degu_tf.utils.progress import bar
from degu_tf.utils.whole_numbers import is_whole

MEMORY = 2**27
"""Bytes for the rows of one block: four times their largest activation."""

MAX_SEQUENCES = 16
"""Sequences computed at once; each has an operation of its own for every dropout layer."""


class MCDropout:
    """A model whose dropout stays on: mean and spread over random passes (Gal & Ghahramani 2016).

    Only dropout is random: batch normalisation and everything else work as at inference (paper,
    Methods, "MC Dropout"). Passes are pooled as an ensemble's members are: the mean, the
    population standard deviation over passes as epistemic uncertainty, and the mean aleatoric
    uncertainty where the model has such a head.

    Each unit is dropped independently of all others, for every sequence, pass and layer, and those
    kept are scaled up as Keras does in training; rates are rounded to a multiple of 2**-16. The
    masks follow from the seed, the sequence's content and the number of the pass: a sequence has
    the same ones in any batch, order or company, and also if it comes twice in
    one call; another sequence has independent ones. On one machine the same call gives the same
    bits; in other portions the arithmetic may round differently.

    Passes are computed together, as many as `MEMORY` allows, and what lies before the first
    dropout once for all passes computed together. Neither the number of sequences nor that of
    passes adds to the memory in use, besides `n_passes` outputs of up to `MAX_SEQUENCES` sequences.

    Parameters
    ----------
    predictor
        A trained model with its heads. It is not changed, and is taken as it is now: training it
        further does not change these predictions.
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
        model, self._shapes = thinned(predictor.model)
        self._forward = FastForward(model)
        self._compiled = functools.cache(self._compile)

    @property
    def input_length(self) -> int | None:
        """Bases the model takes, or None if it takes any length."""
        return self._model.input_shape[1]

    def pass_columns(self, sequences: Any) -> np.ndarray:
        """Raw output of every pass, `(n_passes, N, n_columns)` or `(n_passes, N, length, ...)`.

        All passes are held in memory, which `columns` and `predict` avoid.

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
        if self.input_length is None:
            check_long_enough(self._model, sequences.shape[1])
        n_at_once, n_passes = self._block_size(sequences.shape[1])
        forward = self._compiled(n_at_once, n_passes)
        for start in bar(range(0, len(sequences), n_at_once), "MC dropout", progress):
            block = as_float(sequences[start : start + n_at_once])
            keys = [_key(each, self.seed) for each in block] + [0] * (n_at_once - len(block))
            inputs = tf.constant(block), tf.constant(np.array(keys, np.uint64))
            passes = [
                forward(*inputs, tf.constant(first, tf.int64)).numpy()
                for first in range(0, self.n_passes, n_passes)
            ]
            yield np.concatenate(passes)[: self.n_passes]

    def _block_size(self, length: int) -> tuple[int, int]:
        """Numbers of sequences and of passes in one block."""
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
            block = Block(keys, tf.shape(batch)[0], first, n_passes)
            with tracing(block):
                return block.by_pass(self._forward(batch))

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


def _whole(name: str, value: Any, least: int) -> int:
    if not is_whole(value, least, 2**63 - 1):
        raise InputError(
            f"{name} must be a whole number of at least {least} (and less than 2**63). "
            f"Received: {name}={value!r}"
        )
    return int(value)
