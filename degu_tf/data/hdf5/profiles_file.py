"""The HDF5 file of profiles, written in streams: whole chunks, packed here and stored as they are.

Targets go through the LZF filter, which comes with h5py, and a chunk without runs is stored
unpacked, as is one of more than eight columns; tokens go through gzip.
"""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from degu_tf.data.bigwig import run_starts
from degu_tf.data.hdf5.packing import MOST_COLUMNS, pack_runs, pack_tokens
from degu_tf.data.tracks import TrackColumns
from degu_tf.utils.errors import InputError

CHUNK_ROWS = 32
"""Bins in a chunk of the file: a multiple of eight."""

_NAMES = 4096
_UNPACKED = 1


class ProfileGroup:
    """One split of the file, to which bins are appended.

    Parameters
    ----------
    group
        The HDF5 group of the split.
    columns
        What is made of the tracks' values.
    length
        Bases in a bin.
    most
        How many bins may be appended.
    name_bytes
        Bytes of the longest name.

    Attributes
    ----------
    n_bins
        How many bins were appended.
    missing
        For each track how many bases of them had no value and count as zero.
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
        self._drop_held()
        self._names: list[bytes] = []
        self._named = 0

        def dataset(name: str, shape: tuple[int, ...], dtype: Any, rows: int, **how: Any) -> Any:
            return group.create_dataset(
                name, (most, *shape), dtype, maxshape=(None, *shape), chunks=(rows, *shape), **how
            )

        shape = (length, columns.heads.n_columns)
        self._sequences_out = dataset(
            "sequences", (length,), np.uint8, CHUNK_ROWS, compression="gzip", compression_opts=1
        )
        self._targets_out = dataset("targets", shape, np.float32, CHUNK_ROWS, compression="lzf")
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
        start, self.n_bins = self.n_bins, self.n_bins + len(tokens)
        padding = (CHUNK_ROWS - len(tokens)) * self.length
        if padding:
            tokens = np.append(tokens, np.zeros(padding, np.uint8))
        self._sequences_out.id.write_direct_chunk((start, 0), pack_tokens(tokens))
        packed, is_packed = self._packed_targets([track.reshape(-1) for track in values], padding)
        filters_left_out = 0 if is_packed else _UNPACKED
        self._targets_out.id.write_direct_chunk((start, 0, 0), packed, filters_left_out)

    def _packed_targets(self, values: Sequence[np.ndarray], padding: int) -> tuple[bytes, bool]:
        """Targets of a chunk and whether they are packed; the last row is repeated as padding."""
        starts = run_starts(*values)
        lengths = np.diff(starts, append=len(values[0]))
        runs = np.stack([track[starts] for track in values])
        missing = np.isnan(runs)
        if missing.any():
            self.missing += missing @ lengths
            runs[missing] = 0.0
        columns = self.columns.compute(runs)
        if not np.isfinite(columns).all():
            track = int(np.argmax(~np.isfinite(runs).all(axis=1)))
            raise InputError(
                f"expected finite values. Received: inf in {self.columns.paths[track]}"
            )
        lengths[-1] += padding
        if columns.shape[1] > MOST_COLUMNS:
            return np.repeat(columns, lengths, axis=0), False
        packed = pack_runs(columns, lengths)
        if len(packed) < columns[0].nbytes * self.length * CHUNK_ROWS:
            return packed, True
        return np.repeat(columns, lengths, axis=0), False

    def _write_names(self) -> None:
        names, self._names = self._names[:_NAMES], self._names[_NAMES:]
        self._names_out[self._named : self._named + len(names)] = names
        self._named += len(names)
