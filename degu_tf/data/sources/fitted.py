"""Sequences of files and intervals of a genome, fitted to a model's length."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from degu_tf.data.sources.intervals import Interval, read_intervals
from degu_tf.data.sources.sequences import read_records
from degu_tf.sequences.encoding import decode, encode, reverse_complement
from degu_tf.sequences.fitting import (
    FittedSequences,
    Fitting,
    Span,
    Stretch,
    cut,
    fit_sequences,
    joined,
)
from degu_tf.sequences.genomes.base import Genome
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.utils.errors import InputError, blaming


def fit_file(
    path: str | os.PathLike,
    fitting: Fitting | None,
    *,
    sequence: str = "seq",
    name: str | None = None,
    split: str = "test",
    targets: Sequence[str] | None = None,
    crop: bool = False,
) -> FittedSequences:
    r"""Read FASTA, a table or HDF5, and fit its sequences to a length.

    Parameters
    ----------
    path, sequence, name, split, targets
        As for `degu_tf.data.sources.sequences.read_sequences`.
    fitting
        How; None takes sequences of any common length as they are.
    crop
        Take the middle of profiles in HDF5 that are longer, where no option says what to do.

    Raises
    ------
    InputError
        If the file cannot be read, or a sequence has another length and no option says what to do.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "two.fa"
    >>> _ = path.write_text(">a\nACGTA\n>b\nTTT\n")
    >>> fit_file(path, Fitting(4, pad="N", stride=1)).labels
    ['a:0-4', 'a:1-5', 'b:0-4']
    """
    asked = fitting is not None and fitting.asked
    names, found = read_records(
        path,
        sequence=sequence,
        name=name,
        split=split,
        targets=targets,
        length=fitting.length if fitting is not None and crop and not asked else None,
    )
    return fit_records(path, names, found, fitting)


def fit_records(
    path: str | os.PathLike,
    names: list[str],
    found: list[str] | np.ndarray,
    fitting: Fitting | None,
    *,
    n_all: int | None = None,
) -> FittedSequences:
    """Fit what `read_records` read, or a block of `n_all` sequences, as `fit_file` does."""
    if fitting is None or not fitting.asked:
        return _as_they_are(path, names, found, fitting, n_all or len(names))
    if isinstance(found, np.ndarray):
        if found.ndim != 2:
            raise InputError(
                f"expected sequences of letters or one-hot ones to resize, pad or cut. Received: "
                f"{path}, whose sequences are not one-hot"
            )
        found = decode(found)
    return fit_sequences(names, found, fitting)


def _as_they_are(
    path: str | os.PathLike,
    names: list[str],
    found: list[str] | np.ndarray,
    fitting: Fitting | None,
    n_all: int,
) -> FittedSequences:
    if fitting is not None and isinstance(found, np.ndarray):
        bases = found.shape[1]
        fitting.tiles(bases, f"{bases} bases in each of {n_all} sequences of {path}")
    elif fitting is not None:
        for name, each in zip(names, found, strict=True):
            if isinstance(each, str):  # what is no text is refused where it is encoded
                fitting.tiles(len(each), f"{len(each)} bases in record {name!r}")
    tokens = found if isinstance(found, np.ndarray) else encode(found, names=names)
    return FittedSequences(names, tokens, np.arange(len(names)))


def fit_intervals(
    bed: str | os.PathLike,
    genome: str | os.PathLike,
    fitting: Fitting,
    *,
    summit: bool = False,
) -> FittedSequences:
    """Fit intervals of a genome, BED or narrowPeak, to a length.

    Intervals are resized, padded and cut along the + strand; those of the - strand are then
    reverse-complemented. What runs over an end of its contig is refused, or holds N there with
    ``pad="N"``, as windows of `degu variants` do; it is never moved.

    Parameters
    ----------
    bed, genome
        As for `degu_tf.data.sources.sequences.read_bed`.
    fitting
        How.
    summit
        Centre each interval on the summit of its peak (column 10 of narrowPeak) and resize it.

    Raises
    ------
    InputError
        If a line is no interval, lies outside its contig, has no summit, has another length and no
        option says what to do, or what is asked for runs over an end of its contig.
    """
    intervals = read_intervals(bed)
    with open_genome(genome) as opened:
        return cut_intervals(intervals, opened, fitting, summit=summit)


def cut_intervals(
    intervals: Sequence[Interval], genome: Genome, fitting: Fitting, *, summit: bool = False
) -> FittedSequences:
    """`fit_intervals` of intervals that were read, in a genome that is open."""
    if any(fitting.flanks):
        raise InputError(
            "intervals are padded with the genome's own bases; leave out flanks=. "
            f"Received: flanks={fitting.flanks}"
        )
    pieces = [_cut(each, genome, fitting, summit) for each in intervals]
    fitted = joined([each.name for each in intervals], pieces)
    if not (fitting.asked or summit):
        fitted.spans.clear()
    return fitted


def _cut(
    each: Interval, genome: Genome, fitting: Fitting, summit: bool
) -> tuple[list[str], list[Span]]:
    """Windows of one interval, on the + strand."""
    bases = each.end - each.start
    with blaming(each.where):
        if bases > 0 and not summit and not fitting.resize:
            fitting.tiles(bases, f"{bases} bases, {each.place}")
    each.check(genome)
    start, end = fitting.resized(each.start, each.end, each.summit if summit else None)
    with blaming(each.where):
        found = fitting.tiles(end - start, f"{end - start} bases of {each.place}")
        low, high = start + found[0].start, start + found[-1].start + fitting.length
        contig = genome.contig(each.contig)
        n_bases = genome.contigs[contig or each.contig]
        if fitting.pad == "N":
            low, high = max(start, 0), min(end, n_bases)
        elif low < 0 or high > n_bases:
            raise InputError(
                f"a window of {each.place} runs over an end of {each.contig}, which has {n_bases} "
                f"bases; fill it up with pad='N', or leave the interval out. "
                f"Received: {low}-{high}"
            )
        known = Stretch(low, genome.fetch(each.contig, low, high))
        return cut(known, start, found, fitting, each.contig, each.strand, each.place)


class Element(NamedTuple):
    """A sequence that is mutated base by base, and what lies around it."""

    name: str
    sequence: str
    flanks: tuple[str, str] = ("", "")
    """Bases before and behind it."""
    interval: tuple[str, int, int, str] | None = None
    """Contig, start, end and strand, where it is an interval of a genome."""


def interval_elements(
    bed: str | os.PathLike, genome: str | os.PathLike, fitting: Fitting, *, summit: bool = False
) -> list[Element]:
    """Intervals of a genome whole, resized where that is asked, each as one sequence.

    Those of the - strand are reverse-complemented, flanks included.

    Parameters
    ----------
    bed, genome, summit
        As for `fit_intervals`.
    fitting
        `resize`, and `pad`: with ``"flanks"`` an interval shorter than `length` has the genome's
        bases around it as flanks; with ``"N"`` unknown bases stand beyond the ends of its contig.

    Raises
    ------
    InputError
        If a line is no interval, lies outside its contig or has no summit, or what is asked for
        runs over an end of its contig.
    """
    with open_genome(genome) as opened:
        return [_element(each, opened, fitting, summit) for each in read_intervals(bed)]


def _element(each: Interval, genome: Genome, fitting: Fitting, summit: bool) -> Element:
    each.check(genome)
    start, end = fitting.resized(each.start, each.end, each.summit if summit else None)
    contig = genome.contig(each.contig) or each.contig
    n_bases = genome.contigs[contig]
    low, high = max(start, 0), min(end, n_bases)
    if (low, high) != (start, end) and fitting.pad != "N":
        raise InputError(
            f"{each.where}: {each.place}, resized, runs over an end of {each.contig}, which has "
            f"{n_bases} bases; fill it up with pad='N', or leave the interval out. "
            f"Received: {start}-{end}"
        )
    sequence = "N" * (low - start) + genome.fetch(contig, low, high) + "N" * (end - high)
    flanks = ["", ""]
    around = fitting.length - len(sequence)
    if fitting.pad == "flanks" and around > 0:
        flanks = [
            genome.fetch(contig, max(0, low - around), low),
            genome.fetch(contig, high, min(n_bases, high + around)),
        ]
    if each.strand == "-":
        sequence, *flanks = (_turned(text) for text in (sequence, flanks[1], flanks[0]))
    interval = (each.contig, start, end, each.strand)
    return Element(each.name, sequence, (flanks[0], flanks[1]), interval)


def _turned(bases: str) -> str:
    return reverse_complement(bases) if bases else bases
