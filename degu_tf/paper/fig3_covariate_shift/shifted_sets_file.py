"""HDF5 files of shifted test sets, in the released layout."""

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np

from degu_tf.data.hdf5.layouts import is_channels_first
from degu_tf.data.hdf5.new_file import new_file
from degu_tf.data.hdf5.rows import Rows, datasets_of, opened
from degu_tf.sequences.encoding import (
    as_tokens,
    check_sequences,
    one_hot,
)
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.files import atomic_write

DATASETS = {
    "none": "none",
    "small": "mutagenesis",
    "intermediate": "evoaug",
    "large": "random",
}
"""The shifts in the figure's order, each with its dataset's name in a file; released files have the
last three."""


FORMAT = "degu_tf shifted sets"
"""What the root attribute `format` of a written file says."""


VERSION = 1
"""What its root attribute `version` says."""


_CHUNK_BYTES = 2**18


_GZIP_LEVEL = 4


def fingerprint(sets: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the sets: equal sequences in equal order, equal fingerprint."""
    digest = hashlib.sha256()
    for shift, sequences in sets.items():
        digest.update(f"{shift} {sequences.dtype} {sequences.shape}".encode())
        digest.update(np.ascontiguousarray(sequences).data)
    return digest.hexdigest()


def write_shifted_sets(
    path: str | os.PathLike, sets: Mapping[str, np.ndarray], seed: int | None = None, **notes: Any
) -> None:
    """Write shifted sets to an HDF5 file, whole or not at all; `read_shifted_sets` reads them.

    The datasets `mutagenesis`, `evoaug` and `random`, as in released files, and `none` are
    one-hot `(N, L, 4)` and compressed: uint8, or float32 for what is not tokens. Root attributes
    hold the format's name and version, the sets' fingerprint, the seed and the notes.

    Parameters
    ----------
    path
        Where the file shall stand.
    sets
        Sequences by shift, as `shifted_sets` gives them; ``"none"`` may be missing.
    seed
        The seed they were made from, if it is known.
    **notes
        More attributes: strings or numbers, such as the batch size.

    Raises
    ------
    InputError
        If a shift is missing or unknown, or the sets differ in number or length of sequences.
    OSError
        If the file cannot be written completely, for example because the disk is full.
    """
    sets = _checked(sets)
    described = {"format": FORMAT, "version": VERSION, "fingerprint": fingerprint(sets)}
    described |= {} if seed is None else {"seed": seed}
    n_bytes = sum(4 * sequences.nbytes for sequences in sets.values())
    with atomic_write(path) as temporary, new_file(temporary, n_bytes) as (file, check):
        file.attrs.update({**notes, **described})
        for shift, sequences in sets.items():
            _write(file, DATASETS[shift], sequences, check)


def read_shifted_sets(path: str | os.PathLike, seed: int | None = None) -> dict[str, np.ndarray]:
    """Read what `write_shifted_sets` wrote, or a released file of shifted sets.

    A released file holds the datasets `mutagenesis`, `evoaug` and `random`, one-hot `(N, L, 4)` or
    `(N, 4, L)`; it lacks ``"none"``.

    Parameters
    ----------
    path
        The file.
    seed
        The seed that the file must say it was made from; None for any.

    Returns
    -------
    dict
        As from `shifted_sets`. What is exactly one-hot becomes tokens, except
        ``"intermediate"``; what is not stays float32.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another kind or made from another seed.
    """
    with blaming(path), opened(path) as file:
        written = str(file.attrs.get("format")) == FORMAT
        if written and file.attrs.get("version") != VERSION:
            raise InputError(
                f"expected version {VERSION} of the format; a newer version of this package may "
                f"read the file. Received: version {file.attrs.get('version')}"
            )
        if seed is not None and file.attrs.get("seed") != seed:
            raise InputError(
                f"expected shifted sets made from seed {seed}. "
                f"Received: seed {file.attrs.get('seed', 'not in the file')}"
            )
        datasets = datasets_of(file)
        wanted = {shift: name for shift, name in DATASETS.items() if name in datasets}
        if not {*DATASETS} - {"none"} <= {*wanted}:
            raise InputError(
                "expected the datasets mutagenesis, evoaug and random of shifted test sequences. "
                f"Received: {', '.join(datasets) or 'no dataset'}"
            )
        unused = sorted({*datasets} - {*wanted.values()})
        if unused:
            warnings.warn(f"datasets not read: {', '.join(unused)} in {path}", stacklevel=2)
        sets = {
            shift: _read(datasets[name], keep_floats=written or shift == "intermediate")
            for shift, name in wanted.items()
        }
        sets = _checked(sets)
        if written and file.attrs.get("fingerprint") != fingerprint(sets):
            raise InputError(
                "the sequences are not those that were written; the file was changed or damaged, "
                "so make it anew"
            )
        return sets


def _checked(sets: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The sets in order, as tokens or float32; refuse what belongs to no shift or to other rows."""
    needed = {*DATASETS} - {"none"}
    if not needed <= {*sets} <= {*DATASETS}:
        raise InputError(
            f"expected sets for the shifts {', '.join(DATASETS)}, of which only none may be "
            f"missing. Received: {', '.join(map(str, sets)) or 'no set'}"
        )
    checked = {}
    for shift in DATASETS:
        if shift in sets:
            with blaming(shift):
                array = check_sequences(sets[shift])
                floats = array.ndim == 3 and array.dtype.kind == "f"
                checked[shift] = array.astype(np.float32) if floats else as_tokens(array)
    sizes = {shift: array.shape[:2] for shift, array in checked.items()}
    if len({*sizes.values()}) > 1:
        raise InputError(f"expected sets of the same sequences. Received: (N, L) of {sizes}")
    return checked


def _write(file: h5py.File, name: str, sequences: np.ndarray, check: Callable[[], None]) -> None:
    """Write a set one-hot, chunk by chunk; `check` raises what went wrong."""
    floats = sequences.ndim == 3
    dtype = np.float32 if floats else np.uint8
    n, length = sequences.shape[:2]
    step = min(n, max(1, _CHUNK_BYTES // (4 * length * np.dtype(dtype).itemsize)))
    dataset = file.create_dataset(
        name,
        (n, length, 4),
        dtype,
        chunks=(step, length, 4),
        compression="gzip",
        compression_opts=_GZIP_LEVEL,
        shuffle=floats,
    )
    for start in range(0, n, step):
        block = sequences[start : start + step]
        dataset[start : start + step] = block if floats else one_hot(block)
        check()


def _read(dataset: h5py.Dataset, keep_floats: bool) -> np.ndarray:
    if not dataset.shape or not dataset.size:
        raise InputError(
            f"expected rows of sequences. Received: {dataset.name} of shape {dataset.shape}"
        )
    with blaming(dataset.name.lstrip("/")):
        axes = (0, 2, 1) if is_channels_first(dataset.shape) else tuple(range(dataset.ndim))
    return Rows(dataset, axes).sequences(keep_floats=keep_floats)
