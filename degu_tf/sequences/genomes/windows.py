"""Windows of the genome around variants, with either allele."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from degu_tf.sequences.fitting import Fitting, Stretch, filled
from degu_tf.sequences.genomes.base import Genome
from degu_tf.sequences.genomes.left_align import left_align, with_anchor
from degu_tf.utils.errors import InputError

MISMATCH = "reference mismatch"
"""The reason given where a variant's reference allele is not what the genome has there."""

NO_ELEMENT = "no element on its contig"
OUTSIDE = "outside every element"
"""Reasons where only elements of the contigs are known, whose ends are no ends of contigs."""

BEYOND = "its window lies beyond the end of its contig"
"""The reason for an insertion behind the last base whose window begins there."""

SHORT_FLANKS = "the flanks are shorter than its window needs"

TOO_SHORT = "its element is shorter than the window"
"""The reason where an element could be padded."""

UNKNOWN_BASE = "the genome has no known base there"

_BASES = frozenset("ACGT")


@dataclass(frozen=True, slots=True)
class Variant:
    """One alternative allele.

    Attributes
    ----------
    contig
        Its name, with or without ``chr``.
    position
        1-based position of the first base of `ref`, as in a VCF.
    ref, alt
        Alleles in letters of either case; an `alt` of ``"-"`` or ``""`` deletes `ref`.
    id
        A name for it.

    Examples
    --------
    >>> Variant("chr1", 109817590, "G", "T", "rs12740374").start
    109817589
    """

    contig: str
    position: int
    ref: str
    alt: str
    id: str = "."

    @property
    def start(self) -> int:
        """0-based position."""
        return self.position - 1

    @property
    def alleles(self) -> tuple[str, str]:
        """Both alleles in capitals, an empty one for a deletion."""
        return self.ref.upper(), "" if self.alt == "-" else self.alt.upper()

    def __str__(self) -> str:
        return f"{self.contig}:{self.position} {self.ref}>{self.alt}"


@dataclass(frozen=True, slots=True)
class Window:
    """What a model reads for one variant: the genome with its reference and alternative allele.

    Attributes
    ----------
    ref, alt
        Two sequences of the window's length.
    shift
        Bases the window was moved by to stay inside an element; positive to the right.
    """

    ref: str
    alt: str
    shift: int


class Windows:
    """Cuts windows of one length around variants.

    The first base that differs sits in the middle, at index (`length` - 1) // 2, which is 114 of
    230 (paper, Methods, "Single-nucleotide variant effect with CAGI5"), wherever in a repeat a VCF
    spells it and however many bases around it: alleles are left-aligned first. Alternative alleles
    of another length keep what lies left of it in place: after a deletion, bases from the right of
    the window move in, and after an insertion those at its right end fall out, so both sequences
    have the window's length. Beyond the end of a contig the window holds N. Where only an element
    is known, the window is moved to stay inside it, as far as it must be and no further; a shorter
    element stands in the middle of its window, if `pad` says what fills it up.

    Parameters
    ----------
    genome
        Where the sequence comes from.
    length
        Bases in a window.
    offset
        Bases that every window is moved by, before it is moved to stay inside an element.
    pad, flanks
        What fills shorter elements up, as in `degu_tf.sequences.fitting.Fitting`.

    Raises
    ------
    InputError
        If the length is not positive, or the offset moves variants out of their windows.
    """

    def __init__(
        self,
        genome: Genome,
        length: int,
        offset: int = 0,
        pad: str | None = None,
        flanks: tuple[str, str] = ("", ""),
    ) -> None:
        if length < 1:
            raise InputError(f"windows need one base or more. Received: length={length}")
        self.genome = genome
        self.length = length
        self.offset = offset
        self.fitting = Fitting(length, pad=pad, flanks=flanks)
        self.center = (length - 1) // 2
        if not 0 <= self.center - offset < length:
            raise InputError(
                f"a window of {length} bases moved by {offset} does not hold its variant; move it "
                f"by less. Received: offset={offset}"
            )

    def why_not(self, variant: Variant) -> str | None:
        """Why a variant has no window, in a few words; None if it has one."""
        placed = self._placed(variant)
        return placed if isinstance(placed, str) else None

    def cut(self, variant: Variant) -> Window:
        """The window of a variant.

        Raises
        ------
        InputError
            If it has none; see `why_not`.
        """
        placed = self._placed(variant)
        if isinstance(placed, str):
            raise InputError(
                f"expected a variant that can be scored ({placed}). Received: {variant}"
            )
        stretch = self._stretch(variant, placed)
        index = placed.start - placed.place
        mutated = stretch[:index] + placed.alt + stretch[index + len(placed.ref) :]
        moved = placed.place - (placed.start - self.center + self.offset)
        return Window(stretch[: self.length], mutated[: self.length], moved)

    def _stretch(self, variant: Variant, placed: "_Placed") -> str:
        """The reference of a window, and as many bases behind it as the variant deletes."""
        contig, start = placed.contig, placed.place
        end = start + self.length + _lost(placed.ref, placed.alt)
        bounds = self.genome.bounds(contig, variant.start)
        if bounds is None or self.fitting.pad is None:
            return self.genome.fetch(contig, start, end)
        low, high = max(start, bounds[0]), min(end, bounds[1])
        known = Stretch(low, self.genome.fetch(contig, low, high))
        return filled(known, start, end, self.fitting, f"{contig}:{low}-{high}")

    def _placed(self, variant: Variant) -> "str | _Placed":
        """Where a variant and its window lie; or why it has none."""
        reason = wrong_alleles(variant)
        contig = self.genome.contig(variant.contig)
        if reason is not None:
            return reason
        if contig is None:
            return NO_ELEMENT if self.genome.of_elements else "contig not in the genome"
        ref, alt = variant.alleles
        start, end = variant.start, variant.start + len(ref)
        if start < 0 or end > self.genome.contigs[contig]:
            return OUTSIDE if self.genome.of_elements else "outside its contig"
        if not self.genome.covers(contig, start, end):
            return OUTSIDE
        there = self.genome.fetch(contig, start, end)
        if there != ref:
            known = all(base in ("N", allele) for base, allele in zip(there, ref, strict=True))
            return UNKNOWN_BASE if known else MISMATCH
        start, ref, alt = left_align(self.genome, contig, variant.start, ref, alt)
        place = self._place(contig, variant, start, _lost(ref, alt))
        if place is None:
            return TOO_SHORT
        if place >= self.genome.contigs[contig]:
            return BEYOND
        if not self._flanks_reach(contig, variant, place, _lost(ref, alt)):
            return SHORT_FLANKS
        index = start - place
        if index + len(ref) > self.length and place < start - self.center + self.offset:
            return "deletes the end of its element"
        if index < 0 or index + max(len(ref), len(alt)) > self.length:
            return "longer than the window has room for"
        return _Placed(contig, start, ref, alt, place)

    def normalised(self, variant: Variant) -> Variant:
        """Spell a variant as `bcftools norm` does, left-aligned.

        At the start of an element, left of which no base is known, a VCF's rule for the start of a
        contig applies: an allele that would be empty gains the base behind it.

        Raises
        ------
        InputError
            If its contig is not in the genome.
        """
        contig = self.genome.contig(variant.contig)
        if contig is None:
            raise InputError(f"expected a contig of {self.genome.path}. Received: {variant}")
        change = left_align(self.genome, contig, variant.start, *variant.alleles)
        position, ref, alt = with_anchor(self.genome, contig, *change)
        return Variant(variant.contig, position, ref, alt, variant.id)

    def _place(self, contig: str, variant: Variant, first: int, lost: int) -> int | None:
        """0-based start of the window, None where an element is too short for it."""
        start = first - self.center + self.offset
        bounds = self.genome.bounds(contig, variant.start)
        if bounds is None:
            return start
        low, high = bounds[0], bounds[1] - self.length - lost
        if high >= low:
            return min(max(start, low), high)
        if self.fitting.pad is None:
            return None
        return low - max(0, self.length - (bounds[1] - bounds[0])) // 2

    def _flanks_reach(self, contig: str, variant: Variant, place: int, lost: int) -> bool:
        """Whether the flanks, if they are to, fill a window from there on up."""
        bounds = self.genome.bounds(contig, variant.start)
        if self.fitting.pad != "flanks" or bounds is None:
            return True
        before, behind = self.fitting.flanks
        end = place + self.length + lost
        return len(before) >= bounds[0] - place and len(behind) >= end - bounds[1]


class _Placed(NamedTuple):
    """What differs, left-aligned, and the 0-based start of its window."""

    contig: str
    start: int
    ref: str
    alt: str
    place: int


def wrong_alleles(variant: Variant) -> str | None:
    """What keeps alleles from being put into a sequence, in a few words; None if nothing does."""
    ref, alt = variant.alleles
    if not ref:
        return "no reference allele"
    if not set(alt) <= _BASES:
        return "alternative is no sequence of A, C, G, T"
    if not set(ref) <= _BASES:
        return "reference is no sequence of A, C, G, T"
    if ref == alt:
        return "alternative is the reference"
    return None


def _lost(ref: str, alt: str) -> int:
    return max(0, len(ref) - len(alt))


def distinct(windows: Sequence[Window]) -> tuple[list[str], list[tuple[int, int]]]:
    """Each different sequence once, in order of appearance, and where a window's two are in it.

    Examples
    --------
    >>> distinct([Window("AA", "AC", 0), Window("AA", "AG", 0)])
    (['AA', 'AC', 'AG'], [(0, 1), (0, 2)])
    """
    places: dict[str, int] = {}
    pairs = [
        (
            places.setdefault(window.ref, len(places)),
            places.setdefault(window.alt, len(places)),
        )
        for window in windows
    ]
    return list(places), pairs
