"""References that DeepSHAP compares a sequence with: one set for all, or a set for each."""

import hashlib
from typing import Any, Protocol

import numpy as np

from degu_tf.attribution.scalar_output import check_positive
from degu_tf.models.predictor import as_array
from degu_tf.sequences.alphabet import brief
from degu_tf.sequences.encoding import (
    as_float,
    as_tokens,
    check_sequences,
    shuffle_dinucleotides,
)
from degu_tf.utils.errors import InputError

DINUCLEOTIDE = "dinucleotide"


def random_background(sequences: Any, n: int = 100, seed: int = 1234) -> np.ndarray:
    """Draw `n` of the sequences, each at most once: the paper's references for DeepSHAP.

    With the defaults and a test set, these are the rows that the released code draws.

    Parameters
    ----------
    sequences
        Strings, tokens `(N, L)` or floats `(N, L, 4)`.
    n
        How many to draw.
    seed
        Of `numpy.random.default_rng`.

    Returns
    -------
    numpy.ndarray
        Tokens `(n, L)` or floats `(n, L, 4)`, as given.

    Raises
    ------
    InputError
        If there are fewer sequences than are to be drawn.

    Examples
    --------
    >>> random_background(["AAAA", "CCCC", "GGGG"], n=2, seed=0).shape
    (2, 4)
    """
    array = as_array(sequences)
    check_positive("n", n)
    if n > len(array):
        expected = f"expected at least as many sequences as references are drawn; draw {len(array)}"
        received = f"Received: {len(array)} sequences, {n} references"
        raise InputError(
            f"{expected} or fewer (n). {received}",
            f"{expected} or fewer by --references. {received}",
        )
    rows = np.random.default_rng(seed).choice(len(array), n, replace=False, shuffle=False)
    return array[rows]


def dinucleotide_background(sequences: Any, n: int = 100, seed: int = 1234) -> np.ndarray:
    """Make `n` dinucleotide shuffles of each sequence.

    A sequence's shuffles depend on its bases and the seed, not on the other sequences.

    Parameters
    ----------
    sequences
        Strings, tokens `(N, L)` or exact one-hot `(N, L, 4)`.
    n
        Shuffles of each.
    seed
        Equal seeds give equal shuffles.

    Returns
    -------
    numpy.ndarray
        uint8 tokens `(N, n, L)`.

    Raises
    ------
    InputError
        If the sequences are not one-hot, or n is not at least 1.

    Examples
    --------
    >>> dinucleotide_background(["ACGTACGGTA"], n=3).shape
    (1, 3, 10)
    """
    tokens = as_tokens(sequences)
    check_positive("n", n)
    return np.stack([_shuffles(each, n, seed) for each in tokens])


def _shuffles(tokens: np.ndarray, n: int, seed: int) -> np.ndarray:
    digest = hashlib.sha256(np.ascontiguousarray(tokens).tobytes()).digest()
    rng = np.random.default_rng([seed, *np.frombuffer(digest, np.uint32)])
    return shuffle_dinucleotides(np.tile(tokens, (n, 1)), rng)


class Background(Protocol):
    """References for a set of sequences.

    Attributes
    ----------
    size
        References of each sequence.
    shared
        Whether all sequences have the same ones.
    """

    size: int
    shared: bool

    def of(self, rows: slice, references: slice) -> np.ndarray:
        """Floats `(n rows or 1, n references, L, 4)` of some sequences and references."""
        ...


class Shared:
    """One set of references for all sequences."""

    shared = True

    def __init__(self, references: Any) -> None:
        self.references = _floats(as_array(references))
        self.size = len(self.references)

    def of(self, rows: slice, references: slice) -> np.ndarray:
        """The references, whatever the rows."""
        return self.references[np.newaxis, references]


class Own:
    """A set of references for each sequence, given as floats `(N, R, L, 4)`."""

    shared = False

    def __init__(self, references: np.ndarray) -> None:
        check_sequences(references.reshape(-1, *references.shape[2:]))
        self.references = references
        self.size = references.shape[1]

    def of(self, rows: slice, references: slice) -> np.ndarray:
        """Those of the rows."""
        return self.references[rows, references]


class Shuffled:
    """Dinucleotide shuffles of each sequence, generated on demand."""

    shared = False

    def __init__(self, sequences: np.ndarray, n: int, seed: int) -> None:
        check_positive("n", n)
        self.tokens, self.size, self.seed = as_tokens(sequences), n, seed

    def of(self, rows: slice, references: slice) -> np.ndarray:
        """Those of the rows."""
        tokens = dinucleotide_background(self.tokens[rows], self.size, self.seed)[:, references]
        flat = as_float(tokens.reshape(-1, tokens.shape[-1]))
        return flat.reshape(*tokens.shape, 4)


def as_background(
    background: Any, sequences: np.ndarray, n_references: int, seed: int
) -> Background:
    """References from what a user gives for them.

    Raises
    ------
    InputError
        If they are of another length than the sequences, or are sets for another number of them.
    """
    if isinstance(background, str) and background == DINUCLEOTIDE:
        return Shuffled(sequences, n_references, seed)
    if isinstance(background, np.ndarray) and background.ndim == 4:
        expected = (len(sequences), background.shape[1], sequences.shape[1], 4)
        if background.shape != expected or background.shape[1] == 0:
            raise InputError(
                "references of each sequence must have the shape (N, references, L, 4) with N and "
                f"L as of the sequences, ({expected[0]}, references, {expected[2]}, 4). "
                f"Received: {brief(background)}"
            )
        return Own(background)
    made = Shared(background)
    if made.references.shape[1] != sequences.shape[1]:
        raise InputError(
            "references must be as long as the sequences. Received: references of "
            f"{made.references.shape[1]} bases, sequences of {sequences.shape[1]}"
        )
    return made


def _floats(array: np.ndarray) -> np.ndarray:
    return array if array.dtype == np.float64 and array.ndim == 3 else as_float(array)
