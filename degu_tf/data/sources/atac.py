"""Base-resolution profiles: a genome and its tracks in bins, streamed into an HDF5 file of splits.

The genome is read once from end to end and the tracks beside it, block by block, so memory depends
neither on the genome's length nor on that of a chromosome.
`degu_tf.data.hdf5.splits_file.read_splits` reads the file as any other.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from degu_tf.data.hdf5.profiles_file import (
    ProfileGroup,
    fixed_text,
    new_profiles_file,
    undated_group,
)
from degu_tf.data.sources.chromosomes import Chromosomes, agreed_splits
from degu_tf.data.splits import NAMES, Split
from degu_tf.data.tracks import TrackColumns, Tracks
from degu_tf.heads import HeadLayout
from degu_tf.sequences.alphabet import UNKNOWN
from degu_tf.sequences.genomes.blocks import contig_lengths, token_blocks
from degu_tf.sequences.intervals import bin_name, bin_place
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import atomic_write
from degu_tf.utils.progress import bar

BIN_LENGTH = 3072
"""Bases in a bin (paper, Methods, ATAC-seq)."""

MAX_UNKNOWN = 0.05
"""Share of unknown bases up to which a bin is kept; the paper names none."""

_BLOCK_BINS = 256


@dataclass
class ProfileSummary:
    """Summary of the file that `write_profiles` wrote.

    Attributes
    ----------
    heads
        Layout of the columns.
    length
        Bases in a bin.
    chromosomes
        The split of each chromosome.
    bins
        Bins of each split.
    unknown
        Bins of each split that were dropped, too many of their bases being unknown.
    tails
        Bases at the ends of chromosomes that make no whole bin, by split.
    missing
        For each track the share of the kept bases that have no value and count as zero.
    """

    heads: HeadLayout
    length: int
    chromosomes: dict[str, str]
    bins: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    tails: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    missing: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        bins = ", ".join(f"{n} {split}" for split, n in self.bins.items())
        missing = max(self.missing.values())
        return (
            f"{bins} bins of {self.length} bases; columns {', '.join(self.heads.columns)}; dropped "
            f"{sum(self.unknown.values())} bins of unknown bases and {sum(self.tails.values())} "
            f"bases at chromosomes' ends; up to {missing:.1%} of a track's bases had no value (0)"
        )

    def to_dict(self) -> dict[str, Any]:
        """The part that the file holds, in its root attribute `profiles`."""
        kept = ("length", "chromosomes", "bins", "unknown", "tails")
        return {name: getattr(self, name) for name in kept}


def write_profiles(
    path: str | os.PathLike,
    genome: str | os.PathLike,
    columns: TrackColumns,
    chromosomes: Chromosomes | None = None,
    *,
    length: int = BIN_LENGTH,
    max_unknown: float = MAX_UNKNOWN,
    progress: bool | None = None,
) -> ProfileSummary:
    """Cut genome and tracks into bins that do not overlap and stream them into a file of splits.

    Bins are named `chr8:0-3072`, counted from 0, the end not included. Bases without a value in a
    track count as zero there.

    Parameters
    ----------
    path
        The HDF5 file to write, whole or not at all.
    genome
        FASTA, plain or gzipped; an index beside it saves counting its contigs.
    columns
        The tracks and what is made of them: `replicate_columns`, `label_columns`.
    chromosomes
        The splits; by default test chr8, validation chr9, training the others without Y (paper).
    length
        Bases in a bin (paper: 3,072).
    max_unknown
        Bins with a larger share of unknown bases are dropped and counted.
    progress
        Show a bar: True, False, or None for where there is a terminal.

    Raises
    ------
    InputError
        If names or lengths of chromosomes disagree between genome and tracks, a split gets no bin,
        or a file is broken.
    """
    if length < 1 or not 0 <= max_unknown < 1:
        raise InputError(
            "expected bins of at least one base, and a share of unknown bases from 0 to below 1. "
            f"Received: length={length}, max_unknown={max_unknown}"
        )
    contigs = contig_lengths(genome)
    with Tracks(columns) as tracks:
        splits = agreed_splits(chromosomes or Chromosomes(), contigs, tracks.files, genome)
        summary = ProfileSummary(columns.heads, length, splits)
        bins = _Bins(tracks, summary, max_unknown)
        n_bases = sum(contigs[name] for name in splits)
        most = dict.fromkeys(NAMES, 0)
        for name, split in splits.items():
            most[split] += contigs[name] // length
        name_bytes = max(len(bins.name(name, contigs[name]).encode()) for name in splits)
        with (
            atomic_write(path) as temporary,
            new_profiles_file(temporary, columns.heads, n_bases) as (file, check),
            bar(None, "preparing", progress, total=n_bases) as shown,
        ):
            groups = {
                split: ProfileGroup(
                    undated_group(file, split), columns, length, most[split], name_bytes
                )
                for split in NAMES
            }
            for contig, start, tokens in _genome_blocks(genome, contigs, summary):
                groups[splits[contig]].append(*bins.cut(contig, start, tokens))
                check()
                shown.update(len(tokens))
            for group in groups.values():
                group.finish()
            _complete(summary, groups, columns)
            file.attrs["profiles"] = fixed_text(json.dumps(summary.to_dict()))
    return summary


def profile_blocks(split: Split, column: int | np.ndarray) -> Iterator[tuple[str, int, np.ndarray]]:
    """One column of profiles as blocks for `write_bigwig`, in the order of the bins.

    Parameters
    ----------
    split
        Bins with their names, as `write_profiles` names them.
    column
        Which column of the targets, or values `(N, length)` of the bins in its place, such as
        labels of an ensemble.

    Raises
    ------
    InputError
        If the bins have no such names.

    Examples
    --------
    >>> split = Split(np.zeros((1, 4), np.uint8), np.ones((1, 4, 1)), np.array(["chr1:8-12"]))
    >>> [(contig, start, values.tolist()) for contig, start, values in profile_blocks(split, 0)]
    [('chr1', 8, [1.0, 1.0, 1.0, 1.0])]
    """
    values = split.targets[..., column] if isinstance(column, int) else column
    if values.shape != split.sequences.shape[:2]:
        raise InputError(
            f"expected values (N, length) = {split.sequences.shape[:2]}. Received: shape "
            f"{values.shape}"
        )
    for row in range(len(split)):
        contig, start, _ = bin_place(split.name_of(row))
        yield contig, start, values[row]


class _Bins:
    """Blocks of a genome cut into bins with the values of the tracks."""

    def __init__(self, tracks: Tracks, summary: ProfileSummary, max_unknown: float) -> None:
        self.tracks, self.summary = tracks, summary
        self.length = summary.length
        self.most_unknown = max_unknown * summary.length

    def name(self, contig: str, start: int) -> str:
        return bin_name(contig, start, start + self.length)

    def cut(
        self, contig: str, start: int, tokens: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray], list[str]]:
        """Tokens and each track's values `(n, length)` and the names of the bins that stay."""
        split = self.summary.chromosomes[contig]
        n_bins, tail = divmod(len(tokens), self.length)
        self.summary.tails[split] += tail
        tokens = tokens[: n_bins * self.length].reshape(n_bins, self.length)
        kept = np.flatnonzero((tokens == UNKNOWN).sum(axis=1) <= self.most_unknown)
        self.summary.unknown[split] += n_bins - len(kept)
        first, end = (kept[0], kept[-1] + 1) if len(kept) else (0, 0)
        span = (start + int(first) * self.length, start + int(end) * self.length)
        values = [track.reshape(-1, self.length) for track in self.tracks.read(contig, *span)]
        if len(kept) < n_bins:
            tokens, values = tokens[kept], [track[kept - first] for track in values]
        names = [self.name(contig, start + int(row) * self.length) for row in kept]
        return tokens, values, names


def _genome_blocks(
    genome: str | os.PathLike, contigs: Mapping[str, int], summary: ProfileSummary
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Blocks of the chromosomes that splits take; each must come once, as long as expected."""
    seen: dict[str, int] = dict.fromkeys(summary.chromosomes, 0)
    for contig, start, tokens in token_blocks(genome, summary.length * _BLOCK_BINS, seen):
        if start != seen[contig] or start + len(tokens) > contigs[contig]:
            seen[contig] = -1
            break
        seen[contig] += len(tokens)
        yield contig, start, tokens
    for contig, length in seen.items():
        if length != contigs[contig]:
            raise InputError(
                f"expected {contig} once and of {contigs[contig]} bases in the genome, as its "
                "index has it; index the genome again or remove the index. "
                f"Received: another length in {genome}"
            )


def _complete(
    summary: ProfileSummary, groups: Mapping[str, ProfileGroup], columns: TrackColumns
) -> None:
    """Complete the summary; refuse splits without bins."""
    for split, group in groups.items():
        summary.bins[split] = group.n_bins
        if not group.n_bins:
            names = [name for name, of in summary.chromosomes.items() if of == split]
            raise InputError(
                f"expected at least one bin of {summary.length} bases for {split}; "
                f"{summary.unknown[split]} were dropped for their unknown bases. "
                f"Received: {', '.join(names)}"
            )
    n_bases = sum(summary.bins.values()) * summary.length
    _refuse_negative(groups, columns, n_bases)
    missing = np.sum([group.missing for group in groups.values()], axis=0)
    for path, count in zip(columns.paths, missing, strict=True):
        summary.missing[str(path)] = float(count / n_bases)


def _refuse_negative(
    groups: Mapping[str, ProfileGroup], columns: TrackColumns, n_bases: int
) -> None:
    counts = np.sum([group.negative for group in groups.values()], axis=0)
    for group in groups.values():
        if group.first_negative is None:
            continue
        track, name, offset, value = group.first_negative
        contig, start, _ = bin_place(name)
        kind = "coverage" if columns.counts is not None else "standard deviations"
        raise InputError(
            f"expected {kind} of 0 or more; tracks of the minus strand are often stored with "
            "negative values, which must be negated first. "
            f"Received: {counts[track] / n_bases:.1%} of the bases below zero in "
            f"{columns.paths[track]}, first {value:g} at {contig}:{start + offset} (from 0)"
        )
