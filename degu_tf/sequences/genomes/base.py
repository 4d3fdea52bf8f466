"""Base class of genomes: contigs, their lengths, and sequences of intervals."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self

from degu_tf.sequences.alphabet import (
    INVALID,
    TOKEN_OF,
)
from degu_tf.sequences.genomes.contigs import find_contig
from degu_tf.utils.errors import InputError

_LETTER_OF = bytes(ord("?") if token == INVALID else b"ACGTN"[token] for token in TOKEN_OF)


class Genome(ABC):
    r"""Contigs and their bases; a context manager, opened with `open_genome`.

    Positions are 0-based and half-open. Contigs may be given by the name of another convention, see
    `contig`. Pickled, it is its path: another process opens the file again. A genome must not be
    shared by threads.

    Attributes
    ----------
    path
        The file.
    contigs
        Names as in the file, and the length of each; of a file of elements, the end of the last
        one on each contig.
    of_elements
        Whether only elements of the contigs are known.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from degu_tf.sequences.genomes.open import open_genome
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "genome.fa"
    >>> _ = path.write_text(">chr1\nACGTRacg\n")
    >>> with open_genome(path) as genome:
    ...     genome.contig("1"), genome.fetch("chr1", 2, 10), genome.bounds("chr1", 2)
    ('chr1', 'GTNACGNN', None)
    """

    of_elements = False

    def __init__(self, path: Path, contigs: Mapping[str, int]):
        self.path = path
        self.contigs: Mapping[str, int] = MappingProxyType(dict(contigs))

    def contig(self, name: str) -> str | None:
        """Give the file's name of a contig, or None; see `find_contig`."""
        return find_contig(name, self.contigs)

    @abstractmethod
    def covers(self, contig: str, start: int, end: int) -> bool:
        """Tell whether `fetch` would work.

        In a whole genome the span must touch the contig, in a file of elements lie within one.
        """

    @abstractmethod
    def fetch(self, contig: str, start: int, end: int) -> str:
        """Bases from `start` (0-based) to before `end`, in upper case: A C G T, or N for any other.

        N also fills what lies beyond a whole genome's contig.

        Raises
        ------
        InputError
            If `covers` says no, or the file holds letters that are not IUPAC codes of DNA.
        """

    @abstractmethod
    def bounds(self, contig: str, position: int) -> tuple[int, int] | None:
        """Give the span `[start, end)` that windows around a 0-based position must stay inside.

        Of elements: the one that holds the position, with those that overlap it. None in whole
        genomes, where windows may run over the contig's ends (`fetch` fills them with N).

        Raises
        ------
        InputError
            If the position is not covered.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self):
        return type(self), (self.path,)

    def _found(self, contig: str) -> str:
        found = self.contig(contig)
        if found is None:
            raise InputError(
                f"the genome has no contig {contig!r}. Received: {self.path} with "
                f"{', '.join(list(self.contigs)[:5])}{', ...' if len(self.contigs) > 5 else ''}"
            )
        return found


def _normal(bases: str) -> str:
    """Upper-case A C G T N, with ? for what is no IUPAC code."""
    return bases.encode("ascii", "replace").translate(_LETTER_OF).decode()
