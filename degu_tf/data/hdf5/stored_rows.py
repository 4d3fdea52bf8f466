"""Rows of an HDF5 dataset that are read when they are asked for: data larger than memory.

A file is opened again in every process that reads it, so what is pickled is no more than its path.
Values are checked as they are read, by the same rules as those that are read whole.
"""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import h5py
import numpy as np

from degu_tf.data.hdf5.rows import DAMAGED
from degu_tf.sequences.encoding import as_tokens
from degu_tf.utils.errors import InputError, blaming

HELD = 2**28
"""Bytes up to which rows in a file may be turned into an array of their own."""

_BLOCK_BYTES = 2**19

Kind = Literal["tokens", "floats", "names"]


class StoredFile:
    """An HDF5 file that was opened once and is opened again, unchanged, wherever it is read."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.path.realpath(path)
        self._stamp = self._now()
        self._opened: tuple[int, h5py.File] | None = None
        self._lock = threading.Lock()

    def _now(self) -> tuple[int, int]:
        found = os.stat(self.path)
        return found.st_size, found.st_mtime_ns

    def dataset(self, name: str) -> h5py.Dataset:
        """A dataset of the file.

        Raises
        ------
        InputError
            If the file is gone, or another one than it was.
        """
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._check()
                self._opened = os.getpid(), h5py.File(self.path, "r")
            return self._opened[1][name]

    def _check(self) -> None:
        if not os.path.isfile(self.path) or self._now() != self._stamp:
            raise InputError(
                "expected the file of data as it was when it was opened, since it is read while "
                f"models train; start again. Received: {self.path}, which was changed or removed"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_stamp": self._stamp}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _opened=None, _lock=threading.Lock())


@dataclass(frozen=True, eq=False)
class StoredRows:
    """An array whose rows lie in a file: indexed by rows it reads them.

    Indexed by `[:, start:end]` or `[..., columns]` it is a part of itself, of which nothing is read
    yet.

    Attributes
    ----------
    file
        The file.
    name
        The dataset's path in it.
    axes
        Its axes with the rows first, as in `degu_tf.data.hdf5.rows.Rows`.
    kind
        ``"tokens"``: sequences, as uint8 `(N, L)`. ``"floats"``: float32 of the dataset's shape;
        `(N,)` is one column. ``"names"``: texts.
    parts
        Which part of each axis but the first; all of it by default.

    Examples
    --------
    >>> import h5py, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "d.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["x"] = np.eye(4)[[[0, 1], [2, 3], [3, 3]]]
    >>> rows = StoredRows(StoredFile(path), "x", (0, 1, 2), "tokens")
    >>> rows.shape, rows[[2, 0]].tolist(), rows[:, 1:][:2].tolist()
    ((3, 2), [[3, 3], [0, 1]], [[1], [3]])
    """

    file: StoredFile
    name: str
    axes: tuple[int, ...]
    kind: Kind
    parts: tuple[slice, ...] | None = None

    @cached_property
    def _whole(self) -> tuple[int, ...]:
        """The shape of what is read of whole rows."""
        stored = self._dataset.shape
        shape = tuple(stored[axis] for axis in self.axes)
        if self.kind == "tokens":
            return shape[:2]
        if self.kind == "names":
            return shape[:1]
        return shape if len(shape) > 1 else (*shape, 1)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape of the rows, or of the part of them."""
        sizes = zip(self._whole[1:], self._slices, strict=True)
        return self._whole[0], *(len(range(n)[part]) for n, part in sizes)

    @property
    def dtype(self) -> np.dtype:
        """The type of the values."""
        return np.dtype({"tokens": np.uint8, "floats": np.float32, "names": object}[self.kind])

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that an array of all values would take."""
        return len(self) * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in memory."""
        return self.dtype.itemsize * int(np.prod(self.shape[1:]))

    @cached_property
    def chunk_rows(self) -> int:
        """Rows that are unpacked together."""
        chunks = self._dataset.chunks
        return 1 if chunks is None else chunks[self.axes[0]]

    @property
    def block_rows(self) -> int:
        """Rows that are read at a time: whole chunks of the file."""
        return max(1, round(_BLOCK_BYTES / self.row_bytes / self.chunk_rows)) * self.chunk_rows

    def __len__(self) -> int:
        return self._whole[0]

    def __getitem__(self, key: Any) -> Any:
        """Rows by a number, a slice, numbers or a mask, as an array; or a part of all rows."""
        if isinstance(key, tuple):
            return self._part(key)
        if isinstance(key, int | np.integer):
            return self[np.array([key])][0]
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1 and start < stop:
                return self.read(start, stop)
        rows = np.arange(len(self))[key]
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        blocks = rows // self.block_rows
        for block in np.unique(blocks):
            wanted = np.flatnonzero(blocks == block)
            start = int(rows[wanted].min())
            found[wanted] = self.read(start, int(rows[wanted].max()) + 1)[rows[wanted] - start]
        return found

    def read(self, start: int, end: int) -> np.ndarray:
        """The rows from `start` up to `end`.

        Raises
        ------
        InputError
            If the file is damaged, or values are not what they stand for.
        """
        place: list[slice] = [slice(None)] * len(self.axes)
        place[self.axes[0]] = slice(start, end)
        with blaming(f"{self.name} in {self.file.path}"):
            dataset = self._dataset
            try:
                if self.kind == "names" and h5py.check_string_dtype(dataset.dtype):
                    dataset = dataset.asstr()
                block = dataset[tuple(place)].transpose(self.axes)
            except (OSError, RuntimeError, UnicodeDecodeError) as error:
                raise InputError(f"{DAMAGED} ({error})") from error
            return self._values(block, start)[(slice(None), *self._slices)]

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """All rows in order, `block_rows` at a time, each with the slice that they are."""
        for start in range(0, len(self), self.block_rows):
            rows = slice(start, min(start + self.block_rows, len(self)))
            yield rows, self.read(rows.start, rows.stop)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All values, where they are few.

        Raises
        ------
        InputError
            If they take more than `HELD` bytes.
        """
        if self.nbytes > HELD:
            raise InputError(
                "expected data in memory for this; these are read in blocks, being larger "
                "(in_memory='always' reads them whole). "
                f"Received: {self.name} of shape {self.shape}, {self.nbytes / 1e9:.1f} GB"
            )
        values = self.read(0, len(self))
        return values if dtype is None else values.astype(dtype, copy=False)

    @property
    def _dataset(self) -> h5py.Dataset:
        return self.file.dataset(self.name)

    @property
    def _slices(self) -> tuple[slice, ...]:
        return self.parts or (slice(None),) * (len(self._whole) - 1)

    def _part(self, key: tuple[Any, ...]) -> "StoredRows":
        if key[0] is Ellipsis:
            key = (slice(None),) * (self.ndim - len(key) + 1) + key[1:]
        each = [*key, *[slice(None)] * (self.ndim - len(key))]
        plain = all(isinstance(part, slice) and part.step in (None, 1) for part in each)
        if len(each) != self.ndim or not plain or each[0] != slice(None):
            raise InputError(
                "expected rows, or one stretch of positions or columns of all rows, since these "
                f"data are read in blocks. Received: {key!r}"
            )
        held = []
        for n, old, new in zip(self._whole[1:], self._slices, each[1:], strict=True):
            chosen = range(n)[old][new]
            held.append(slice(chosen.start, chosen.stop))
        return replace(self, parts=tuple(held))

    def _values(self, block: np.ndarray, start: int) -> np.ndarray:
        if self.kind == "names":
            return block.reshape(len(block)).astype(str).astype(object)
        if self.kind == "tokens":
            return self._tokens(block, start)
        with np.errstate(over="ignore"):
            values = block.astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values.reshape(len(values), -1)).all(axis=1)))
            raise InputError(
                "targets and numbers must be finite in data that are read in blocks; drop such "
                f"rows or fill them in. Received: {values[row].tolist()} in row {start + row}"
            )
        return values[:, np.newaxis] if values.ndim == 1 else values

    def _tokens(self, block: np.ndarray, start: int) -> np.ndarray:
        try:
            return as_tokens(block)
        except InputError:
            # once more, to name the row by its number in the file
            as_tokens(block, [str(start + row) for row in range(len(block))])
            raise
