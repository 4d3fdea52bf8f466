"""A regulatory grammar whose truth is known: motifs found in a sequence, the activity they cause.

Everything here is a function of the sequence alone, so a site counts whether it was planted or
arose by chance, and the truth of a mutated sequence can be asked like that of any other. All of it
is symmetric in the strand: a sequence and its reverse complement have one activity and one noise.

The consensus sequences are those of real transcription factors of *Drosophila* (DREF's DRE and
M1BP's motif 1 from Ohler et al., Genome Biol. 3:research0087, 2002; the others are textbook
consensus). Affinities, gains and the noise model are illustrative, not fitted to any experiment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from degu_tf.sequences.alphabet import ALPHABET, UNKNOWN
from degu_tf.sequences.encoding import as_tokens, reverse_complement
from degu_tf.utils.errors import InputError

TARGETS = ("Dev", "Hk")
"""Columns of activity and noise: a developmental and a housekeeping promoter."""

DEGENERATE_FACTOR = 0.5
"""Factor of affinity for each degenerate position that holds none of the strongest bases."""

FLANK_FACTOR = 0.75
"""The same for the base before and the base after (an end or an unknown base holds none)."""

_IUPAC = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT",
    "K": "GT", "M": "AC", "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip
_BITS = np.array([1, 2, 4, 8, 0], np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, UNKNOWN])
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Motif:
    """A transcription factor's binding site.

    Parameters
    ----------
    name
        Name of the factor or the element.
    consensus
        IUPAC letters; a site matches all of them, on either strand.
    strongest
        One letter longer on both sides: the bases with which a site has affinity 1. Each
        degenerate position that differs multiplies it by `DEGENERATE_FACTOR`, each flank that
        differs by `FLANK_FACTOR`.
    """

    name: str
    consensus: str
    strongest: str

    def __len__(self) -> int:
        return len(self.consensus)

    def allowed(self) -> np.ndarray:
        """Whether each base is allowed at each position of the consensus: bool `(width, 4)`."""
        return _fits(self.consensus)[:, :UNKNOWN]

    def weights(self) -> np.ndarray:
        """Factor of affinity of each token at each position, flanks included: `(width + 2, 5)`."""
        table = np.full((len(self) + 2, len(_BITS)), FLANK_FACTOR)
        table[1:-1] = np.where(_fits(self.consensus), DEGENERATE_FACTOR, 0.0)
        table[_fits(self.strongest)] = 1.0
        for end in (0, -1):
            if self.strongest[end] == "N":
                table[end] = 1.0
        return table


def _mask(letter: str) -> int:
    """Bases that a letter stands for, as the sum of A = 1, C = 2, G = 4, T = 8."""
    return sum(1 << ALPHABET.index(base) for base in _IUPAC[letter])


def _fits(consensus: str) -> np.ndarray:
    """Whether each token is allowed at each position: bool `(width, 5)`."""
    masks = np.array([_mask(letter) for letter in consensus])
    return (_BITS & masks[:, None]) > 0


MOTIFS = (
    Motif("AP-1", "TGASTCA", "RTGASTCAY"),
    Motif("GATA", "WGATAAR", "NAGATAAGR"),
    Motif("ETS", "CCGGAAR", "ACCGGAAGT"),
    Motif("Twist", "CAYATG", "RCATATGY"),
    Motif("Trl", "GAGAGR", "RGAGAGAG"),
    Motif("Snail", "CAGGTR", "ACAGGTGN"),
    Motif("DRE", "WATCGATW", "YTATCGATAR"),
    Motif("M1BP", "YGGTCACACTR", "NTGGTCACACTGN"),
)
"""Motifs of the grammar."""

NAMES = tuple(motif.name for motif in MOTIFS)

MIN_LENGTH = max(len(motif) for motif in MOTIFS)
"""Shortest sequence (bases) in which every motif has room."""

BASE = (-0.6, -0.6)
"""Activity of a sequence without any site, log2 enrichment at each promoter."""

GC, GC_LIMIT = 0.44, 0.1
"""Usual share of G and C, and the largest excess over it, either way, that makes a difference."""

COMPOSITION = (12.0, -8.0)
"""Activity (Dev, Hk) for each 1.0 of excess G and C, log2 enrichment."""

GAINS = {
    "AP-1": (1.0, 0.0),
    "GATA": (0.6, 0.0),
    "Trl": (0.3, 0.0),
    "Snail": (-0.7, 0.0),
    "DRE": (0.0, 1.5),
    "M1BP": (0.0, 1.2),
}
"""Activity (Dev, Hk) that the first copy of a site of affinity 1 adds, log2 enrichment.

ETS and Twist add nothing by themselves, see `INTERACTION`. Snail represses.
"""

INTERACTION = ("ETS", "Twist", (2.2, 0.0))
"""Two motifs that act only together: the gain multiplies the geometric mean of their copy terms."""

SPACING = ("AP-1", "GATA", (1.8, 0.0))
"""Two motifs that help each other at the right distance: gain of the best-placed pair."""

BEST_DISTANCE, DISTANCE_WIDTH = 14.0, 5.0
"""Centre-to-centre distance (bp) at which a pair's bonus is largest, and its Gaussian width."""

NOISE = (0.85, 0.75)
"""Standard deviation of one replicate (Dev, Hk) at activity 0, excess 0 and no Trl, log2 units."""

NOISE_ACTIVITY, NOISE_ACTIVITY_RANGE = -0.25, (-2.0, 4.0)
"""Doublings of the noise for each 1.0 of activity, and the range in which it makes a difference.

Negative: what is active gives many reads, and many reads give a precise ratio.
"""

NOISE_GC = -6.0
"""Doublings of the noise for each 1.0 of excess G and C."""

NOISE_TRL = 0.9
"""Doublings of the noise by the first Trl site of affinity 1; at most twice that."""


@dataclass(frozen=True, eq=False)
class _Sites:
    """Sites found, one element each, sorted by row, then start, then motif."""

    row: np.ndarray
    motif: np.ndarray
    start: np.ndarray
    strand: np.ndarray
    affinity: np.ndarray

    def of(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row, centre and affinity of one motif's sites."""
        index = NAMES.index(name)
        chosen = self.motif == index
        centre = self.start[chosen] + (len(MOTIFS[index]) - 1) / 2
        return self.row[chosen], centre, self.affinity[chosen]

    def copies(self, n_sequences: int) -> np.ndarray:
        """Copy term `(N, motifs)`: log2(1 + summed affinity), each further copy adding less."""
        place = self.row * len(MOTIFS) + self.motif
        summed = np.bincount(place, self.affinity, minlength=n_sequences * len(MOTIFS))
        return np.log2(1.0 + summed.reshape(n_sequences, len(MOTIFS)))


def find_motifs(sequences: str | Sequence[str] | np.ndarray) -> pd.DataFrame:
    """Find every site of every motif on both strands.

    Parameters
    ----------
    sequences
        Tokens `(N, L)`, strings of one length, or exact one-hot `(N, L, 4)`; L at least
        `MIN_LENGTH`. An unknown base matches nothing.

    Returns
    -------
    pandas.DataFrame
        One row a site, sorted by place: `sequence` (row of the input), `motif`, `start` and `end`
        (0-based, end excluded, on the strand given), `strand` (``+``, ``-``, or ``.`` where both
        strands match at one place, counted as one site) and `affinity` (0 to 1).

    Raises
    ------
    InputError
        If the sequences are unreadable or shorter than `MIN_LENGTH`.

    Examples
    --------
    >>> find_motifs("CCCCATGACTCATCCCC")[["motif", "start", "end", "strand", "affinity"]]
      motif  start  end strand  affinity
    0  AP-1      5   12      .       1.0
    """
    sites = _scan(_readable(sequences))
    widths = np.array([len(motif) for motif in MOTIFS])
    return pd.DataFrame(
        {
            "sequence": sites.row,
            "motif": np.array(NAMES)[sites.motif],
            "start": sites.start,
            "end": sites.start + widths[sites.motif],
            "strand": sites.strand,
            "affinity": sites.affinity,
        }
    )


def true_activity(sequences: str | Sequence[str] | np.ndarray) -> np.ndarray:
    """Noiseless activity of any sequence at both promoters.

    `BASE`, plus `COMPOSITION` times the excess of G and C, plus `GAINS` times each motif's copy
    term, plus `INTERACTION` times the geometric mean of two copy terms, plus `SPACING` times
    `spacing_bonus` of the best pair (scaled by the weaker site's affinity). The copy term is
    log2(1 + summed affinity of the sites).

    Parameters
    ----------
    sequences
        As in `find_motifs`.

    Returns
    -------
    numpy.ndarray
        float64 `(N, 2)`: Dev, Hk, in log2 enrichment.

    Raises
    ------
    InputError
        If the sequences are unreadable or shorter than `MIN_LENGTH`.

    Examples
    --------
    >>> with_site, without = true_activity(["CCCCATGACTCATCCCC", "CCCCATCACTCATCCCC"])
    >>> (with_site - without).round(3).tolist()
    [1.0, 0.0]
    """
    tokens = _readable(sequences)
    return _activity(tokens, _scan(tokens))


def true_noise(sequences: str | Sequence[str] | np.ndarray) -> np.ndarray:
    """Give the standard deviation of one replicate of any sequence at both promoters.

    It falls with the activity at that promoter and with the share of G and C (unknown bases left
    out), and rises with Trl (GAGA) sites.

    Parameters
    ----------
    sequences
        As in `find_motifs`.

    Returns
    -------
    numpy.ndarray
        float64 `(N, 2)`: Dev, Hk, in log2 enrichment.

    Raises
    ------
    InputError
        If the sequences are unreadable or shorter than `MIN_LENGTH`.

    Examples
    --------
    >>> quiet, noisy = true_noise(["GC" * 10, "AT" * 10])[:, 0]
    >>> bool(noisy > 2 * quiet)
    True
    """
    tokens = _readable(sequences)
    sites = _scan(tokens)
    trl = sites.copies(len(tokens))[:, NAMES.index("Trl")]
    doublings = NOISE_ACTIVITY * np.clip(_activity(tokens, sites), *NOISE_ACTIVITY_RANGE)
    doublings += NOISE_GC * _gc_excess(tokens)[:, None]
    doublings += NOISE_TRL * np.minimum(trl, 2)[:, None]
    return np.array(NOISE) * np.exp2(doublings)


def spacing_bonus(distance: float | np.ndarray) -> float | np.ndarray:
    """Share of the `SPACING` gain, 0 to 1, that a pair of sites has at a centre-to-centre distance.

    Examples
    --------
    >>> float(spacing_bonus(14)), round(float(spacing_bonus(40)), 3)
    (1.0, 0.0)
    """
    return np.exp(-0.5 * np.square((np.abs(distance) - BEST_DISTANCE) / DISTANCE_WIDTH))


def _readable(sequences: str | Sequence[str] | np.ndarray) -> np.ndarray:
    tokens = as_tokens(sequences)
    if tokens.shape[1] < MIN_LENGTH:
        raise InputError(
            f"expected sequences of {MIN_LENGTH} bases (the longest motif) or more. "
            f"Received: length={tokens.shape[1]}"
        )
    return tokens


def _activity(tokens: np.ndarray, sites: _Sites) -> np.ndarray:
    copies = sites.copies(len(tokens))
    activity = np.array(BASE) + _gc_excess(tokens)[:, None] * COMPOSITION
    for name, gain in GAINS.items():
        activity += copies[:, NAMES.index(name), None] * np.array(gain)
    first, second, gain = INTERACTION
    together = np.sqrt(copies[:, NAMES.index(first)] * copies[:, NAMES.index(second)])
    activity += together[:, None] * np.array(gain)
    activity += _best_pair(sites, len(tokens))[:, None] * np.array(SPACING[2])
    return activity


def _gc_excess(tokens: np.ndarray) -> np.ndarray:
    """Share of G and C among the known bases of each row, less `GC`, within `GC_LIMIT`."""
    known = np.sum(tokens != UNKNOWN, axis=1)
    share = np.sum((tokens == 1) | (tokens == 2), axis=1) / np.maximum(known, 1)
    return np.where(known, np.clip(share - GC, -GC_LIMIT, GC_LIMIT), 0.0)


def _scan(tokens: np.ndarray) -> _Sites:
    """Find all sites, a few thousand rows at a time."""
    columns = [
        _match(tokens[first : first + _ROWS_AT_ONCE], index, first)
        for first in range(0, len(tokens), _ROWS_AT_ONCE)
        for index in range(len(MOTIFS))
    ]
    row, motif, start, strand, affinity = (
        np.concatenate(parts) for parts in zip(*columns, strict=True)
    )
    order = np.lexsort((motif, start, row))
    return _Sites(*(column[order] for column in (row, motif, start, strand, affinity)))


def _match(tokens: np.ndarray, index: int, first_row: int) -> tuple[np.ndarray, ...]:
    """Columns of `_Sites` for one motif; the stronger strand gives the affinity."""
    motif = MOTIFS[index]
    bits = _BITS[tokens]
    hits = _hits(bits, motif.consensus) | _hits(bits, reverse_complement(motif.consensus))
    row, start = np.nonzero(hits)
    padded = np.pad(tokens, ((0, 0), (1, 1)), constant_values=UNKNOWN)
    windows = padded[row[:, None], start[:, None] + np.arange(len(motif) + 2)]
    weights, position = motif.weights(), np.arange(len(motif) + 2)
    forward = weights[position, windows].prod(axis=1)
    backward = weights[position, _COMPLEMENT[windows[:, ::-1]]].prod(axis=1)
    strand = np.where(backward == 0, "+", np.where(forward == 0, "-", "."))
    return (
        row + first_row,
        np.full(len(row), index),
        start,
        strand,
        np.maximum(forward, backward),
    )


def _hits(bits: np.ndarray, consensus: str) -> np.ndarray:
    """Where a row's bases fit the consensus, by start: bool `(N, L - width + 1)`."""
    n_starts = bits.shape[1] - len(consensus) + 1
    hits = np.ones((len(bits), n_starts), bool)
    for offset, letter in enumerate(consensus):
        hits &= (bits[:, offset : offset + n_starts] & np.uint8(_mask(letter))) > 0
    return hits


def _best_pair(sites: _Sites, n_sequences: int) -> np.ndarray:
    """Largest bonus of any pair of the `SPACING` motifs in each sequence, `(N,)`."""
    first, second = (sites.of(name) for name in SPACING[:2])
    left = np.searchsorted(second[0], first[0], side="left")
    partners = np.searchsorted(second[0], first[0], side="right") - left
    one = np.repeat(np.arange(len(first[0])), partners)
    before = np.repeat(np.cumsum(partners) - partners - left, partners)
    other = np.arange(len(one)) - before
    bonus = spacing_bonus(first[1][one] - second[1][other])
    bonus *= np.minimum(first[2][one], second[2][other])
    best = np.zeros(n_sequences)
    np.maximum.at(best, first[0][one], bonus)
    return best
