"""Bases of a genome by contig and position, from indexed FASTA, 2bit, or elements cut out of it."""

import gzip
import os
import re
import warnings
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self, TextIO

from degu_tf.alphabet import INVALID, TOKEN_OF, record_as, refuse_letter
from degu_tf.errors import InputError

_GZIP = b"\x1f\x8b"
_TWOBIT = (b"\x1a\x41\x27\x43", b"\x43\x27\x41\x1a")
_LETTER_OF = bytes(ord("?") if token == INVALID else b"ACGTN"[token] for token in TOKEN_OF)
_LOCATION = re.compile(
    r"(?:^|[\s=])(?P<contig>[^\s=]+):(?P<start>[\d,]+)-(?P<end>[\d,]+)"
    r"(?P<strand>\([+-]\)|/rc)?(?=\s|$)"
)


class Genome(ABC):
    r"""Contigs and their bases; a context manager, opened with `open_genome`.

    Positions are 0-based and half-open. Contigs may be asked for by another convention's name, see
    `contig`. Pickled, it is its path: another process opens the file anew. One genome is not to be
    shared by threads.

    Attributes
    ----------
    path
        The file.
    contigs
        Names as in the file, and the length of each; of a file of elements, the end of the last
        one on each contig.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "genome.fa"
    >>> _ = path.write_text(">chr1\nACGTRacg\n")
    >>> with open_genome(path) as genome:
    ...     genome.contig("1"), genome.fetch("chr1", 2, 10), genome.bounds("chr1", 2)
    ('chr1', 'GTNACGNN', None)
    """

    def __init__(self, path: Path, contigs: Mapping[str, int]):
        self.path = path
        self.contigs: Mapping[str, int] = MappingProxyType(dict(contigs))

    def contig(self, name: str) -> str | None:
        """Give the file's name of a contig: with or without ``chr``, ``MT`` for ``M``; or None.

        The name as it stands goes first.
        """
        if name in self.contigs:
            return name
        bare = name.removeprefix("chr")
        aliases = ("M", "MT") if bare in ("M", "MT") else (bare,)
        candidates = (prefix + alias for alias in aliases for prefix in ("chr", ""))
        return next((candidate for candidate in candidates if candidate in self.contigs), None)

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
        return _open, (self.path,)

    def _found(self, contig: str) -> str:
        found = self.contig(contig)
        if found is None:
            raise InputError(
                f"the genome has no contig {contig!r}. Received: {self.path} with "
                f"{', '.join(list(self.contigs)[:5])}{', ...' if len(self.contigs) > 5 else ''}"
            )
        return found


def open_genome(path: str | os.PathLike) -> Genome:
    r"""Open a genome; what the file holds decides, not its name.

    A FASTA (plain or bgzipped) needs its index `.fai`, which is made beside it if missing. A 2bit
    file needs py2bit (``pip install "degu_tf[twobit]"``). A FASTA whose first header has a location
    ``contig:start-end`` (1-based, end included, as ``samtools faidx`` writes) is a file of
    elements, all of them on the + strand: it needs no index, and may be gzipped.

    Raises
    ------
    InputError
        If the file is missing, broken, compressed with gzip instead of bgzip, or cannot be indexed;
        py2bit is missing; or an element's header does not fit its sequence.

    Warns
    -----
    UserWarning
        If the index is older than the FASTA.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "element.fa"
    >>> _ = path.write_text(">SORT1 hg19 chr1:101-106\nACGTAC\n")
    >>> with open_genome(path) as genome:
    ...     genome.fetch("chr1", 101, 104), genome.bounds("1", 103), genome.covers("1", 99, 104)
    ('CGT', (100, 106), False)
    """
    genome = _open(Path(path))
    if isinstance(genome, _Fasta) and genome.index_is_old():
        warnings.warn(
            f"the index {genome.index} is older than the genome; if the genome has changed since, "
            "remove the index and call this again",
            stacklevel=2,
        )
    return genome


@contextmanager
def using_genome(genome: Genome | str | os.PathLike) -> Iterator[Genome]:
    """Give a genome for a while: one that is open stays open, a path is opened and closed."""
    if isinstance(genome, str | os.PathLike):
        with open_genome(genome) as opened:
            yield opened
    else:
        yield genome


def _open(path: Path) -> Genome:
    if not path.is_file():
        raise InputError(f"expected a genome FASTA. Received: {path}, which is no file")
    with open(path, "rb") as handle:
        start = handle.read(18)
    if start.startswith(_TWOBIT):
        return _TwoBit(path)
    if _LOCATION.search(_first_header(path)):
        return _Elements(path)
    if start.startswith(_GZIP) and start[12:16] != b"BC\x02\x00":
        raise InputError(
            "expected a genome FASTA that is plain or compressed with bgzip, not gzip, which "
            f"cannot be indexed; recompress it (gunzip, then bgzip). Received: {path}"
        )
    return _Fasta(path)


class _Whole(Genome):
    def covers(self, contig: str, start: int, end: int) -> bool:
        found = self.contig(contig)
        return found is not None and start <= end and start < self.contigs[found] and end > 0

    def bounds(self, contig: str, position: int) -> None:
        self._check(self._found(contig), position, position + 1)

    def fetch(self, contig: str, start: int, end: int) -> str:
        contig = self._found(contig)
        self._check(contig, start, end)
        first, last = max(0, start), min(end, self.contigs[contig])
        written = self._read(contig, first, last) if first < last else ""
        inside = _normal(written)
        if "?" in inside:
            refuse_letter(written, inside.index("?"), f"record '{contig}:{first}-{last}'")
        return "N" * (first - start) + inside + "N" * (end - last)

    def _check(self, contig: str, start: int, end: int) -> None:
        if not self.covers(contig, start, end):
            raise InputError(
                f"expected positions that touch {contig}, which has {self.contigs[contig]} bases "
                f"in {self.path}. Received: {start}-{end}"
            )

    @abstractmethod
    def _read(self, contig: str, start: int, end: int) -> str:
        """Bases as in the file, from a span within the contig that is not empty."""

    def close(self) -> None:
        self._file.close()


class _Fasta(_Whole):
    def __init__(self, path: Path):
        import pysam

        said = pysam.set_verbosity(0)
        try:
            self._file = pysam.FastaFile(os.fspath(path))
        except (OSError, ValueError) as error:
            raise InputError(
                "expected a genome FASTA with an index (.fai) beside it, or that can be indexed: "
                "lines of one length, plain or compressed with bgzip, not gzip, in a folder that "
                f"can be written to ({error}). Received: {path}"
            ) from error
        finally:
            pysam.set_verbosity(said)
        super().__init__(path, dict(zip(self._file.references, self._file.lengths, strict=True)))

    @property
    def index(self) -> Path:
        return self.path.with_name(self.path.name + ".fai")

    def index_is_old(self) -> bool:
        index = self.index
        return index.is_file() and index.stat().st_mtime < self.path.stat().st_mtime

    def _read(self, contig: str, start: int, end: int) -> str:
        try:
            return self._file.fetch(contig, start, end)
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot read {contig}:{start}-{end} ({error}); the file is closed or cut short, "
                f"or its index belongs to another. Received: {self.path}"
            ) from error


class _TwoBit(_Whole):
    def __init__(self, path: Path):
        try:
            import py2bit
        except ImportError as error:
            raise InputError(
                'reading 2bit needs py2bit (pip install "degu_tf[twobit]"); or give the genome as '
                f"FASTA. Received: {path}"
            ) from error
        try:
            self._file = py2bit.open(os.fspath(path))
            contigs = self._file.chroms()
            for contig, length in contigs.items():
                self._file.sequence(contig, length - 1, length)  # fails where the file is cut short
        except RuntimeError as error:
            raise InputError(f"expected a whole 2bit file ({error}). Received: {path}") from error
        super().__init__(path, contigs)

    def _read(self, contig: str, start: int, end: int) -> str:
        try:
            return self._file.sequence(contig, start, end)
        except RuntimeError as error:
            raise InputError(
                f"cannot read {contig}:{start}-{end} ({error}). Received: {self.path}"
            ) from error


@dataclass(frozen=True)
class _Element:
    name: str
    contig: str
    start: int
    end: int
    bases: str

    def holds(self, start: int, end: int) -> bool:
        return self.start <= start <= end <= self.end


class _Elements(Genome):
    """Pieces of contigs, those that overlap made one, all held in memory."""

    def __init__(self, path: Path):
        elements = _merged(_read_elements(path), path)
        ends: dict[str, int] = {}
        for element in elements:
            ends[element.contig] = max(element.end, ends.get(element.contig, 0))
        super().__init__(path, ends)
        self._elements = elements

    def close(self) -> None:
        """Nothing is open: all is in memory."""

    def covers(self, contig: str, start: int, end: int) -> bool:
        found = self.contig(contig)
        return any(e.contig == found and e.holds(start, end) for e in self._elements)

    def fetch(self, contig: str, start: int, end: int) -> str:
        element = self._holding(contig, start, end)
        return element.bases[start - element.start : end - element.start]

    def bounds(self, contig: str, position: int) -> tuple[int, int]:
        element = self._holding(contig, position, position + 1)
        return element.start, element.end

    def _holding(self, contig: str, start: int, end: int) -> _Element:
        contig = self._found(contig)
        for element in self._elements:
            if element.contig == contig and element.holds(start, end):
                return element
        known = [f"{e.name} {e.start}-{e.end}" for e in self._elements if e.contig == contig]
        raise InputError(
            f"expected positions within one element of {self.path}; on {contig} it has "
            f"{', '.join(known[:5])}{', ...' if len(known) > 5 else ''} (0-based). "
            f"Received: {start}-{end}"
        )


def _read_elements(path: Path) -> list[_Element]:
    with _text(path) as handle:
        records = "\n".join(["", *handle.read().splitlines()]).split("\n>")[1:]
    return [_element(*record.partition("\n")[::2], path) for record in records]


def _element(header: str, lines: str, path: Path) -> _Element:
    name = header.split()[0] if header.strip() else ""
    location = _LOCATION.search(header)
    if location is None:
        raise InputError(
            "expected a location contig:start-end in every header or in none: a file holds whole "
            f"contigs or elements, not both. Received: {header!r} in {path}"
        )
    if location["strand"] in ("(-)", "/rc") or "strand=-" in header.split():
        raise InputError(
            "expected elements on the + strand; reverse-complement the record and correct its "
            f"header. Received: {header!r} in {path}"
        )
    first, end = (int(location[part].replace(",", "")) for part in ("start", "end"))
    written = "".join(lines.split())
    if first < 1 or end - first + 1 != len(written):
        hint = " It fits a start counted from 0: add 1." if end - first == len(written) else ""
        raise InputError(
            f"element {name!r}: its header says {location['contig']}:{first}-{end}, which is "
            f"{end - first + 1} bases (positions from 1, end included). Correct the header.{hint} "
            f"Received: {len(written)} bases in {path}"
        )
    bases = _normal(written)
    if "?" in bases:
        refuse_letter(written, bases.index("?"), record_as([name], 0))
    return _Element(name, location["contig"], first - 1, end, bases)


def _merged(elements: Sequence[_Element], path: Path) -> list[_Element]:
    """Elements by contig and start, those that overlap or touch put together."""
    merged: list[_Element] = []
    for element in sorted(elements, key=lambda each: (each.contig, each.start, each.end)):
        last = merged[-1] if merged else None
        if last is None or last.contig != element.contig or last.end < element.start:
            merged.append(element)
            continue
        end = min(last.end, element.end)
        there = last.bases[element.start - last.start : end - last.start]
        if there != element.bases[: end - element.start]:
            raise InputError(
                "expected elements that agree where they overlap. Received: "
                f"{last.name!r} and {element.name!r} at {last.contig}:{element.start}-{end} in "
                f"{path}"
            )
        bases = last.bases + element.bases[last.end - element.start :]
        name = f"{last.name} and {element.name}"
        merged[-1] = _Element(name, last.contig, last.start, last.start + len(bases), bases)
    return merged


def _normal(bases: str) -> str:
    """Upper-case A C G T N, with ? for what is no IUPAC code."""
    return bases.encode("ascii", "replace").translate(_LETTER_OF).decode()


def _first_header(path: Path) -> str:
    with _text(path) as handle:
        line = handle.readline(2**16)
    return line[1:] if line.startswith(">") else ""


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    with open(path, "rb") as handle:
        opened = gzip.open if handle.read(2) == _GZIP else open
    try:
        with opened(path, "rt", encoding="utf-8", errors="replace") as handle:
            yield handle
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"expected a whole gzip file ({error}). Received: {path}") from error
