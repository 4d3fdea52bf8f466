"""Names and sequences of a file in blocks, which together are what `read_records` reads."""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.data.hdf5.stored_rows import StoredRows
from degu_tf.data.sources.sequences import read_records
from degu_tf.data.sources.text_tables import (
    frame_blocks,
    header_of,
    name_column,
    pick_columns,
)
from degu_tf.data.splits import NAMES, Split
from degu_tf.sequences.fasta import fasta_records
from degu_tf.utils.errors import InputError
from degu_tf.utils.file_types import file_type, first_bytes

ROWS = 2**12
"""Sequences in a block."""

BASES = 2**22
"""Bases in a block of FASTA, so that of long sequences there are fewer; one at least."""


class RecordBlock(NamedTuple):
    """Names and sequences as they are in the file, strings or an array, and how many it has."""

    names: list[str]
    sequences: "list[str] | np.ndarray"
    n_all: int | None = None


@dataclass(frozen=True, eq=False)
class RecordBlocks:
    r"""Blocks of a file, which is read anew whenever they are iterated over.

    FASTA, tables and HDF5 are read as they are asked for. Whole, and only handed out in blocks, are
    read: HDF5 whose targets have gaps, weights or labels of teachers, and parquet whose names are
    no text.

    Parameters
    ----------
    path, sequence, name, split, targets
        As for `degu_tf.data.sources.sequences.read_records`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "two.fa"
    >>> _ = path.write_text(">a\nACGT\n>b\nTTTT\n")
    >>> [block.names for block in RecordBlocks(path)]
    [['a', 'b']]
    """

    path: str | os.PathLike
    sequence: str = "seq"
    name: str | None = None
    split: str = "test"
    targets: Sequence[str] | None = None

    def __iter__(self) -> Iterator[RecordBlock]:
        """Names and sequences of each block.

        Raises
        ------
        InputError
            If the file cannot be read, at the block where that shows.
        """
        path = Path(self.path)
        if path.is_file():
            if file_type(path) == "HDF5":
                return self._of_hdf5()
            start = first_bytes(path, "file of sequences").lstrip()
            if start.startswith((b">", b"@")):
                return self._of_fasta()
            if start:
                return self._of_table()
        return iter([RecordBlock(*read_records(path))])  # refuses it

    def _of_fasta(self) -> Iterator[RecordBlock]:
        names: list[str] = []
        found: list[str] = []
        bases = 0
        for name, record in fasta_records(self.path):
            names.append(name)
            found.append(record)
            bases += len(record)
            if len(names) >= ROWS or bases >= BASES:
                yield RecordBlock(names, found)
                names, found, bases = [], [], 0
        if names:
            yield RecordBlock(names, found)

    def _of_table(self) -> Iterator[RecordBlock]:
        row = 0
        wanted = [self.sequence, *([] if self.name is None else [self.name])]
        column = self.name or name_column(header_of(self.path), {self.sequence})[0]
        maybe = [] if column is None else [column]
        for frame in frame_blocks(self.path, ROWS, wanted, maybe):
            pick_columns(frame, wanted, self.path)
            if column is None:
                names = [f"record {number}" for number in range(row, row + len(frame))]
            else:
                names = frame[column].astype(str).tolist()
            yield RecordBlock(names, frame[self.sequence].tolist())
            row += len(frame)

    def _of_hdf5(self) -> Iterator[RecordBlock]:
        names, sequences = self._stored
        n_rows = max(1, min(ROWS, BASES // sequences.shape[1]))
        for start in range(0, len(sequences), n_rows):
            rows = range(start, min(start + n_rows, len(sequences)))
            if names is None:
                some = [f"record {row}" for row in rows]
            else:
                some = [str(name) for name in names[rows.start : rows.stop]]
            yield RecordBlock(some, sequences[rows.start : rows.stop], len(sequences))

    @cached_property
    def _stored(self) -> tuple[Any, Any]:
        """Names, or None, and sequences of the split; those of many rows are left in the file."""
        if self.split not in NAMES:
            raise InputError(f"split must be one of {NAMES}. Received: {self.split!r}")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                splits = read_splits(self.path, self.targets, in_memory="never")
        except InputError:  # perhaps of targets, which are not looked at
            return read_records(self.path, split=self.split, targets=self.targets)
        for each in caught:
            warnings.warn(each.message, stacklevel=2)
        part: Split = getattr(splits, self.split)
        sequences = part.sequences
        if isinstance(sequences, StoredRows) and len(sequences.axes) == 3:
            try:
                for _ in sequences.blocks():
                    pass
            except InputError:  # not one-hot all through: floats as a whole
                sequences = replace(sequences, kind="floats")
        return part.names, sequences
