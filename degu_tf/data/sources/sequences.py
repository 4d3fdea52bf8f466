"""Sequences to predict, from FASTA, a table, HDF5, or intervals of a genome."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.data.sources.text_tables import pick_columns, read_frame
from degu_tf.data.splits import NAMES, Split
from degu_tf.sequences.encoding import encode, reverse_complement
from degu_tf.sequences.fasta import read_fasta
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.file_types import file_type, first_bytes, open_text


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
        Columns of a table. Without `name`, a column called ``name`` is used, else row numbers.
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
    path = Path(path)
    if not path.is_file():
        raise InputError(f"expected a file of sequences. Received: {path}, which is no file")
    if file_type(path) == "HDF5":
        return _from_hdf5(path, split, targets, length, crop)
    start = first_bytes(path, "file of sequences").lstrip()
    if not start:
        raise InputError(f"expected a file of sequences. Received: {path}, which is empty")
    if start.startswith((b">", b"@")):
        names, strings = read_fasta(path)
    else:
        names, strings = _from_table(path, sequence, name)
    _check_lengths(names, strings, length)
    return NamedSequences(names, encode(strings, names=names))


def _check_lengths(names: Sequence[str], strings: Sequence[str], length: int | None) -> None:
    for name, string in zip(names, strings, strict=True):
        if length is not None and isinstance(string, str) and len(string) != length:
            raise InputError(
                f"the model takes sequences of {length} bases; cut or pad them to that length. "
                f"Received: {len(string)} bases in record {name!r}"
            )


def _from_hdf5(
    path: Path, split: str, targets: Sequence[str] | None, length: int | None, crop: bool
) -> NamedSequences:
    if split not in NAMES:
        raise InputError(f"split must be one of {NAMES}. Received: {split!r}")
    part: Split = getattr(read_splits(path, targets, missing_targets="keep"), split)
    if crop:
        part = part.centred(length)
    bases = part.sequences.shape[1]
    if length not in (None, bases):
        raise InputError(
            f"the model takes sequences of {length} bases. Received: {bases} bases in each of "
            f"{len(part)} sequences of {path}"
        )
    return NamedSequences([part.name_of(row) for row in range(len(part))], part.sequences)


def _from_table(path: Path, sequence: str, name: str | None) -> tuple[list[str], list[str]]:
    frame = read_frame(path)
    pick_columns(frame, [sequence, *([] if name is None else [name])], path)
    column = name or ("name" if "name" in frame.columns else None)
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
    intervals = _read_intervals(Path(bed), length)
    names, strings, reverse = [], [], []
    with open_genome(genome) as opened:
        contigs = opened.contigs
        for line, (chrom, start, end, name, strand) in intervals:
            contig = opened.contig(chrom)
            if contig is None:
                raise InputError(
                    f"line {line} of {bed}: the genome has no contig {chrom!r}. "
                    f"Received: {genome} with {', '.join(list(contigs)[:5])}"
                    f"{', ...' if len(contigs) > 5 else ''}"
                )
            if not 0 <= start < end <= contigs[contig]:
                raise InputError(
                    f"line {line} of {bed}: the interval must lie within {chrom}, which has "
                    f"{contigs[contig]} bases. Received: {start}-{end}"
                )
            names.append(name or f"{chrom}:{start}-{end}")
            with blaming(f"line {line} of {bed}"):
                strings.append(opened.fetch(chrom, start, end))
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
    with open_text(bed, "BED file") as handle:
        lines = handle.read().splitlines()
    intervals = []
    for number, line in enumerate(lines, start=1):
        fields = line.split("\t") if "\t" in line else line.split()
        if not line.strip() or line.startswith("#") or fields[0] in ("track", "browser"):
            continue
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
        strand = fields[5] if len(fields) > 5 else "."
        if strand not in ("+", "-", "."):
            raise InputError(
                f"line {number} of {bed}: expected the strand, + - or . in column 6. "
                f"Received: {strand!r}"
            )
        name = fields[3] if len(fields) > 3 and fields[3] != "." else None
        intervals.append((number, (chrom, start, end, name, strand)))
    if not intervals:
        raise InputError(f"expected intervals. Received: none in {bed}")
    return intervals
