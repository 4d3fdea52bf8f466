"""HDF5 datasets read row by row in bounded memory, whichever way they lie in the file."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from degu_tf.sequences.encoding import as_tokens
from degu_tf.utils.errors import InputError, blaming

_BLOCK_BYTES = 2**20
_DAMAGED = (
    "expected a whole HDF5 file; this one is cut off, damaged or open for writing elsewhere, so "
    "copy or download it again"
)


def existing(path: str | os.PathLike) -> Path:
    """The path of a file that is there.

    Raises
    ------
    InputError
        If it is not, or is a folder.
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
        raise InputError(f"{_DAMAGED} ({error})") from error


def datasets_of(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All datasets of a file by their path, those in groups included.

    Raises
    ------
    InputError
        If the description of one is damaged.
    """
    found: dict[str, h5py.Dataset] = {}

    def keep(path: str | bytes, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset):
            _ = item.dtype
            found[os.fsdecode(path)] = item

    try:
        file.visititems(keep)
    except (KeyError, ValueError) as error:
        raise InputError(f"{_DAMAGED} ({error})") from error
    return found


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
    """

    dataset: h5py.Dataset
    axes: tuple[int, ...]

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
        tokens = np.empty(self.shape[:2], np.uint8)
        for rows, block in self.blocks():
            numbers = range(rows.start, rows.stop)
            labels = [str(number) for number in numbers] if names is None else names[rows]
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
