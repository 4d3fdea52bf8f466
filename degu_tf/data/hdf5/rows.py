"""HDF5 datasets read row by row in bounded memory, whatever the order of their axes.

A file from elsewhere is checked before memory is allocated for it: all values that it declares must
be stored in it and fit into memory.
"""

import math
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 (registers the filters of profiles files)
import numpy as np

from degu_tf.sequences.encoding import as_tokens
from degu_tf.utils.errors import InputError, blaming

_BLOCK_BYTES = 2**20
DAMAGED = (
    "expected a whole HDF5 file; this one is cut off, damaged or open for writing elsewhere, so "
    "copy or download it again"
)


def existing(path: str | os.PathLike) -> Path:
    """The path of a file that exists.

    Raises
    ------
    InputError
        If it does not, or is a folder.
    """
    if not Path(path).is_file():
        raise InputError("expected a file. Received: nothing or a folder at this path")
    return Path(path)


@contextmanager
def opened(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises
    ------
    InputError
        If it is missing, not HDF5, or turns out damaged, now or while it is read.
    """
    if not h5py.is_hdf5(existing(path)):
        raise InputError("expected an HDF5 file. Received: a file of another kind")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise InputError(f"{DAMAGED} ({error})") from error
    except KeyError as error:
        if "Unable to" not in str(error):
            raise
        raise InputError(f"{DAMAGED} ({error})") from error


def datasets_of(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All datasets of a file by their path, those in groups included.

    Raises
    ------
    InputError
        If the description of one is damaged, or its values lie outside the file.
    """
    found: dict[str, h5py.Dataset] = {}

    def keep(path: str | bytes, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset):
            _ = item.dtype
            found[os.fsdecode(path)] = item

    try:
        file.visititems(keep)
    except (KeyError, ValueError) as error:
        raise InputError(f"{DAMAGED} ({error})") from error
    for path, dataset in found.items():
        if dataset.external or dataset.is_virtual:
            kind = "external storage" if dataset.external else "a virtual data set"
            raise InputError(
                "expected all data in the file itself; copy them into it. "
                f"Received: {path}, {kind}, which reads other files"
            )
    return found


def check_storage(dataset: h5py.Dataset) -> None:
    """Check that a dataset is stored completely and fits into memory, before it is read.

    Raises
    ------
    InputError
        If it declares more values than are stored in the file, or than fit into memory.
    """
    check_complete(dataset)
    check_memory(loaded_bytes(dataset), f"{dataset.name} of shape {dataset.shape}")


def check_complete(dataset: h5py.Dataset) -> None:
    """Check that all values that a dataset declares are stored in the file.

    Raises
    ------
    InputError
        If they are not.
    """
    if not dataset.size:
        return
    if dataset.chunks:
        declared = math.prod(
            -(-n // chunk) for n, chunk in zip(dataset.shape, dataset.chunks, strict=True)
        )
        stored, unit = dataset.id.get_num_chunks(), "chunks"
    else:
        declared = dataset.nbytes
        stored, unit = dataset.id.get_storage_size(), "bytes"
        stored = min(stored, os.path.getsize(dataset.file.filename))
    if stored < declared:
        raise InputError(
            f"expected all values of {dataset.name} in the file, {declared} {unit}; copy or "
            f"download it again. Received: shape {dataset.shape}, of which {stored} {unit} are "
            "stored"
        )


def loaded_bytes(dataset: h5py.Dataset) -> int:
    """Minimum number of bytes that a dataset takes in memory: tokens for sequences `(N, L, 4)`."""
    itemsize = dataset.dtype.itemsize
    if dataset.dtype.kind not in "biuf":
        return dataset.size * itemsize
    return dataset.size // 4 if dataset.ndim > 2 else dataset.size * min(4, itemsize)


def check_memory(n_bytes: int, what: str) -> None:
    """Refuse what is larger than the memory of this computer.

    Raises
    ------
    InputError
        If it is.
    """
    total = memory()
    if n_bytes > total:
        raise InputError(
            f"expected data that fit into memory, {total / 1e9:.1f} GB. "
            f"Received: {what}, at least {n_bytes / 1e9:.1f} GB"
        )


def memory() -> float:
    """Bytes of memory of this computer; infinite where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


@dataclass(frozen=True)
class Rows:
    """A dataset seen with its rows first.

    Attributes
    ----------
    dataset
        The open dataset.
    axes
        Its axes in the order in which they are wanted: `(1, 0)` for targets `(columns, N)`,
        `(0, 2, 1)` for sequences `(N, 4, L)`.

    Raises
    ------
    InputError
        As `check_complete` does, and of what is read whole as `check_memory` does.
    """

    dataset: h5py.Dataset
    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        check_complete(self.dataset)

    def _check_memory(self) -> None:
        what = f"{self.dataset.name} of shape {self.dataset.shape}"
        check_memory(loaded_bytes(self.dataset), what)

    @property
    def name(self) -> str:
        """The dataset's path in the file."""
        return self.dataset.name.lstrip("/")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape with the rows first."""
        return tuple(self.dataset.shape[axis] for axis in self.axes)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Go through rows and their values, about a megabyte at a time.

        Blocks end where HDF5 chunks do, so that no chunk is unpacked twice.
        """
        axis, n_rows = self.axes[0], self.shape[0]
        step = max(1, _BLOCK_BYTES * n_rows // self.dataset.nbytes)
        if self.dataset.chunks:
            chunk = self.dataset.chunks[axis]
            step = max(chunk, step // chunk * chunk)
        for start in range(0, n_rows, step):
            rows = slice(start, min(start + step, n_rows))
            yield rows, self.dataset[(slice(None),) * axis + (rows,)].transpose(self.axes)

    def floats(self) -> np.ndarray:
        """All values as float32.

        Raises
        ------
        InputError
            If they are not numbers.
        """
        if self.dataset.dtype.kind not in "biuf":
            raise InputError(
                f"expected numbers. Received: {self.name} of type {self.dataset.dtype}"
            )
        self._check_memory()
        values = np.empty(self.shape, np.float32)
        with np.errstate(over="ignore"):
            for rows, block in self.blocks():
                values[rows] = block
        return values

    def tokens(
        self, names: np.ndarray | None = None, update: Callable[[int], object] | None = None
    ) -> np.ndarray:
        """Sequences, tokens or exactly one-hot, as uint8 tokens `(N, L)`.

        Parameters
        ----------
        names
            Names of the rows, for messages.
        update
            Called with the number of rows read since the last call.

        Raises
        ------
        InputError
            As `degu_tf.sequences.encoding.as_tokens` does.
        """
        self._check_memory()
        tokens = np.empty(self.shape[:2], np.uint8)
        for rows, block in self.blocks():
            numbers = range(rows.start, rows.stop)
            labels = [str(number) for number in numbers] if names is None else names[rows].tolist()
            with blaming(self.name):
                tokens[rows] = as_tokens(block, labels)
            if update is not None:
                update(len(block))
        return tokens

    def sequences(
        self,
        names: np.ndarray | None = None,
        update: Callable[[int], object] | None = None,
        keep_floats: bool = False,
    ) -> np.ndarray:
        """Sequences as tokens, or as float32 `(N, L, 4)` where floats are not all one-hot.

        Parameters
        ----------
        names, update
            As for `tokens`.
        keep_floats
            Keep floats even if they are all one-hot.

        Raises
        ------
        InputError
            If integer or boolean sequences are neither tokens nor one-hot.

        Warns
        -----
        UserWarning
            If a first block of floats is one-hot and a later one is not, as in a damaged file.
        """
        floats = len(self.shape) == 3 and self.dataset.dtype.kind == "f"
        n_read = 0

        def count(n_rows: int) -> None:
            nonlocal n_read
            n_read += n_rows
            if update is not None:
                update(n_rows)

        if not (floats and keep_floats):
            try:
                return self.tokens(names, count)
            except InputError as error:
                if not floats:
                    raise
                if n_read:
                    warnings.warn(
                        f"the first {n_read} sequences are one-hot and a later one is not, so all "
                        f"of them stay floats; is the file in order? {error}",
                        stacklevel=2,
                    )
        sequences = self.floats()
        count(len(sequences) - n_read)
        return sequences
