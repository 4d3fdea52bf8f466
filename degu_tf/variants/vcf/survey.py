"""First pass over a VCF: variants to score, alleles to skip, and where each part begins.

Scoring takes hours where this takes minutes, so a genome of another build is refused here, and
progress bars know their total.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Self, TextIO

from degu_tf.sequences.genomes.base import Genome
from degu_tf.sequences.genomes.windows import MISMATCH, Variant
from degu_tf.utils.errors import InputError
from degu_tf.utils.progress import bar
from degu_tf.variants.tables import KEY
from degu_tf.variants.vcf.reader import (
    Place,
    Record,
    VcfReader,
    alternatives,
)

SKIPPED_COLUMNS = (*KEY, "reason")

_EXAMPLES = 3

WhyNot = Callable[[Variant], str | None]
"""Function that gives the reason why a variant cannot be scored, or None."""


@dataclass(frozen=True, slots=True)
class Part:
    """Variants that are scored into one file.

    Attributes
    ----------
    record, offset
        The record with its first variant, see `degu_tf.variants.vcf.reader.Place`.
    allele
        Which of the record's alternatives that is.
    size
        Number of variants.
    """

    record: int
    offset: int
    allele: int
    size: int

    @property
    def place(self) -> Place:
        """Place of its first record."""
        return Place(self.record, self.offset)


@dataclass
class Survey:
    """Counts of a VCF's variants, and its parts.

    Attributes
    ----------
    n_records
        Number of records.
    contigs
        Variants that can be scored, by contig.
    skipped
        Alleles that cannot be scored, by reason.
    examples
        The first few variants whose reference allele differs from the genome.
    last
        The largest position.
    parts
        All scorable variants, in order.
    """

    n_records: int = 0
    contigs: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    last: int = 0
    parts: list[Part] = field(default_factory=list)

    @property
    def n_scorable(self) -> int:
        """Number of variants that can be scored."""
        return sum(self.contigs.values())

    @property
    def n_mismatches(self) -> int:
        """Number of variants whose reference allele differs from the genome."""
        return self.skipped.get(MISMATCH, 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        described = {**vars(self), "parts": [list(asdict(part).values()) for part in self.parts]}
        return described

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Read what `to_dict` gave."""
        return cls(**{**content, "parts": [Part(*values) for values in content["parts"]]})


def scorable(record: Record, why_not: WhyNot) -> list[tuple[Variant, str | None]]:
    """Each alternative of a record, with the reason if it cannot be scored."""
    return [
        (variant, why_not(variant) if reason is None else reason)
        for variant, reason in alternatives(record)
    ]


def survey(
    reader: VcfReader,
    why_not: WhyNot,
    genome: Genome,
    skipped: TextIO,
    parts: "Parts",
    progress: bool | None = None,
) -> Survey:
    """Read a VCF once and count its variants.

    Parameters
    ----------
    reader
        The VCF, at its start.
    why_not
        Why a variant cannot be scored, or None.
    genome
        The genome.
    skipped
        File for a header and a line for each allele that cannot be scored.
    parts
        Collects the others.
    progress
        Show a progress bar.

    Raises
    ------
    InputError
        If the VCF cannot be read, or none of its contigs is in the genome.
    """
    found = Survey()
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    skipped.write("\t".join(SKIPPED_COLUMNS) + "\n")
    known = False
    for record in bar(reader, "reading", progress):
        found.n_records += 1
        found.last = max(found.last, record.position)
        known = known or genome.contig(record.contig) is not None
        for allele, (variant, reason) in enumerate(scorable(record, why_not)):
            if reason is None:
                parts.add(record, allele, counts[variant.contig])
                counts[variant.contig] += 1
                continue
            reasons[reason] += 1
            if reason == MISMATCH and len(found.examples) < _EXAMPLES:
                found.examples.append(str(variant))
            skipped.write(skipped_line(variant, reason))
    if found.n_records and not known:
        raise InputError(
            "expected a VCF with contigs of the genome. Received: contigs such as "
            f"{record.contig!r} in {reader.path}, and {', '.join(list(genome.contigs)[:5])} in "
            f"{genome.path}"
        )
    found.contigs, found.skipped = dict(counts), dict(reasons.most_common())
    found.parts = parts.finished()
    return found


def skipped_line(variant: Variant, reason: str) -> str:
    """Line of the file of skipped alleles."""
    values = (variant.contig, variant.position, variant.id, variant.ref, variant.alt, reason)
    return "\t".join(map(str, values)) + "\n"


class Parts:
    """Divides scorable variants into parts, in order.

    Parameters
    ----------
    chunk, block
        Variants are scored in blocks, which do not span contigs. A part ends at the block that
        fills `chunk`, and with its contig, unless it would hold less than one block.
    """

    def __init__(self, chunk: int, block: int) -> None:
        self.chunk, self.block = chunk, block
        self._parts: list[Part] = []
        self._start: tuple[int, int, int] | None = None
        self._size = 0

    def add(self, record: Record, allele: int, n_before: int) -> None:
        """Add an allele, `n_before` scorable ones of its contig after the first."""
        new_contig, new_block = n_before == 0, n_before % self.block == 0
        if self._size >= (self.block if new_contig else self.chunk) and new_block:
            self._end()
        if self._start is None:
            self._start = (record.place.record, record.place.offset, allele)
        self._size += 1

    def _end(self) -> None:
        if self._start is not None:
            self._parts.append(Part(*self._start, self._size))
        self._start, self._size = None, 0

    def finished(self) -> list[Part]:
        """All parts."""
        self._end()
        return self._parts
