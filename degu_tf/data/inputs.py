"""Sequences to predict, from FASTA, a table, HDF5, or intervals of a genome."""

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from degu_tf.data.frame import read_frame
from degu_tf.data.hdf5 import read_splits
from degu_tf.data.splits import NAMES
from degu_tf.errors import InputError
from degu_tf.fasta import read_fasta
from degu_tf.sequence import encode, reverse_complement

_HDF5 = b"\x89HDF"
_GZIP = b"\x1f\x8b"


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
) -> NamedSequences:
    """Read FASTA, a TSV/CSV/parquet table or HDF5, told apart by content.

    Parameters
    ----------
    path
        The file; FASTA and tables may be gzipped.
    sequence, name
        Columns of a table. Without `name`, a column called ``name`` is used, else row numbers.
    split
        Which split of an HDF5 file.

    Raises
    ------
    InputError
        If the file cannot be read as any of these, or a sequence cannot be encoded.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"expected a file of sequences. Received: {path}, which is no file")
    start = _first_bytes(path)
    if start.startswith(_HDF5):
        return _from_hdf5(path, split)
    if start.lstrip().startswith(b">"):
        names, strings = read_fasta(path)
        return NamedSequences(names, encode(strings, names=names))
    return _from_table(path, sequence, name)


def _first_bytes(path: Path) -> bytes:
    with open(path, "rb") as handle:
        start = handle.read(64)
    if start.startswith(_GZIP):
        try:
            with gzip.open(path) as handle:
                return handle.read(64)
        except (OSError, EOFError) as error:
            raise InputError(f"a damaged gzip file ({error}). Received: {path}") from None
    return start


def _from_hdf5(path: Path, split: str) -> NamedSequences:
    if split not in NAMES:
        raise InputError(f"split must be one of {NAMES}. Received: {split!r}")
    part = getattr(read_splits(path), split)
    return NamedSequences([part.name_of(row) for row in range(len(part))], part.sequences)


def _from_table(path: Path, sequence: str, name: str | None) -> NamedSequences:
    frame = read_frame(path)
    if sequence not in frame.columns:
        raise InputError(
            f"the table has no column {sequence!r}; name the one with sequences (--sequence). "
            f"Received: columns {list(frame.columns)} in {path}"
        )
    if name is not None and name not in frame.columns:
        raise InputError(
            f"the table has no column {name!r}. Received: {list(frame.columns)} in {path}"
        )
    column = name or ("name" if "name" in frame.columns else None)
    names = (
        [f"record {row}" for row in range(len(frame))]
        if column is None
        else frame[column].astype(str).tolist()
    )
    return NamedSequences(names, encode(frame[sequence], names=names))


def read_bed(
    bed: str | os.PathLike, genome: str | os.PathLike, length: int | None = None
) -> NamedSequences:
    """Sequences of BED intervals from an indexed genome FASTA, reverse strand complemented.

    Names are column 4 where there is one, else ``chrom:start-end``. The index (`.fai`) is made
    if it is missing.

    Parameters
    ----------
    bed
        Intervals, 0-based and half-open; column 6, where present, is the strand.
    genome
        Genome FASTA, plain or bgzipped.
    length
        Bases each interval must have, or None for any common length.

    Raises
    ------
    InputError
        If a line is no interval, has another length, or lies outside its contig.
    """
    import pysam

    intervals = _read_intervals(Path(bed), length)
    try:
        fasta = pysam.FastaFile(os.fspath(genome))
    except (OSError, ValueError) as error:
        raise InputError(
            f"a genome FASTA, plain or bgzipped, that can be indexed ({error}). Received: {genome}"
        ) from None
    names, strings, reverse = [], [], []
    with fasta:
        contigs = dict(zip(fasta.references, fasta.lengths, strict=True))
        for line, (chrom, start, end, name, strand) in intervals:
            if chrom not in contigs:
                raise InputError(
                    f"line {line} of {bed}: the genome has no contig {chrom!r}. "
                    f"Received: a genome with {list(contigs)[:5]} ..."
                )
            if not 0 <= start < end <= contigs[chrom]:
                raise InputError(
                    f"line {line} of {bed}: the interval must lie within {chrom}, which has "
                    f"{contigs[chrom]} bases. Received: {start}-{end}"
                )
            names.append(name or f"{chrom}:{start}-{end}")
            strings.append(fasta.fetch(chrom, start, end))
            reverse.append(strand == "-")
    tokens = encode(strings, names=names)
    rows = np.flatnonzero(reverse)
    if len(rows):
        tokens[rows] = reverse_complement(tokens[rows])
    return NamedSequences(names, tokens)


def _read_intervals(
    bed: Path, length: int | None
) -> list[tuple[int, tuple[str, int, int, str | None, str]]]:
    if not bed.is_file():
        raise InputError(f"expected a BED file. Received: {bed}, which is no file")
    intervals = []
    for number, line in enumerate(bed.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        fields = line.split("\t") if "\t" in line else line.split()
        try:
            chrom, start, end = fields[0], int(fields[1]), int(fields[2])
        except (IndexError, ValueError):
            raise InputError(
                f"line {number} of {bed}: expected chromosome, start and end. Received: {line!r}"
            ) from None
        if length is not None and end - start != length:
            raise InputError(
                f"line {number} of {bed}: the model takes {length} bases; make every interval so "
                f"long. Received: {end - start} bases, {chrom}:{start}-{end}"
            )
        name = fields[3] if len(fields) > 3 and fields[3] != "." else None
        intervals.append((number, (chrom, start, end, name, fields[5] if len(fields) > 5 else "+")))
    if not intervals:
        raise InputError(f"expected intervals. Received: none in {bed}")
    return intervals
