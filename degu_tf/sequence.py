"""DNA as uint8 tokens, one byte a base (0 to 3 for A C G T, 4 for unknown), and what is done to it.

Strings, FASTA records and exact one-hot arrays become tokens and go back (strings lose their case,
and ambiguity codes become N). Float arrays `(N, L, 4)` that are not one-hot, noise-augmented ones
for example, stay floats and are never made into tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from degu_tf.errors import InputError
from degu_tf.eulerian import shuffle_paths

if TYPE_CHECKING:
    import pandas as pd

ALPHABET = "ACGT"
UNKNOWN = 4

_AMBIGUOUS = "NRYSWKMBDHV"
_LETTERS = ALPHABET + "U" + _AMBIGUOUS
_COMPLEMENTS = "TGCA" + "A" + "NYRSWMKVHDB"
_COMPLEMENT_OF = str.maketrans(_LETTERS + _LETTERS.lower(), _COMPLEMENTS + _COMPLEMENTS.lower())

_INVALID = 255
_TOKEN_OF = bytearray([_INVALID] * 256)
for _letter in _LETTERS:
    _token = "ACGT".find(_letter.replace("U", "T"))
    _TOKEN_OF[ord(_letter)] = _TOKEN_OF[ord(_letter.lower())] = UNKNOWN if _token < 0 else _token
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
        Names of the N records, used in error messages; without them a record is told by its index.

    Returns
    -------
    numpy.ndarray
        uint8 tokens `(N, L)`.

    Raises
    ------
    InputError
        If there is no sequence, one is not a string or is empty, lengths differ, or a letter lies
        outside the IUPAC set (gaps `-` and `.` included). Positions are counted from 0.

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
                f"all sequences must have one length; the first has {length} bases and "
                f"{_label(names, index)} differs. Cut or pad the sequences to one length. "
                f"Received: length={len(record)}, expected={length}"
            )
    tokens = np.empty((len(records), length), np.uint8)
    for rows in _blocks(len(records), length):
        text = "".join(records[rows]).encode("ascii", "replace").translate(_TOKEN_OF)
        tokens[rows] = np.frombuffer(text, np.uint8).reshape(-1, length)
        if tokens[rows].max() == _INVALID:
            row, position = np.argwhere(tokens[rows] == _INVALID)[0] + (rows.start, 0)
            _refuse_letter(records[row], position, _label(names, row))
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
    tokens = _only_tokens(tokens)
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
    tokens = _only_tokens(tokens)
    encoded = np.empty((*tokens.shape, 4), np.float32)
    for rows in _blocks(*tokens.shape):
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
    array = _as_array(array)
    _check_shape(array)
    if len(array.shape) != 3:
        raise InputError(
            "expected one-hot sequences (N, L, 4); tokens and strings go through as_tokens. "
            f"Received: {_received(array)}"
        )
    names = _names(names, array.shape[0])
    tokens = np.empty(array.shape[:2], np.uint8)
    for rows in _blocks(*tokens.shape):
        block = np.asarray(array[rows])
        ones = (block == 1).view(np.uint8)
        nonzero = (block != 0).view(np.uint8)
        n_ones = ones[..., 0] + ones[..., 1] + ones[..., 2] + ones[..., 3]
        n_nonzero = nonzero[..., 0] + nonzero[..., 1] + nonzero[..., 2] + nonzero[..., 3]
        wrong = (n_ones != n_nonzero) | (n_ones > 1)
        if wrong.any():
            row, position = np.argwhere(wrong)[0]
            raise InputError(
                "only exact one-hot rows (a single 1) or all-zero rows become tokens; "
                f"{_label(names, rows.start + row)} has another at position {position} (counted "
                "from 0). Keep noise-augmented sequences as floats (as_float). "
                f"Received: {block[row, position].tolist()}"
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
    if _is_text(sequences):
        return encode(sequences, names)
    array = _as_array(sequences)
    if len(array.shape) == 3:
        return from_one_hot(array, names)
    return _checked(array, names)


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
    array = encode(sequences) if _is_text(sequences) else check_sequences(sequences)
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
    return _checked(sequences, None)


def reverse_complement(
    sequences: str | Sequence[str] | np.ndarray,
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
    if _is_text(sequences):
        records, _ = text_records(sequences)
        check_letters(records, None)
        flipped = [str(record).translate(_COMPLEMENT_OF)[::-1] for record in records]
        return flipped[0] if isinstance(sequences, str) else flipped
    array = check_sequences(sequences)
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
    for rows in _blocks(n_sequences, length):
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
    tokens = _only_tokens(tokens)
    if tokens.shape[1] < 4:
        return tokens.copy()  # no other sequence has the same counts and ends
    shuffled = np.empty_like(tokens)
    for rows in _blocks(tokens.shape[0], max(tokens.shape[1], 256)):
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
    tokens = _only_tokens(tokens)
    n_sequences, length = tokens.shape
    positions = _as_array(positions)
    if _is_text(bases):
        letters = encode(list(bases))
        bases = letters[:, 0] if letters.shape[1] == 1 else letters
    bases = _as_array(bases)
    for what, array in (("positions", positions), ("bases", bases)):
        if array.shape != (n_sequences,) or array.dtype.kind not in "iu":
            raise InputError(
                f"expected one of {what} for each of the {n_sequences} sequences, as integers"
                f"{' or single letters' if what == 'bases' else ''}. Received: {_received(array)}"
            )
    for what, array, end in (("position", positions, length), ("base", bases, 4)):
        wrong = np.flatnonzero((array < 0) | (array >= end))
        if wrong.size:
            raise InputError(
                f"expected {what} 0 to {end - 1}{' (A C G T)' if what == 'base' else ''}; record "
                f"{wrong[0]} has another. Received: {what}={array[wrong[0]]}"
            )
    mutated = tokens.copy()
    mutated[np.arange(n_sequences), positions] = bases
    return mutated


def _is_text(sequences: object) -> bool:
    if isinstance(sequences, str):
        return True
    if isinstance(sequences, list | tuple):
        if not len(sequences) or any(isinstance(record, str) for record in sequences):
            return True
    elif isinstance(getattr(sequences, "dtype", None), np.dtype):
        return sequences.dtype.kind in "OSTU"
    return _as_array(sequences).dtype.kind in "OSTU"


def text_records(
    sequences: object, names: Sequence[str] | None = None
) -> tuple[list[str], list[str] | None]:
    """List the strings and their names; refuse what is not a non-empty string."""
    if isinstance(sequences, str):
        sequences = [sequences]
    unordered = isinstance(sequences, bytes | Mapping | Set)
    if unordered or not isinstance(sequences, Iterable) or getattr(sequences, "ndim", 1) != 1:
        received = _received(sequences) if isinstance(sequences, np.ndarray) else type(sequences)
        raise InputError(
            "expected a string or a list, 1-D array or Series of strings; tokens and one-hot "
            f"arrays go through as_tokens. Received: {received}"
        )
    records = list(sequences)
    if not records:
        raise InputError("expected at least one sequence. Received: none")
    names = _names(names, len(records))
    for index, record in enumerate(records):
        if not isinstance(record, str) or not record:
            hint = " Decode bytes first." if isinstance(record, bytes) else ""
            raise InputError(
                f"expected a string of one base or more for each sequence; {_label(names, index)} "
                f"is another.{hint} Received: {record!r:.60}"
            )
    return records, names


def _names(names: Sequence[str] | None, n_records: int) -> list[str] | None:
    if names is None:
        return None
    names = [names] if isinstance(names, str) else list(names)
    if len(names) != n_records:
        raise InputError(
            f"expected one name for each record. Received: {len(names)} names, {n_records} records"
        )
    return names


def _label(names: list[str] | None, index: int) -> str:
    return f"record {index}" if names is None else f"record '{names[index]}'"


def _refuse_letter(record: str, position: int, label: str) -> NoReturn:
    raise InputError(
        "sequences hold A C G T U and the IUPAC ambiguity codes N R Y S W K M B D H V, in either "
        f"case; {label} has another letter at position {position} (counted from 0). Correct the "
        f"record or leave it out. Received: letter={record[position]!r}"
    )


def check_letters(records: list[str], names: list[str] | None) -> None:
    """Refuse letters outside the IUPAC set, naming record and position."""
    for index, record in enumerate(records):
        letters = record.encode("ascii", "replace").translate(_TOKEN_OF)
        position = letters.find(_INVALID)
        if position >= 0:
            _refuse_letter(record, position, _label(names, index))


def _blocks(n_rows: int, row_size: int) -> Iterator[slice]:
    """Cut rows into slices of about a million elements, to keep temporary arrays small."""
    step = max(1, 2**20 // row_size)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def _as_array(values: object) -> np.ndarray:
    """Make an array; what already is three-dimensional and numeric (an HDF5 dataset) stays."""
    if isinstance(getattr(values, "dtype", None), np.dtype) and len(values.shape) == 3:
        return values
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(
            f"expected an array whose rows have one length. Received: {type(values)} ({error})"
        ) from error


def _received(array: np.ndarray) -> str:
    return f"shape={tuple(array.shape)}, dtype={array.dtype}"


def _check_shape(array: np.ndarray) -> None:
    shape, kind = tuple(array.shape), array.dtype.kind
    if kind in "OSTU":
        wrong = "turn strings into tokens with encode"
    elif kind not in "biuf":
        wrong = "other types have no meaning here"
    elif len(shape) == 1:
        wrong = "give a single sequence as array[np.newaxis]"
    elif len(shape) not in (2, 3):
        wrong = "other ranks have no meaning here"
    elif len(shape) == 2 and kind not in "iu":
        wrong = "tokens are integers; give a single (L, 4) sequence as array[np.newaxis]"
    elif len(shape) == 3 and shape[2] != 4:
        wrong = "the last axis holds A C G T"
        if shape[1] == 4:
            wrong += "; this looks like (N, 4, L), transpose it with array.transpose(0, 2, 1)"
    elif 0 in shape:
        wrong = "an empty array holds no sequence"
    else:
        return
    raise InputError(
        "expected integer tokens (N, L) or real numbers (N, L, 4); "
        f"{wrong}. Received: {_received(array)}"
    )


def _checked(sequences: object, names: Sequence[str] | None) -> np.ndarray:
    array = _as_array(sequences)
    _check_shape(array)
    array = np.asarray(array)
    names = _names(names, len(array))
    if array.ndim == 2:
        _check_range(array, 0, UNKNOWN, "tokens 0 to 4", names)
        return array.astype(np.uint8, copy=False)
    if array.dtype.kind == "f":
        limit = np.finfo(np.float32).max
        _check_range(array, -limit, limit, "numbers finite in float32", names)
    return array


def _check_range(
    array: np.ndarray, low: float, high: float, expected: str, names: list[str] | None
) -> None:
    if array.min() >= low and array.max() <= high:
        return
    for rows in _blocks(len(array), array[0].size):
        within = (array[rows] >= low) & (array[rows] <= high)
        if not within.all():
            row, position, *channel = np.argwhere(~within)[0]
            value = array[(rows.start + row, position, *channel)]
            raise InputError(
                f"expected {expected}; {_label(names, rows.start + row)} has another at position "
                f"{position} (counted from 0). Received: {value}"
            )


def _only_tokens(tokens: np.ndarray) -> np.ndarray:
    tokens = check_sequences(tokens)
    if tokens.ndim != 2:
        raise InputError(
            "expected tokens (N, L); make them with from_one_hot if the array is exactly one-hot. "
            f"Received: {_received(tokens)}"
        )
    return tokens
