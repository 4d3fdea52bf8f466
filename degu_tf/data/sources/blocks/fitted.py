"""Sequences of files and intervals of a genome, fitted to a model's length, in blocks."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from degu_tf.data.sources.blocks.records import ROWS, RecordBlocks
from degu_tf.data.sources.fitted import cut_intervals, fit_records
from degu_tf.data.sources.intervals import read_intervals
from degu_tf.data.sources.sequences import fetch_intervals
from degu_tf.sequences.fitting import FittedSequences, Fitting, Span
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.utils.errors import InputError


@dataclass(eq=False)
class FittedBlocks:
    """Windows in blocks, made anew whenever they are iterated over, and what was seen of them.

    All are made once when this is: what is wrong with any sequence is said then, before anything is
    predicted. A single block is kept.

    Parameters
    ----------
    make
        Makes the blocks.
    keep_spans
        Keep where every window was cut.

    Attributes
    ----------
    n_sequences, n_windows
        How many there are in all.
    length
        Bases of a window.
    spans
        Where the windows were cut, if that is kept and they were.

    Raises
    ------
    InputError
        As `make` does, or if windows differ in length.
    """

    make: Callable[[], Iterable[FittedSequences]]
    keep_spans: bool = False
    n_sequences: int = field(default=0, init=False)
    n_windows: int = field(default=0, init=False)
    length: int = field(default=0, init=False)
    spans: list[Span] = field(default_factory=list, init=False)
    _only: FittedSequences | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        for n_before, block in enumerate(self.make()):
            found = block.sequences.shape[1]
            if n_before and found != self.length:
                raise InputError(
                    f"expected sequences of one length, {self.length} bases as the first has; cut "
                    f"or pad them. Received: {found} bases in record {block.names[0]!r}"
                )
            self.length = found
            self.n_sequences += len(block.names)
            self.n_windows += len(block.rows)
            if self.keep_spans:
                self.spans += block.spans
            self._only = block if n_before == 0 else None

    def __iter__(self) -> Iterator[FittedSequences]:
        return iter(self.make() if self._only is None else [self._only])

    @property
    def tiled(self) -> bool:
        """Whether any sequence has several windows."""
        return self.n_windows > self.n_sequences


def fitted_records(records: RecordBlocks, fitting: Fitting | None) -> Iterator[FittedSequences]:
    """Blocks of what `degu_tf.data.sources.fitted.fit_file` gives of a file.

    Raises
    ------
    InputError
        As `fit_file` does.
    """
    for block in records:
        yield fit_records(records.path, block.names, block.sequences, fitting, n_all=block.n_all)


def fitted_intervals(
    bed: str | os.PathLike,
    genome: str | os.PathLike,
    fitting: Fitting | None,
    *,
    summit: bool = False,
) -> Iterator[FittedSequences]:
    """Blocks of what `degu_tf.data.sources.fitted.fit_intervals` gives of intervals.

    Without a fitting they are taken as they are, as by `read_bed`.

    Raises
    ------
    InputError
        As `fit_intervals` does, or `read_bed`.
    """
    intervals = read_intervals(bed)
    with open_genome(genome) as opened:
        for start in range(0, len(intervals), ROWS):
            some = intervals[start : start + ROWS]
            if fitting is not None:
                yield cut_intervals(some, opened, fitting, summit=summit)
                continue
            named = fetch_intervals(some, opened)
            yield FittedSequences(named.names, named.sequences, np.arange(len(some)))
