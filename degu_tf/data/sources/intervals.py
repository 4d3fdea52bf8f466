"""Intervals of BED and narrowPeak files."""

import os
from dataclasses import dataclass
from pathlib import Path

from degu_tf.sequences.genomes.base import Genome
from degu_tf.sequences.intervals import bin_name
from degu_tf.utils.errors import InputError
from degu_tf.utils.file_types import open_text

_STRAND, _PEAK = 5, 9


@dataclass(frozen=True, slots=True)
class Interval:
    """One line of a BED file.

    Attributes
    ----------
    contig, start, end
        Where it lies, 0-based and half-open.
    name
        Column 4, else ``contig:start-end``.
    strand
        Column 6: ``"+"``, ``"-"``, or ``"."`` where there is none.
    peak
        Column 10 of narrowPeak, bases from `start` to the summit, as text; None without.
    where
        Line and file, for messages.
    """

    contig: str
    start: int
    end: int
    name: str
    strand: str
    peak: str | None
    where: str

    @property
    def place(self) -> str:
        """Its span in one word."""
        return bin_name(self.contig, self.start, self.end)

    @property
    def summit(self) -> int:
        """Position of the summit of a peak.

        Raises
        ------
        InputError
            If the line has none, or it lies outside the interval.
        """
        peak = (self.peak or "").strip()
        if not peak.isdecimal() or int(peak) >= self.end - self.start:
            received = "no column 10" if self.peak is None else f"{self.peak!r}"
            raise InputError(
                f"{self.where}: expected the summit in column 10, as in narrowPeak: bases from the "
                f"start of the interval, less than its {self.end - self.start}. Received: "
                f"{received}"
            )
        return self.start + int(peak)

    def check(self, genome: Genome) -> None:
        """Refuse an interval that is not within a contig of a genome.

        Raises
        ------
        InputError
            If its contig is not there, or it does not lie within it.
        """
        contig = genome.contig(self.contig)
        if contig is None:
            names = list(genome.contigs)
            raise InputError(
                f"{self.where}: the genome has no contig {self.contig!r}. Received: {genome.path} "
                f"with {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
            )
        if not 0 <= self.start < self.end <= genome.contigs[contig]:
            raise InputError(
                f"{self.where}: the interval must lie within {self.contig}, which has "
                f"{genome.contigs[contig]} bases. Received: {self.start}-{self.end}"
            )


def read_intervals(bed: str | os.PathLike) -> list[Interval]:
    r"""Read the intervals of a BED or narrowPeak file, plain or gzipped.

    Raises
    ------
    InputError
        If the file is missing or has no intervals, or a line is none.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "p.narrowPeak"
    >>> _ = path.write_text("chr1\t100\t400\tp1\t0\t.\t5\t-1\t-1\t120\n")
    >>> read_intervals(path)[0].summit
    220
    """
    bed = Path(bed)
    if not bed.is_file():
        raise InputError(f"expected a BED file. Received: {bed}, which is no file")
    with open_text(bed, "BED file") as handle:
        lines = handle.read().splitlines()
    intervals = []
    for number, line in enumerate(lines, start=1):
        fields = line.split("\t") if "\t" in line else line.split()
        if not line.strip() or line.startswith("#") or fields[0] in ("track", "browser"):
            continue
        intervals.append(_interval(fields, line, f"line {number} of {bed}"))
    if not intervals:
        raise InputError(f"expected intervals. Received: none in {bed}")
    return intervals


def _interval(fields: list[str], line: str, where: str) -> Interval:
    try:
        contig, start, end = fields[0], int(fields[1]), int(fields[2])
    except (IndexError, ValueError):
        raise InputError(
            f"{where}: expected chromosome, start and end. Received: {line!r}"
        ) from None
    strand = fields[_STRAND] if len(fields) > _STRAND else "."
    if strand not in ("+", "-", "."):
        raise InputError(
            f"{where}: expected the strand, + - or . in column 6. Received: {strand!r}"
        )
    named = len(fields) > 3 and fields[3] not in (".", "")
    name = fields[3] if named else bin_name(contig, start, end)
    peak = fields[_PEAK] if len(fields) > _PEAK else None
    return Interval(contig, start, end, name, strand, peak, where)
