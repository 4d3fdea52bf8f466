"""Genomes of which only elements are known: FASTA records with coordinates in their headers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from degu_tf.sequences.alphabet import record_as, refuse_letter
from degu_tf.sequences.encoding import decode, encode
from degu_tf.sequences.genomes.base import Genome, _normal
from degu_tf.utils.errors import InputError
from degu_tf.utils.file_types import open_text

_LOCATION = re.compile(
    r"(?:^|[\s=]|::)(?P<contig>(?:(?!::)[^\s=])+):(?P<start>[\d,]+)-(?P<end>[\d,]+)"
    r"(?P<strand>\([+-]\)|/rc)?(?=\s|$)"
)
_TAGS = re.compile(r"\s(?:AC|AS|LN|M5|gi|hm|rg|rl|tp):\S*")


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

    of_elements = True

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


def find_location(header: str) -> re.Match | None:
    """Find the location of an element in its header.

    It stands where a word, a value after ``=``, or what follows the ``::`` of `bedtools getfasta
    -name` begins. Tags of the headers of analysis sets, such as ``hm:10001-2781479`` for a masked
    part of a whole contig, are none.
    """
    return _LOCATION.search(_TAGS.sub(" ", header))


def _read_elements(path: Path) -> list[_Element]:
    with open_text(path, "FASTA file", errors="replace") as handle:
        records = "\n".join(["", *handle.read().splitlines()]).split("\n>")[1:]
    spans = [_span(*record.partition("\n")[::2], path) for record in records]
    from_zero = all(span.fits_bedtools for span in spans)
    return [_element(span, from_zero, path) for span in spans]


class _Span(NamedTuple):
    """A record with the location in its header, positions as written there."""

    name: str
    contig: str
    first: int
    end: int
    bases: str
    by_bedtools: bool

    @property
    def fits_bedtools(self) -> bool:
        """Whether the header is `bedtools getfasta -name`'s, which counts from 0, and fits."""
        return self.by_bedtools and self.end - self.first == len(self.bases)


def _span(header: str, lines: str, path: Path) -> _Span:
    name = header.split()[0] if header.strip() else ""
    location = find_location(header)
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
    bases = "".join(lines.split())
    return _Span(name, location["contig"], first, end, bases, location[0].startswith("::"))


def _element(span: _Span, from_zero: bool, path: Path) -> _Element:
    start, written = (span.first if from_zero else span.first - 1), span.bases
    n_bases = span.end - start
    if start < 0 or n_bases != len(written):
        hint = ""
        if span.end - span.first == len(written):
            hint = " It fits a start counted from 0: add 1."
        raise InputError(
            f"element {span.name!r}: its header says {span.contig}:{span.first}-{span.end}, which "
            f"is {n_bases} bases (positions from 1, end included). Correct the header.{hint} "
            f"Received: {len(written)} bases in {path}"
        )
    bases = _normal(written)
    if "?" in bases:
        refuse_letter(written, bases.index("?"), record_as([span.name], 0))
    return _Element(span.name, span.contig, start, span.end, bases)


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


def _first_header(path: Path) -> str:
    with open_text(path, "FASTA file", errors="replace") as handle:
        line = handle.readline(2**16)
    return line[1:] if line.startswith(">") else ""


class SequenceGenome(Genome):
    """Sequences in memory as a genome of elements: windows are moved to stay inside them.

    Parameters
    ----------
    sequences
        Letters of either case by name; each is a contig of its own.

    Raises
    ------
    InputError
        If there is none, or one cannot be encoded.

    Examples
    --------
    >>> genome = SequenceGenome({"oligo": "acgtRacg"})
    >>> genome.fetch("oligo", 2, 6), genome.bounds("oligo", 3)
    ('GTNA', (0, 8))
    """

    def __init__(self, sequences: dict[str, str]) -> None:
        if not sequences:
            raise InputError("expected sequences. Received: none")
        self._sequences = {
            name: decode(encode([sequence], names=[name]))[0]
            for name, sequence in sequences.items()
        }
        lengths = {name: len(sequence) for name, sequence in self._sequences.items()}
        super().__init__(Path("(sequences)"), lengths)

    def covers(self, contig: str, start: int, end: int) -> bool:
        """Tell whether a span lies within a sequence."""
        found = self.contig(contig)
        return found is not None and 0 <= start <= end <= self.contigs[found]

    def fetch(self, contig: str, start: int, end: int) -> str:
        """Bases of a span.

        Raises
        ------
        InputError
            If it does not lie within a sequence.
        """
        found = self._covered(contig, start, end)
        return self._sequences[found][start:end]

    def bounds(self, contig: str, position: int) -> tuple[int, int]:
        """Give the ends of the sequence.

        Raises
        ------
        InputError
            If the position is not in it.
        """
        return 0, self.contigs[self._covered(contig, position, position + 1)]

    def close(self) -> None:
        """Do nothing: there is no file."""

    def _covered(self, contig: str, start: int, end: int) -> str:
        found = self._found(contig)
        if not self.covers(found, start, end):
            raise InputError(
                f"expected positions within {contig}, which has {self.contigs[found]} bases. "
                f"Received: {start}-{end}"
            )
        return found

    def __reduce__(self):
        return SequenceGenome, (self._sequences,)


class Genomes(Genome):
    """Several genomes or files of elements as one; the first that holds a span gives it.

    Parameters
    ----------
    genomes
        Open ones, with one convention of names.
    """

    def __init__(self, genomes: Sequence[Genome]) -> None:
        self._genomes = list(genomes)
        self.of_elements = all(genome.of_elements for genome in self._genomes)
        contigs: dict[str, int] = {}
        for genome in self._genomes:
            for name, end in genome.contigs.items():
                contigs[name] = max(end, contigs.get(name, 0))
        super().__init__(self._genomes[0].path, contigs)

    def covers(self, contig: str, start: int, end: int) -> bool:
        """Tell whether one of them holds a span."""
        return any(genome.covers(contig, start, end) for genome in self._genomes)

    def fetch(self, contig: str, start: int, end: int) -> str:
        """Bases of a span that one of them holds.

        Raises
        ------
        InputError
            If none does.
        """
        return self._holding(contig, start, end).fetch(contig, start, end)

    def bounds(self, contig: str, position: int) -> tuple[int, int] | None:
        """Give what windows around a position must stay inside.

        Raises
        ------
        InputError
            If no genome holds it.
        """
        return self._holding(contig, position, position + 1).bounds(contig, position)

    def close(self) -> None:
        """Close all of them."""
        for genome in self._genomes:
            genome.close()

    def __reduce__(self):
        return Genomes, (self._genomes,)

    def _holding(self, contig: str, start: int, end: int) -> Genome:
        for genome in self._genomes:
            if genome.covers(contig, start, end):
                return genome
        names = ", ".join(str(genome.path) for genome in self._genomes)
        raise InputError(f"expected positions within {names}. Received: {contig}:{start}-{end}")
