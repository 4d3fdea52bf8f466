"""Sequences to predict, from FASTA, a table, HDF5, or intervals of a genome."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.data.sources.intervals import Interval, read_intervals
from degu_tf.data.sources.text_tables import name_column, pick_columns, read_frame
from degu_tf.data.splits import NAMES, Split
from degu_tf.sequences.encoding import encode, reverse_complement
from degu_tf.sequences.fasta import read_fasta
from degu_tf.sequences.genomes.base import Genome
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.file_types import file_type, first_bytes


@dataclass(frozen=True, eq=False)
class NamedSequences:
    """Sequences with a name each.

    Attributes
    ----------
    names
        One name a sequence, in file order.
    sequences
        Tokens `(N, L)` uint8, or float32 `(N, L, 4)` where a file holds sequences that are not
        one-hot.
    """

    names: list[str]
    sequences: np.ndarray


def read_sequences(
    path: str | os.PathLike,
    *,
    sequence: str = "seq",
    name: str | None = None,
    split: str = "test",
    targets: Sequence[str] | None = None,
    length: int | None = None,
    crop: bool = False,
) -> NamedSequences:
    r"""Read FASTA, a TSV/CSV/parquet table or HDF5; the type is detected from file content.

    Parameters
    ----------
    path
        The file; FASTA and tables may be gzipped.
    sequence, name
        Columns of a table. Without `name`, a column called ``name`` or else ``id`` is used, else
        row numbers.
    split, targets
        Which split of an HDF5 file, and names of its target columns where it leaves them open.
    length
        Bases each sequence must have, or None for any common length.
    crop
        Take the middle of profiles in HDF5 that are longer, for models that were trained on parts
        of them.

    Raises
    ------
    InputError
        If the file cannot be read as any of these, or a sequence cannot be encoded.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "two.fa"
    >>> _ = path.write_text(">a\nACGT\n>b\nTTTT\n")
    >>> named = read_sequences(path)
    >>> list(named.names), named.sequences.tolist()
    (['a', 'b'], [[0, 1, 2, 3], [3, 3, 3, 3]])
    """
    names, found = read_records(
        path,
        sequence=sequence,
        name=name,
        split=split,
        targets=targets,
        length=length if crop else None,
    )
    if isinstance(found, np.ndarray):
        return NamedSequences(names, _check_hdf5(found, path, length))
    _check_lengths(names, found, length)
    return NamedSequences(names, encode(found, names=names))


def read_records(
    path: str | os.PathLike,
    *,
    sequence: str = "seq",
    name: str | None = None,
    split: str = "test",
    targets: Sequence[str] | None = None,
    length: int | None = None,
) -> tuple[list[str], list[str] | np.ndarray]:
    """Names and sequences of a file as they are: strings of any lengths, arrays of HDF5.

    Parameters
    ----------
    path, sequence, name, split, targets
        As for `read_sequences`.
    length
        The middle of profiles in HDF5 that is taken; None for all of them.

    Raises
    ------
    InputError
        If the file cannot be read as any of these.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"expected a file of sequences. Received: {path}, which is no file")
    if file_type(path) == "HDF5":
        if split not in NAMES:
            raise InputError(f"split must be one of {NAMES}. Received: {split!r}")
        splits = read_splits(path, targets, missing_targets="keep")  # targets are not looked at
        part: Split = getattr(splits, split).centred(length)
        return [part.name_of(row) for row in range(len(part))], part.sequences
    start = first_bytes(path, "file of sequences").lstrip()
    if not start:
        raise InputError(f"expected a file of sequences. Received: {path}, which is empty")
    if start.startswith((b">", b"@")):
        return read_fasta(path)
    return _from_table(path, sequence, name)


def _check_lengths(names: Sequence[str], strings: Sequence[str], length: int | None) -> None:
    for name, string in zip(names, strings, strict=True):
        if length is not None and isinstance(string, str) and len(string) != length:
            raise InputError(
                f"the model takes sequences of {length} bases; cut or pad them to that length. "
                f"Received: {len(string)} bases in record {name!r}"
            )


def _check_hdf5(sequences: np.ndarray, path: str | os.PathLike, length: int | None) -> np.ndarray:
    n, bases = sequences.shape[:2]
    if length not in (None, bases):
        raise InputError(
            f"the model takes sequences of {length} bases. Received: {bases} bases in each of "
            f"{n} sequences of {path}"
        )
    return sequences


def _from_table(path: Path, sequence: str, name: str | None) -> tuple[list[str], list[str]]:
    frame = read_frame(path)
    pick_columns(frame, [sequence, *([] if name is None else [name])], path)
    column = name or name_column([str(each) for each in frame.columns], {sequence})[0]
    names = (
        [f"record {row}" for row in range(len(frame))]
        if column is None
        else frame[column].astype(str).tolist()
    )
    return names, frame[sequence].tolist()


def read_bed(
    bed: str | os.PathLike, genome: str | os.PathLike, length: int | None = None
) -> NamedSequences:
    """Sequences of BED intervals of a genome, reverse strand complemented.

    Names are column 4 where there is one, else ``chrom:start-end``.

    Parameters
    ----------
    bed
        Intervals, 0-based and half-open; column 6, where present, is the strand. Contigs may have
        another convention's names (`degu_tf.sequences.genomes.contigs.find_contig`).
    genome
        Indexed FASTA, 2bit or elements, see `degu_tf.sequences.genomes.open.open_genome`.
    length
        Bases each interval must have, or None for any common length.

    Raises
    ------
    InputError
        If a line is no interval, has another length or an unknown strand, or lies outside its
        contig.
    """
    intervals = read_intervals(bed)
    for each in intervals:
        if length is not None and each.end - each.start != length:
            raise InputError(
                f"{each.where}: the model takes {length} bases; make every interval so long. "
                f"Received: {each.end - each.start} bases, {each.place}"
            )
    with open_genome(genome) as opened:
        return fetch_intervals(intervals, opened)


def fetch_intervals(intervals: Sequence[Interval], genome: Genome) -> NamedSequences:
    """`read_bed` of intervals that were read, in a genome that is open."""
    names, strings, reverse = [], [], []
    for each in intervals:
        each.check(genome)
        with blaming(each.where):
            strings.append(genome.fetch(each.contig, each.start, each.end))
        names.append(each.name)
        reverse.append(each.strand == "-")
    tokens = encode(strings, names=names)
    rows = np.flatnonzero(reverse)
    if len(rows):
        tokens[rows] = reverse_complement(tokens[rows])
    return NamedSequences(names, tokens)
