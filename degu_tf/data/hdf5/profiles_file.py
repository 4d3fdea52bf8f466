"""HDF5 files of profiles, written chunk by chunk from a stream.

Targets are compressed by Zstandard and tokens by Bitshuffle with LZ4, filters of hdf5plugin, each
chunk with a Fletcher-32 checksum, which HDF5 verifies when the chunk is read.
Bytes a base and seconds for writing and reading 100 Mb of a mean and a deviation
(experiments/benchmarks/profiles.py): Zstandard 0.77, 0.7, 0.4; HDF5's own gzip 0.90, 2.6, 1.1; LZF
1.08, 2.3, 2.1. Tokens: Bitshuffle 0.26, 0.10, 0.09; gzip 0.33, 0.97, 0.33. Other programs read the
file once they have these filters (in Python, ``import hdf5plugin``).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from degu_tf.data.bigwig import run_starts
from degu_tf.data.hdf5.new_file import new_file
from degu_tf.data.hdf5.splits_file import header
from degu_tf.data.tracks import TrackColumns
from degu_tf.heads import HeadLayout
from degu_tf.utils.errors import InputError

CHUNK_ROWS = 32
"""Bins in a chunk of the file."""

_NAMES = 4096
_TARGETS = hdf5plugin.Zstd(clevel=1)
_SEQUENCES = hdf5plugin.Bitshuffle(cname="lz4")


@contextmanager
def new_profiles_file(
    path: str | os.PathLike, heads: HeadLayout, n_bases: int
) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """Open a new file of profiles: all of its metadata carry checksums, as its chunks do.

    Texts have a fixed length, because those of variable length lie in HDF5's global heap, which has
    no checksum. Nothing is dated, so that equal data give equal bytes. `n_bases` is the maximum
    number of bases; what it gives is described at `new_file`.
    """
    n_bytes = n_bases * (1 + 4 * heads.n_columns)
    with new_file(path, n_bytes, checksums=True) as (file, check):
        for name, value in header(heads).items():
            file.attrs[name] = fixed_text(value) if isinstance(value, str | list) else value
        yield file, check


def undated_group(file: h5py.File, name: str) -> h5py.Group:
    """A new group without the time of its creation."""
    created = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    created.set_obj_track_times(False)
    return h5py.Group(h5py.h5g.create(file.id, name.encode(), gcpl=created))


def fixed_text(text: str | list[str]) -> np.ndarray:
    """One or several texts as an array of UTF-8 of fixed length."""
    encoded = [each.encode() for each in ([text] if isinstance(text, str) else text)]
    dtype = h5py.string_dtype("utf-8", max(1, *map(len, encoded)))
    array = np.array(encoded, dtype)
    return array[0] if isinstance(text, str) else array


class ProfileGroup:
    """One split of the file, to which bins are appended.

    Parameters
    ----------
    group
        The HDF5 group of the split.
    columns
        The tracks and the columns made of them.
    length
        Bases in a bin.
    most
        Maximum number of bins.
    name_bytes
        Bytes of the longest name.

    Attributes
    ----------
    n_bins
        Number of bins.
    missing
        For each track how many bases of them had no value and count as zero.
    negative
        For each track how many bases of them had a value below zero that must not be: coverage of
        replicates, or standard deviations.
    first_negative
        Track, name of the bin, offset in it and value of the first of these, or None.
    """

    def __init__(
        self,
        group: h5py.Group,
        columns: TrackColumns,
        length: int,
        most: int,
        name_bytes: int,
    ) -> None:
        self.columns, self.length = columns, length
        self.n_bins = 0
        self.missing = np.zeros(len(columns.paths), np.int64)
        self.negative = np.zeros(len(columns.paths), np.int64)
        self.first_negative: tuple[int, str, int, float] | None = None
        self._not_negative = columns.not_negative
        self._drop_held()
        self._names: list[bytes] = []
        self._named = 0

        def dataset(name: str, shape: tuple[int, ...], dtype: Any, rows: int, **how: Any) -> Any:
            return group.create_dataset(
                name,
                (most, *shape),
                dtype,
                maxshape=(None, *shape),
                chunks=(rows, *shape),
                fletcher32=True,
                **how,
            )

        shape = (length, columns.heads.n_columns)
        self._sequences_out = dataset("sequences", (length,), np.uint8, CHUNK_ROWS, **_SEQUENCES)
        self._targets_out = dataset("targets", shape, np.float32, CHUNK_ROWS, **_TARGETS)
        self._names_out = dataset(
            "names", (), h5py.string_dtype("utf-8", name_bytes), _NAMES, compression="gzip"
        )

    def append(
        self, tokens: np.ndarray, values: Sequence[np.ndarray], names: Sequence[str]
    ) -> None:
        """Append bins: tokens and each track's values `(n, length)`, NaN where it has none.

        Raises
        ------
        InputError
            If a value is infinite.
        """
        self._names += [name.encode() for name in names]
        start = 0
        if len(self._tokens):
            start = min(CHUNK_ROWS - len(self._tokens), len(tokens))
            self._hold(
                np.concatenate([self._tokens, tokens[:start]]),
                [
                    np.concatenate([held, track[:start]])
                    for held, track in zip(self._values, values, strict=True)
                ],
            )
        while len(tokens) - start >= CHUNK_ROWS:
            rows = slice(start, start + CHUNK_ROWS)
            self._write_chunk(tokens[rows], [track[rows] for track in values])
            start += CHUNK_ROWS
        if start < len(tokens):
            self._hold(tokens[start:].copy(), [track[start:].copy() for track in values])
        while len(self._names) >= _NAMES:
            self._write_names()

    def finish(self) -> None:
        """Write what is left of a chunk, and cut the datasets to what they hold."""
        if len(self._tokens):
            self._write_chunk(self._tokens, self._values)
        if self._names:
            self._write_names()
        for dataset in (self._sequences_out, self._targets_out, self._names_out):
            dataset.resize(self.n_bins, axis=0)

    def _hold(self, tokens: np.ndarray, values: list[np.ndarray]) -> None:
        """Keep bins until they make a chunk, or write them if they do."""
        self._tokens, self._values = tokens, values
        if len(tokens) == CHUNK_ROWS:
            self._write_chunk(tokens, values)
            self._drop_held()

    def _drop_held(self) -> None:
        self._tokens = np.empty((0, self.length), np.uint8)
        self._values = [np.empty((0, self.length), np.float32)] * len(self.columns.paths)

    def _write_chunk(self, tokens: np.ndarray, values: Sequence[np.ndarray]) -> None:
        rows = slice(self.n_bins, self.n_bins + len(tokens))
        targets = self._targets([track.reshape(-1) for track in values])
        self._sequences_out[rows] = tokens
        self._targets_out[rows] = targets.reshape(*tokens.shape, -1)
        self.n_bins = rows.stop

    def _targets(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """Columns `(bases, columns)` of a chunk, computed once for each run of equal values."""
        starts = run_starts(*values)
        lengths = np.diff(starts, append=len(values[0]))
        runs = np.stack([track[starts] for track in values])
        missing = np.isnan(runs)
        if missing.any():
            self.missing += missing @ lengths
            runs[missing] = 0.0
        self._count_negative(runs, starts, lengths)
        columns = self.columns.compute(runs)
        if not np.isfinite(columns).all():
            track = int(np.argmax(~np.isfinite(runs).all(axis=1)))
            raise InputError(
                f"expected finite values. Received: inf in {self.columns.paths[track]}"
            )
        return np.repeat(columns, lengths, axis=0)

    def _count_negative(self, runs: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> None:
        negative = (runs < 0) & self._not_negative[:, np.newaxis]
        if not negative.any():
            return
        self.negative += negative @ lengths
        if self.first_negative is None:
            run = int(np.argmax(negative.any(axis=0)))
            track = int(np.argmax(negative[:, run]))
            row, offset = divmod(int(starts[run]), self.length)
            row += self.n_bins - self._named
            name = self._names[row] if row >= 0 else self._names_out[row + self._named]
            self.first_negative = (track, name.decode(), offset, float(runs[track, run]))

    def _write_names(self) -> None:
        names, self._names = self._names[:_NAMES], self._names[_NAMES:]
        self._names_out[self._named : self._named + len(names)] = names
        self._named += len(names)
