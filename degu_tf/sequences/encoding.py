"""DNA sequences as uint8 tokens, one byte a base (0 to 3 for A C G T, 4 for unknown).

Strings, FASTA records and exact one-hot arrays become tokens and go back (strings lose their case,
and ambiguity codes become N). Float arrays `(N, L, 4)` that are not one-hot, noise-augmented ones
for example, stay floats and are never made into tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

from degu_tf.sequences.alphabet import (
    ALPHABET,
    COMPLEMENT_OF,
    INVALID,
    TOKEN_OF,
    UNKNOWN,
    as_plain_array,
    blocks,
    brief,
    check_letters,
    check_names,
    check_shape,
    checked,
    is_text,
    only_tokens,
    record_as,
    refuse_letter,
    text_records,
)
from degu_tf.sequences.eulerian import shuffle_paths
from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_LETTER_OF = (ALPHABET + "N").ljust(256).encode()
_ONE_HOT = np.vstack([np.eye(4), np.zeros((1, 4))]).astype(np.float32)


def encode(
    sequences: str | Sequence[str] | np.ndarray | pd.Series, names: Sequence[str] | None = None
) -> np.ndarray:
    """Turn DNA strings of one length into tokens.

    Upper and lower case are the same, U is read as T, and the IUPAC ambiguity codes
    (N R Y S W K M B D H V) become `UNKNOWN`.

    Parameters
    ----------
    sequences
        One string (N = 1) or several: list, 1-D array or Series.
    names
        Names of the N records for error messages; by default their indices.

    Returns
    -------
    numpy.ndarray
        uint8 tokens `(N, L)`.

    Raises
    ------
    InputError
        If there is no sequence, one is not a string or is empty, lengths differ, or a character is
        no IUPAC code (gaps `-` and `.` included). Positions are counted from 0.

    Examples
    --------
    >>> encode(["ACGT", "ttNa"]).tolist()
    [[0, 1, 2, 3], [3, 3, 4, 0]]
    """
    records, names = text_records(sequences, names)
    length = len(records[0])
    for index, record in enumerate(records):
        if len(record) != length:
            raise InputError(
                f"expected sequences of one length, {length} bases as the first has; cut or pad "
                f"them. Received: {len(record)} bases in {record_as(names, index)}"
            )
    tokens = np.empty((len(records), length), np.uint8)
    for rows in blocks(len(records), length):
        text = "".join(records[rows]).encode("ascii", "replace").translate(TOKEN_OF)
        tokens[rows] = np.frombuffer(text, np.uint8).reshape(-1, length)
        if tokens[rows].max() == INVALID:
            row, position = np.argwhere(tokens[rows] == INVALID)[0] + (rows.start, 0)
            refuse_letter(records[row], position, record_as(names, row))
    return tokens


def decode(tokens: np.ndarray) -> list[str]:
    """Turn tokens `(N, L)` into N strings, with N for `UNKNOWN`.

    Raises
    ------
    InputError
        If `tokens` is not an integer array `(N, L)` with values 0 to 4.

    Examples
    --------
    >>> decode(encode("acgr"))
    ['ACGN']
    """
    tokens = only_tokens(tokens)
    length = tokens.shape[1]
    text = tokens.tobytes().translate(_LETTER_OF).decode("ascii")
    return [text[start : start + length] for start in range(0, len(text), length)]


def one_hot(tokens: np.ndarray) -> np.ndarray:
    """One-hot encode tokens: float32 `(N, L, 4)` in the order A C G T, all-zero where unknown.

    Raises
    ------
    InputError
        If `tokens` is not an integer array `(N, L)` with values 0 to 4.

    Examples
    --------
    >>> one_hot(encode("CN"))
    array([[[0., 1., 0., 0.],
            [0., 0., 0., 0.]]], dtype=float32)
    """
    tokens = only_tokens(tokens)
    encoded = np.empty((*tokens.shape, 4), np.float32)
    for rows in blocks(*tokens.shape):
        np.take(_ONE_HOT, tokens[rows], axis=0, out=encoded[rows], mode="clip")
    return encoded


def from_one_hot(array: np.ndarray, names: Sequence[str] | None = None) -> np.ndarray:
    """Turn one-hot sequences into tokens, and refuse whatever is not exactly one-hot.

    Parameters
    ----------
    array
        `(N, L, 4)` of any real or boolean type; each position holds a single 1 or only zeros
        (unknown). Read in blocks of rows, so an open HDF5 dataset need not fit into memory.
    names
        Names of the N records, used in error messages.

    Returns
    -------
    numpy.ndarray
        uint8 tokens `(N, L)`.

    Raises
    ------
    InputError
        If the shape or type is wrong, or a position is neither one-hot nor all-zero, as in
        noise-augmented sequences; record and position are named.

    Examples
    --------
    >>> from_one_hot(one_hot(encode("GATN"))).tolist()
    [[2, 0, 3, 4]]
    """
    array = as_plain_array(array)
    check_shape(array)
    if len(array.shape) != 3:
        raise InputError(
            "expected one-hot sequences (N, L, 4); tokens and strings go through as_tokens. "
            f"Received: {brief(array)}"
        )
    names = check_names(names, array.shape[0])
    tokens = np.empty(array.shape[:2], np.uint8)
    for rows in blocks(*tokens.shape):
        block = np.asarray(array[rows])
        ones = (block == 1).view(np.uint8)
        nonzero = (block != 0).view(np.uint8)
        n_ones = ones[..., 0] + ones[..., 1] + ones[..., 2] + ones[..., 3]
        n_nonzero = nonzero[..., 0] + nonzero[..., 1] + nonzero[..., 2] + nonzero[..., 3]
        wrong = (n_ones != n_nonzero) | (n_ones > 1)
        if wrong.any():
            row, position = np.argwhere(wrong)[0]
            raise InputError(
                "expected one-hot positions: a single 1, or all zeros for an unknown base. Keep "
                "noise-augmented sequences as floats (as_float). "
                f"Received: {block[row, position].tolist()} at position {position} of "
                f"{record_as(names, rows.start + row)} (counted from 0)"
            )
        tokens[rows] = ones[..., 1] + 2 * ones[..., 2] + 3 * ones[..., 3] + 4 * (1 - n_ones)
    return tokens


def as_tokens(
    sequences: str | Sequence[str] | np.ndarray | pd.Series, names: Sequence[str] | None = None
) -> np.ndarray:
    """Turn strings, tokens of any integer type or exact one-hot arrays into uint8 tokens `(N, L)`.

    Uint8 tokens come back as they are, not copied.

    Raises
    ------
    InputError
        As `encode`, `from_one_hot` and `check_sequences` do.

    Examples
    --------
    >>> as_tokens([[0, 1], [3, 4]]).dtype, as_tokens("AC").tolist()
    (dtype('uint8'), [[0, 1]])
    """
    if is_text(sequences):
        return encode(sequences, names)
    array = as_plain_array(sequences)
    if len(array.shape) == 3:
        return from_one_hot(array, names)
    return checked(array, names)


def as_float(sequences: str | Sequence[str] | np.ndarray | pd.Series) -> np.ndarray:
    """Turn strings or tokens into one-hot float32 `(N, L, 4)`; let `(N, L, 4)` arrays pass.

    Arrays need not be one-hot: their values stay, as float32 (the same array if it already is).

    Raises
    ------
    InputError
        As `encode` and `check_sequences` do.

    Examples
    --------
    >>> as_float(np.full((1, 2, 4), 0.25)).dtype, as_float("ACG").shape
    (dtype('float32'), (1, 3, 4))
    """
    array = encode(sequences) if is_text(sequences) else checked(sequences, None)
    return one_hot(array) if array.ndim == 2 else array.astype(np.float32, copy=False)


def check_sequences(sequences: np.ndarray) -> np.ndarray:
    """Check an array of sequences: integer tokens `(N, L)`, or real numbers `(N, L, 4)`.

    Returns
    -------
    numpy.ndarray
        Tokens as uint8; `(N, L, 4)` in its own type.

    Raises
    ------
    InputError
        If the array is empty, has another rank, last axis or type, holds tokens outside 0 to 4, or
        numbers that are not finite in float32.

    Examples
    --------
    >>> check_sequences(np.array([[0, 4]])).dtype
    dtype('uint8')
    """
    return checked(sequences, None)


@overload
def reverse_complement(sequences: str) -> str: ...


@overload
def reverse_complement(sequences: np.ndarray) -> np.ndarray: ...


@overload
def reverse_complement(sequences: list[str] | tuple[str, ...] | pd.Series) -> list[str]: ...


def reverse_complement(
    sequences: str | list[str] | tuple[str, ...] | pd.Series | np.ndarray,
) -> str | list[str] | np.ndarray:
    """Reverse complement of each sequence, as a new object of the kind given.

    Parameters
    ----------
    sequences
        Tokens `(N, L)`, numbers `(N, L, 4)` of which positions and channels are reversed, a string,
        or a collection of strings (returned as a list). Strings may differ in length and keep
        their case and ambiguity codes (R and Y change places, and so on; U becomes A).

    Raises
    ------
    InputError
        As `encode` and `check_sequences` do.

    Examples
    --------
    >>> reverse_complement("AACr"), reverse_complement(encode("AACN")).tolist()
    ('yGTT', [[4, 2, 3, 3]])
    """
    if is_text(sequences):
        records, _ = text_records(sequences)
        check_letters(records, None)
        flipped = [str(record).translate(COMPLEMENT_OF)[::-1] for record in records]
        return flipped[0] if isinstance(sequences, str) else flipped
    array = checked(sequences, None)
    if array.ndim == 3:
        return np.ascontiguousarray(array[:, ::-1, ::-1])
    backwards = array[:, ::-1]
    return np.where(backwards == UNKNOWN, np.uint8(UNKNOWN), 3 - backwards)


def shuffle_positions(sequences: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Permute the positions of each sequence, every sequence by its own uniform permutation.

    Tokens `(N, L)` and numbers `(N, L, 4)`, whose four channels stay together, are permuted alike:
    the same `rng` state gives the same permutations for both. Returns a new array.

    Raises
    ------
    InputError
        As `check_sequences` does.

    Examples
    --------
    >>> decode(shuffle_positions(encode("AACGT"), np.random.default_rng(0)))
    ['CTGAA']
    """
    array = check_sequences(sequences)
    n_sequences, length = array.shape[:2]
    shuffled = np.empty_like(array)
    for rows in blocks(n_sequences, length):
        order = np.tile(np.arange(length), (rows.stop - rows.start, 1))
        rng.permuted(order, axis=1, out=order)
        order = order.reshape(*order.shape, *[1] * (array.ndim - 2))
        shuffled[rows] = np.take_along_axis(array[rows], order, axis=1)
    return shuffled


def shuffle_dinucleotides(tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle each sequence so that it keeps its dinucleotide counts and its first and last base.

    Every sequence with the same counts and first base is equally likely: a sequence is an Eulerian
    path over its symbols (`UNKNOWN` is a fifth one), and the paths are drawn as in Altschul and
    Erickson, Mol. Biol. Evol. 2:526 (1985). The last edges are drawn among the 125 trees that five
    symbols allow, each by its weight, so no draw is ever rejected. Returns new tokens `(N, L)`.

    Raises
    ------
    InputError
        If `tokens` is not an integer array `(N, L)` with values 0 to 4.

    Examples
    --------
    >>> decode(shuffle_dinucleotides(encode("AACAGTACCA"), np.random.default_rng(1)))
    ['ACAGTACCAA']
    """
    tokens = only_tokens(tokens)
    if tokens.shape[1] < 4:
        return tokens.copy()  # no other sequence has the same counts and ends
    shuffled = np.empty_like(tokens)
    for rows in blocks(tokens.shape[0], max(tokens.shape[1], 256)):
        shuffled[rows] = shuffle_paths(tokens[rows], rng)
    return shuffled


def mutate(
    tokens: np.ndarray, positions: np.ndarray, bases: str | Sequence[str] | np.ndarray
) -> np.ndarray:
    """Set one base in each sequence, in a copy.

    Parameters
    ----------
    tokens
        `(N, L)`.
    positions
        `(N,)` integers, counted from 0.
    bases
        `(N,)` tokens 0 to 3 or letters A C G T; a base may equal the one it replaces.

    Raises
    ------
    InputError
        If the three differ in N, a position lies outside the sequence, or a base is not A C G T.

    Examples
    --------
    >>> decode(mutate(encode(["AAA", "CCC"]), [0, 2], ["G", "T"]))
    ['GAA', 'CCT']
    """
    tokens = only_tokens(tokens)
    n_sequences, length = tokens.shape
    positions = as_plain_array(positions)
    if is_text(bases):
        letters = encode(list(bases))
        bases = letters[:, 0] if letters.shape[1] == 1 else letters
    bases = as_plain_array(bases)
    for what, array in (("positions", positions), ("bases", bases)):
        if array.shape != (n_sequences,) or array.dtype.kind not in "iu":
            raise InputError(
                f"expected one of {what} for each of the {n_sequences} sequences, as integers"
                f"{' or single letters' if what == 'bases' else ''}. Received: {brief(array)}"
            )
    for what, array, end in (("position", positions, length), ("base", bases, 4)):
        wrong = np.flatnonzero((array < 0) | (array >= end))
        if wrong.size:
            raise InputError(
                f"expected {what} 0 to {end - 1}{' (A C G T)' if what == 'base' else ''}. "
                f"Received: {what}={array[wrong[0]]} for record {wrong[0]}"
            )
    mutated = tokens.copy()
    mutated[np.arange(n_sequences), positions] = bases
    return mutated
