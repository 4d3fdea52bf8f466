"""DNA alphabet: letters, tokens and input checks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, NoReturn

import numpy as np

from degu_tf.utils.errors import InputError

ALPHABET = "ACGT"
UNKNOWN = 4

_ENOUGH_BASES, _COMMON = 100, 0.05
"""Known bases among which A is not missing by chance, and a share of 4 that is one of T."""

_SAMPLE = 64

_AMBIGUOUS = "NRYSWKMBDHV"
_LETTERS = ALPHABET + "U" + _AMBIGUOUS
_COMPLEMENTS = "TGCA" + "A" + "NYRSWMKVHDB"
COMPLEMENT_OF = str.maketrans(_LETTERS + _LETTERS.lower(), _COMPLEMENTS + _COMPLEMENTS.lower())

INVALID = 255
TOKEN_OF = bytearray([INVALID] * 256)
for _letter in _LETTERS:
    _token = "ACGT".find(_letter.replace("U", "T"))
    TOKEN_OF[ord(_letter)] = TOKEN_OF[ord(_letter.lower())] = UNKNOWN if _token < 0 else _token


def is_text(sequences: object) -> bool:
    """Tell whether sequences are given as text."""
    if isinstance(sequences, str):
        return True
    if isinstance(sequences, list | tuple):
        if not len(sequences) or any(isinstance(record, str) for record in sequences):
            return True
    elif isinstance(dtype := getattr(sequences, "dtype", None), np.dtype):
        return dtype.kind in "OSTU"
    return as_plain_array(sequences).dtype.kind in "OSTU"


def text_records(
    sequences: object, names: Sequence[str] | None = None
) -> tuple[list[str], list[str] | None]:
    """List the strings and their names; refuse what is not a non-empty string."""
    if isinstance(sequences, str):
        sequences = [sequences]
    unordered = isinstance(sequences, bytes | Mapping | Set)
    if unordered or not isinstance(sequences, Iterable) or getattr(sequences, "ndim", 1) != 1:
        received = brief(sequences) if isinstance(sequences, np.ndarray) else type(sequences)
        raise InputError(
            "expected a string or a list, 1-D array or Series of strings; tokens and one-hot "
            f"arrays go through as_tokens. Received: {received}"
        )
    records = list(sequences)
    if not records:
        raise InputError("expected at least one sequence. Received: none")
    names = check_names(names, len(records))
    for index, record in enumerate(records):
        if not isinstance(record, str) or not record:
            hint = " Decode bytes first." if isinstance(record, bytes) else ""
            raise InputError(
                f"expected a non-empty string for each sequence.{hint} "
                f"Received: {record!r:.60} for {record_as(names, index)}"
            )
    return records, names


def check_names(names: Sequence[str] | None, n_records: int) -> list[str] | None:
    """Refuse names that are not one for each record."""
    if names is None:
        return None
    names = [names] if isinstance(names, str) else list(names)
    if len(names) != n_records:
        raise InputError(
            f"expected one name for each record. Received: {len(names)} names, {n_records} records"
        )
    return names


def record_as(names: list[str] | None, index: int) -> str:
    """Call a record by its name, or by its number where there are no names."""
    return f"record {index}" if names is None else f"record '{names[index]}'"


def refuse_letter(record: str, position: int, label: str) -> NoReturn:
    """Raise the error that names the letter, its record and its position."""
    raise InputError(
        "expected IUPAC codes of DNA (A C G T U N R Y S W K M B D H V, in either case); correct "
        f"the record or leave it out. Received: invalid character {record[position]!r} at position "
        f"{position} of {label} (counted from 0)"
    )


def check_letters(records: list[str], names: list[str] | None) -> None:
    """Refuse letters outside the IUPAC set, naming record and position."""
    for index, record in enumerate(records):
        letters = record.encode("ascii", "replace").translate(TOKEN_OF)
        position = letters.find(INVALID)
        if position >= 0:
            refuse_letter(record, position, record_as(names, index))


def blocks(n_rows: int, row_size: int) -> Iterator[slice]:
    """Cut rows into slices of about a million elements, to keep temporary arrays small."""
    step = max(1, 2**20 // row_size)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def as_plain_array(values: Any) -> np.ndarray:
    """Make an array; what already is three-dimensional and numeric (an HDF5 dataset) stays."""
    if isinstance(getattr(values, "dtype", None), np.dtype) and len(values.shape) == 3:
        return values
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(
            f"expected an array whose rows have one length. Received: {type(values)} ({error})"
        ) from error


def brief(array: np.ndarray) -> str:
    """Give shape and dtype, for messages."""
    return f"shape={tuple(array.shape)}, dtype={array.dtype}"


def check_shape(array: np.ndarray) -> None:
    """Refuse shapes and types that are neither tokens nor `(N, L, 4)`."""
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
        f"{wrong}. Received: {brief(array)}"
    )


def checked(sequences: object, names: Sequence[str] | None) -> np.ndarray:
    """Check an array of tokens or `(N, L, 4)`, value by value, and pass it on."""
    array = as_plain_array(sequences)
    check_shape(array)
    array = np.asarray(array)
    names = check_names(names, len(array))
    if array.ndim == 2:
        _check_range(array, 0, UNKNOWN, "tokens 0 to 4", names)
        _refuse_counted_from_one(array, names)
        return array.astype(np.uint8, copy=False)
    if array.dtype.kind == "f":
        limit = float(np.finfo(np.float32).max)
        _check_range(array, -limit, limit, "numbers finite in float32", names)
    _refuse_scaled(array, names)
    return array


def _check_range(
    array: np.ndarray, low: float, high: float, expected: str, names: list[str] | None
) -> None:
    if array.min() >= low and array.max() <= high:
        return
    for rows in blocks(len(array), array[0].size):
        within = (array[rows] >= low) & (array[rows] <= high)
        if not within.all():
            row, position, *channel = np.argwhere(~within)[0]
            value = array[(rows.start + row, position, *channel)]
            raise InputError(
                f"expected {expected}. Received: {value} at position {position} of "
                f"{record_as(names, rows.start + row)} (counted from 0)"
            )


def _refuse_counted_from_one(tokens: np.ndarray, names: list[str] | None) -> None:
    """Refuse tokens 1 to 4 for A C G T, which would be read as C, G, T and unknown."""
    if tokens.size < _ENOUGH_BASES or tokens.min() != 1 or tokens.max() != UNKNOWN:
        return
    n_unknown = np.count_nonzero(tokens == UNKNOWN)
    share = n_unknown / tokens.size
    if share < _COMMON or tokens.size - n_unknown < _ENOUGH_BASES:
        return
    if not all((tokens == base).any() for base in (2, 3)):
        return
    row, position = np.argwhere(tokens == UNKNOWN)[0]
    raise InputError(
        "expected tokens 0 to 3 for A C G T, and 4 for unknown bases; these seem to be counted "
        f"from 1, so subtract 1. Received: no 0, and {share:.1%} of 4, first at position "
        f"{position} of {record_as(names, row)} (counted from 0)"
    )


def _refuse_scaled(array: np.ndarray, names: list[str] | None) -> None:
    """Refuse one-hot sequences `(N, L, 4)` that have another number, such as 255, for 1."""
    sample = array[:_SAMPLE]
    one = sample.max()
    marked = sample != 0
    if one == 1 or not marked.any():
        return
    if (sample[marked] != one).any() or marked.sum(axis=-1).max() > 1:
        return
    row, position = np.argwhere(marked.any(axis=-1))[0]
    raise InputError(
        f"expected one-hot sequences of 0 and 1; divide them by {one}. Received: {one} for every "
        f"1, first at position {position} of {record_as(names, row)} (counted from 0)"
    )


def only_tokens(tokens: np.ndarray) -> np.ndarray:
    """Check an array of tokens `(N, L)` and pass it on."""
    tokens = checked(tokens, None)
    if tokens.ndim != 2:
        raise InputError(
            "expected tokens (N, L); from_one_hot makes them where the array is exactly one-hot. "
            f"Received: {brief(tokens)}"
        )
    return tokens
