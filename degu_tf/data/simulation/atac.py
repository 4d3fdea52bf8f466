"""A simulated genome with planted motifs, replicate coverage tracks, and the truth behind them.

Sites of the grammar's motifs open the DNA around them; where several lie together it opens more
than their sum. Coverage and its noise follow from the sequence alone, sites there by chance
included.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from degu_tf.data.bigwig import write_bigwig
from degu_tf.data.simulation.grammar import MOTIFS, find_motifs
from degu_tf.data.simulation.mpra import draw_background, draw_sites
from degu_tf.sequences.encoding import decode, reverse_complement
from degu_tf.sequences.fasta import write_fasta
from degu_tf.utils.errors import InputError

CONTIGS = {"chr1": 300_000, "chr2": 300_000, "chr8": 100_000, "chr9": 60_000}
"""Contigs by default, of which the paper's split tests on chr8 and validates on chr9."""

OPENING = {"AP-1": 1.0, "ETS": 0.7, "M1BP": 1.0}
"""What a site of affinity 1 adds to the openness of the bases around it."""

NOISY = "GATA"
"""Its sites leave coverage as it is on average, and make replicates differ."""

SPACING, SHARE = 1000, 0.6
"""Bases for each place where sites may be planted, and the share of those where they are."""

BACKGROUND, HEIGHT = 0.15, 6.0
"""Coverage far from any site, and the most that openness adds."""

REACH = 110.0
"""Gaussian width (bases) of what a site does to its surroundings."""

NOISE = (0.1, 0.7)
"""Relative standard deviation of replicates without noisy sites, and the most these add."""

FRAGMENT, DEPTH = 40, 20.0
"""Bases of a fragment, and fragments over a base where coverage is 1."""

_KNOTS = 250


@dataclass(frozen=True, eq=False)
class SimulatedProfiles:
    """A genome, its replicate tracks, and what they were made from.

    Attributes
    ----------
    tokens
        For each contig uint8 `(length,)`.
    replicates
        For each contig the coverage float32 `(replicates, length)`.
    coverage
        For each contig the expected coverage, float64 `(length,)`.
    sites
        One row a site of a motif that matters: `contig`, `motif`, `start`, `end`, `affinity`.
    """

    tokens: Mapping[str, np.ndarray]
    replicates: Mapping[str, np.ndarray]
    coverage: Mapping[str, np.ndarray]
    sites: pd.DataFrame

    @property
    def contigs(self) -> dict[str, int]:
        """Length of each contig."""
        return {name: len(tokens) for name, tokens in self.tokens.items()}

    def write(self, folder: str | os.PathLike) -> tuple[Path, list[Path]]:
        """Write ``genome.fa`` and ``replicate_1.bw``, ...; gives their paths."""
        folder = Path(folder)
        genome = folder / "genome.fa"
        folder.mkdir(parents=True, exist_ok=True)
        write_fasta(
            genome, list(self.tokens), [decode(each[None])[0] for each in self.tokens.values()]
        )
        n_replicates = len(next(iter(self.replicates.values())))
        tracks = [folder / f"replicate_{number}.bw" for number in range(1, n_replicates + 1)]
        for index, track in enumerate(tracks):
            blocks = ((name, 0, values[index]) for name, values in self.replicates.items())
            write_bigwig(track, self.contigs, blocks)
        return genome, tracks


def simulate_profiles(
    contigs: Mapping[str, int] | None = None, seed: int = 0, *, n_replicates: int = 3
) -> SimulatedProfiles:
    """Simulate a genome and base-resolution coverage of it, in replicates.

    A contig depends on the seed, its place among the contigs and its length alone.

    Parameters
    ----------
    contigs
        Length of each in bases; `CONTIGS` by default.
    seed
        Not negative. The same seed gives the same bytes.
    n_replicates
        Tracks, two or more.

    Raises
    ------
    InputError
        If a contig is shorter than `SPACING`, or there are too few replicates.

    Examples
    --------
    >>> data = simulate_profiles({"chr1": 5000}, seed=1)
    >>> data.tokens["chr1"].shape, data.replicates["chr1"].shape
    ((5000,), (3, 5000))
    """
    contigs = CONTIGS if contigs is None else contigs
    if n_replicates < 2 or min(contigs.values(), default=0) < SPACING:
        raise InputError(
            f"expected two or more replicates and contigs of {SPACING} bases or more. "
            f"Received: n_replicates={n_replicates}, contigs={dict(contigs)}"
        )
    tokens, replicates, coverage, sites = {}, {}, {}, []
    for index, (name, length) in enumerate(contigs.items()):
        rng = np.random.default_rng([seed, index])
        background = draw_background(-(-length // SPACING), SPACING, rng).ravel()[:length]
        tokens[name] = _plant(background, rng)
        table = find_motifs(tokens[name][np.newaxis])
        table = table[table["motif"].isin([*OPENING, NOISY])]
        coverage[name], noise = _expected(table, length)
        replicates[name] = _measure(coverage[name], noise, n_replicates, rng)
        sites.append(table.assign(contig=name))
    columns = ["contig", "motif", "start", "end", "affinity"]
    table = pd.concat(sites, ignore_index=True)[columns]
    return SimulatedProfiles(tokens, replicates, coverage, table)


def _plant(tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Write clusters of sites, of one to four that open and sometimes a noisy one."""
    by_name = {motif.name: index for index, motif in enumerate(MOTIFS)}
    for start in range(0, len(tokens) - SPACING + 1, SPACING):
        if rng.random() >= SHARE:
            continue
        names = list(rng.choice(list(OPENING), rng.integers(1, 5)))
        names += [NOISY] * int(2 * (rng.random() < 0.4))
        place = start + rng.integers(100, SPACING - 100 - 20 * len(names))
        for slot, name in enumerate(rng.permutation(names)):
            site = draw_sites(by_name[name], 1, rng)
            site = reverse_complement(site) if rng.random() < 0.5 else site
            tokens[place + 20 * slot : place + 20 * slot + site.shape[1]] = site[0]
    return tokens


def _expected(sites: pd.DataFrame, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Expected coverage and relative standard deviation of replicates at each base."""
    openness, unrest = np.zeros(length), np.zeros(length)
    around = np.arange(-int(4 * REACH), int(4 * REACH) + 1)
    kernel = np.exp(-0.5 * (around / REACH) ** 2)
    for motif, start, end, affinity in sites[["motif", "start", "end", "affinity"]].itertuples(
        index=False
    ):
        first = (start + end) // 2 + around[0]
        low, high = max(0, first), min(length, first + len(kernel))
        bump = affinity * kernel[low - first : high - first]
        if motif == NOISY:
            unrest[low:high] += bump
        else:
            openness[low:high] += OPENING[motif] * bump
    squared = openness**2
    return (
        BACKGROUND + HEIGHT * squared / (squared + 2.0),
        NOISE[0] + NOISE[1] * np.tanh(unrest),
    )


def _measure(
    coverage: np.ndarray, noise: np.ndarray, n_replicates: int, rng: np.random.Generator
) -> np.ndarray:
    """Coverage by fragments of replicates whose openness differs by a smooth random factor."""
    length = len(coverage)
    knots = np.arange(0, length + _KNOTS, _KNOTS)
    tracks = np.empty((n_replicates, length), np.float32)
    for track in tracks:
        wave = np.interp(np.arange(length), knots, rng.standard_normal(len(knots)))
        rate = coverage * np.exp(noise * wave - 0.5 * noise**2)
        starts = rng.poisson(rate * DEPTH / FRAGMENT)
        total = np.concatenate([np.zeros(FRAGMENT), np.cumsum(starts)])
        over = total[FRAGMENT:] - total[:-FRAGMENT]
        track[:] = np.roll(over, -(FRAGMENT // 2)) / DEPTH
    return tracks
