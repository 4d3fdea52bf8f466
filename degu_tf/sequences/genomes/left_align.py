"""Left alignment: one insertion or deletion has one place, wherever a VCF spells it.

In a repeat the same change can be written at several positions. As `bcftools norm` does, bases
that both alleles share are left out, and what is inserted or deleted is moved as far to the left
as the sequence stays the same.
"""

from degu_tf.sequences.genomes.base import Genome

_FIRST_STEP = 64
_LONGEST_STEP = 2**14


def left_align(genome: Genome, contig: str, start: int, ref: str, alt: str) -> tuple[int, str, str]:
    r"""Move an insertion or deletion to the left as far as the sequence stays the same.

    Parameters
    ----------
    genome
        The genome, or its elements, which are not left.
    contig
        A contig.
    start
        0-based start of `ref`.
    ref, alt
        Alleles in capitals; `ref` is what the genome has there. Either may be empty.

    Returns
    -------
    tuple
        0-based start and both alleles, without the bases that they share at either end: one of
        them is empty for an insertion or deletion.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from degu_tf.sequences.genomes.open import open_genome
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "genome.fa"
    >>> _ = path.write_text(">chr1\nGCACACAT\n")
    >>> with open_genome(path) as genome:
    ...     left_align(genome, "chr1", 3, "CAC", "C"), left_align(genome, "chr1", 7, "T", "CAT")
    ((1, 'CA', ''), (1, '', 'CA'))
    """
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        start, ref, alt = start + 1, ref[1:], alt[1:]
    moving = ref or alt
    if (ref and alt) or not moving:
        return start, ref, alt
    moved = _room_to_the_left(genome, contig, start, moving)
    turn = -moved % len(moving)
    moving = moving[turn:] + moving[:turn]
    return start - moved, moving if ref else "", moving if alt else ""


def with_anchor(
    genome: Genome, contig: str, start: int, ref: str, alt: str
) -> tuple[int, str, str]:
    """Spell a change as a VCF does: an allele that is empty gains the base before it.

    At the start of a contig, or of the element that is known, it gains the base behind it.

    Parameters
    ----------
    genome, contig
        As for `left_align`.
    start, ref, alt
        What `left_align` gives.

    Returns
    -------
    tuple
        1-based position and both alleles; one is still empty where nothing else is known.
    """
    if ref and alt:
        return start + 1, ref, alt
    low = _low(genome, contig, start, ref)
    if start > low:
        base = genome.fetch(contig, start - 1, start)
        return start, base + ref, base + alt
    end = start + len(ref)
    base = genome.fetch(contig, end, end + 1) if genome.covers(contig, end, end + 1) else ""
    return start + 1, ref + base, alt + base


def _room_to_the_left(genome: Genome, contig: str, start: int, moving: str) -> int:
    """How many bases an allele moves to the left: while its last base is what stands before it."""
    moved, step, period = 0, _FIRST_STEP, len(moving)
    low = _low(genome, contig, start, "")
    while low < start - moved:
        end = start - moved
        before = genome.fetch(contig, max(low, end - step), end)
        for base in reversed(before):
            if base != moving[(-1 - moved) % period]:
                return moved
            moved += 1
        step = min(2 * step, _LONGEST_STEP)
    return moved


def _low(genome: Genome, contig: str, start: int, ref: str) -> int:
    """0-based start of the contig, or of the element that holds a change or ends before it."""
    position = start if ref or genome.covers(contig, start, start + 1) else start - 1
    bounds = genome.bounds(contig, position)
    return 0 if bounds is None else bounds[0]
