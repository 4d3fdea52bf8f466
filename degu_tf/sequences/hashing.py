"""Hashes of sequences, by which sequences used before are recognised.

A hash of a sequence's tokens, the same in every form the sequence may be written in, so that data
can be compared without keeping the sequences themselves.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Union

import numpy as np

from degu_tf.sequences.encoding import as_tokens

if TYPE_CHECKING:
    import pandas as pd

_WORD = 8
_ROWS = 4096
_START = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def sequence_hashes(
    sequences: Union[str, Sequence[str], np.ndarray, "pd.Series"],
) -> np.ndarray:
    """A 64-bit hash of each sequence: equal bases, equal hash, in any form.

    Strings, tokens and exact one-hot arrays of one sequence give one hash; case makes no
    difference, U is T, and every ambiguity code is N. A reverse complement is another sequence and
    has another hash. Eight bases at a time are mixed in by the finaliser of SplitMix64 (Steele et
    al., OOPSLA 2014), so sequences that differ within one such word only never share a hash; among
    a million others the chance that any two do is about 3e-8. It is no cryptographic hash.

    Parameters
    ----------
    sequences
        Strings of one length, tokens `(N, L)`, or exact one-hot `(N, L, 4)`.

    Returns
    -------
    numpy.ndarray
        uint64 `(N,)`, the same on every machine and in every version.

    Raises
    ------
    InputError
        As `degu_tf.sequences.encoding.as_tokens` does; `(N, L, 4)` that is not one-hot has no bases
        to hash.

    Examples
    --------
    >>> hashes = sequence_hashes(["ACGT", "acgu", "TTTT"])
    >>> hashes.dtype, bool(hashes[0] == hashes[1]), bool(hashes[0] == hashes[2])
    (dtype('uint64'), True, False)
    """
    tokens = as_tokens(sequences)
    n_sequences, length = tokens.shape
    n_words = -(-length // _WORD)
    hashes = np.empty(n_sequences, np.uint64)
    padded = np.zeros((_ROWS, n_words * _WORD), np.uint8)
    for start in range(0, n_sequences, _ROWS):
        block = tokens[start : start + _ROWS]
        padded[: len(block), :length] = block
        words = np.ascontiguousarray(padded[: len(block)].view("<u8").T, np.uint64)
        mixed = np.full(len(block), _START + np.uint64(length))
        for word in words:
            mixed ^= word
            _mix(mixed)
        hashes[start : start + _ROWS] = mixed
    return hashes


def _mix(values: np.ndarray) -> None:
    values ^= values >> np.uint64(30)
    values *= _FIRST
    values ^= values >> np.uint64(27)
    values *= _SECOND
    values ^= values >> np.uint64(31)
