"""DeepSHAP contributions of all sequence-reference pairs, in pieces that fit into memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import DTypeLike

from degu_tf.attribution.background import Background
from degu_tf.attribution.deeplift.pairs import Saved
from degu_tf.attribution.deeplift.rescale import Rescale
from degu_tf.sequences.encoding import as_float
from degu_tf.utils.progress import bar

PAIR_BYTES = 2**25
"""Memory for the largest tensor of the pairs of one piece; a few such tensors exist at a time."""

KEPT_BYTES = 2**28
"""Memory for activations of the references that are kept at the same time."""


_Block = tuple[tf.Tensor, tf.Tensor, list[Saved]]
"""References `(S or 1, R, L, 4)`, their outputs, and what the engine keeps of them."""


@dataclass(frozen=True, eq=False)
class Contributions:
    """Means over references: scores and hypothetical scores `(N, L, 4)`, and outputs `(N,)`.

    `expected` is the mean of the references' outputs.
    """

    scores: np.ndarray
    hypothetical: np.ndarray
    prediction: np.ndarray
    expected: np.ndarray

    @classmethod
    def zeros(cls, n: int, length: int, dtype: DTypeLike) -> "Contributions":
        """Sums before the first reference is added."""
        scores, hypothetical = (np.zeros((n, length, 4), dtype) for _ in range(2))
        return cls(scores, hypothetical, np.zeros(n, dtype), np.zeros(n, dtype))


def contributions(
    engine: Rescale,
    sequences: np.ndarray,
    background: Background,
    progress: bool | None = False,
) -> Contributions:
    """Scores of sequences, tokens `(N, L)` or floats `(N, L, 4)`, against their references.

    Shared references go forward once for the whole call, unless what is kept of them exceeds
    `KEPT_BYTES`: then there is one pass over the sequences for every part that fits.
    """
    n, length = sequences.shape[:2]
    made = Contributions.zeros(n, length, engine.dtype.as_numpy_dtype)
    n_rows, groups = _pieces(engine, background)
    starts = [(group, row) for group in groups for row in range(0, n, n_rows)]
    kept_group: list[slice] | None = None
    kept: list[_Block] = []
    for group, row in bar(starts, "explaining", progress):
        rows = slice(row, min(row + n_rows, n))
        if background.shared and group is not kept_group:
            kept_group, kept = group, []
            kept = [_references(engine, background, rows, block) for block in group]
        x = tf.cast(as_float_keeping(sequences[rows]), engine.dtype)
        prediction, kept_x = engine.forward(x)
        kept_x = tf.nest.map_structure(lambda each: each[:, tf.newaxis], kept_x)
        for index, block in enumerate(group):
            parts = kept[index] if kept else _references(engine, background, rows, block)
            references, outputs, kept_r = parts
            scores, hypothetical = engine.contributions(
                x[:, tf.newaxis], references, kept_x, kept_r
            )
            made.scores[rows] += scores.numpy()
            made.hypothetical[rows] += hypothetical.numpy()
            made.expected[rows] += outputs.numpy().sum(axis=1)
        made.prediction[rows] = prediction.numpy()
    for sums in (made.scores, made.hypothetical, made.expected):
        sums /= background.size
    return made


def as_float_keeping(sequences: np.ndarray) -> np.ndarray:
    """Tokens as float32 `(N, L, 4)`; floats as they are."""
    return as_float(sequences) if sequences.ndim == 2 else sequences


def _references(engine: Rescale, background: Background, rows: slice, block: slice) -> _Block:
    """One block of references for some sequences, run forward."""
    references = tf.cast(background.of(rows, block), engine.dtype)
    front = references.shape[:2]
    outputs, kept = engine.forward(tf.reshape(references, (-1, *references.shape[2:])))

    def unmerged(values: tf.Tensor) -> tf.Tensor:
        return tf.reshape(values, (*front, *values.shape[1:]))

    return references, unmerged(outputs), tf.nest.map_structure(unmerged, kept)


def _pieces(engine: Rescale, background: Background) -> tuple[int, list[list[slice]]]:
    """Number of sequences in a piece, and groups of blocks of references kept together."""
    pair_bytes, kept_bytes = engine.pair_size * engine.dtype.size, max(1, engine.kept_bytes)
    at_once = max(1, min(PAIR_BYTES // pair_bytes, KEPT_BYTES // kept_bytes))
    blocks = list(_even(background.size, at_once))
    largest = blocks[0].stop
    n_rows = max(1, at_once // largest)
    if not background.shared:
        return n_rows, [blocks]
    n_kept = max(1, KEPT_BYTES // (kept_bytes * largest))
    return n_rows, [blocks[start : start + n_kept] for start in range(0, len(blocks), n_kept)]


def _even(n: int, most: int) -> Iterator[slice]:
    """Slices of about one size, at most `most`, over `n`."""
    n_parts = -(-n // most)
    size = -(-n // n_parts)
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
