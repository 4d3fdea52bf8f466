"""Sequential access to a genome: plain or gzipped FASTA without an index, in little memory."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from degu_tf.sequences.genomes.blocks import contig_lengths, token_blocks
from degu_tf.utils.errors import InputError

_BLOCK = 2**18


class GenomeStream:
    r"""Contigs and their bases, read in the order of the file.

    Reading backwards starts over at the beginning of the file, which takes time.

    Parameters
    ----------
    path
        A FASTA file, plain or gzipped.

    Attributes
    ----------
    contigs
        Length of each contig in bases, in the order of the file.

    Raises
    ------
    InputError
        If the file cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "genome.fa"
    >>> _ = path.write_text(">chr1\nACGTACGT\n>chr2\nGG\n")
    >>> genome = GenomeStream(path)
    >>> genome.fetch("chr1", 2, 6).tolist(), genome.fetch("chr2", 0, 2).tolist()
    ([2, 3, 0, 1], [2, 2])
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self.contigs = contig_lengths(path)
        self._order = {name: number for number, name in enumerate(self.contigs)}
        self._rewind()

    def _rewind(self) -> None:
        self._blocks: Iterator = token_blocks(self.path, _BLOCK)
        self._contig, self._start, self._held = "", 0, np.empty(0, np.uint8)

    def fetch(self, contig: str, start: int, end: int) -> np.ndarray:
        """Tokens `(end - start,)` uint8 of the bases from `start` up to `end`, counted from 0.

        Raises
        ------
        InputError
            If the genome has no such bases, or the file ends before them.
        """
        if not 0 <= start <= end <= self.contigs.get(contig, -1):
            raise InputError(
                f"expected bases of a contig of {self.path}. Received: {contig}:{start}-{end}"
            )
        if contig == self._contig:
            behind = start < self._start
        else:
            behind = self._order[contig] < self._order.get(self._contig, -1)
        if behind:
            self._rewind()
        while contig != self._contig or self._start + len(self._held) < end:
            self._advance(contig, start)
        return self._held[start - self._start : end - self._start]

    def _advance(self, contig: str, start: int) -> None:
        """Take the next block, and let go of what lies before `start`."""
        try:
            name, first, tokens = next(self._blocks)
        except StopIteration:
            raise InputError(
                f"the file ends before {contig}:{start}; if its index (.fai) belongs to another "
                f"file, remove that. Received: {self.path}"
            ) from None
        if name != self._contig:
            self._contig, self._start, self._held = name, first, tokens
            return
        held = self._held
        if name == contig:
            passed = min(max(0, start - self._start), len(held))
            held, self._start = held[passed:], self._start + passed
        else:
            held, self._start = held[:0], first
        self._held = np.concatenate([held, tokens])
