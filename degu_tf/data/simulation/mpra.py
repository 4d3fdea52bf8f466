"""Simulated MPRA: sequences with planted motifs, three noisy replicates, and the truth behind them.

Sequences are drawn here; what they do is decided by `degu_tf.data.simulation.grammar` from the
sequence alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from degu_tf.data.simulation.grammar import (
    MOTIFS,
    NAMES,
    TARGETS,
    find_motifs,
    true_activity,
    true_noise,
)
from degu_tf.data.splits import NAMES as SPLIT_NAMES
from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.sequences.encoding import reverse_complement
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole

DINUCLEOTIDES = np.array(
    [
        [0.095, 0.053, 0.055, 0.078],
        [0.070, 0.050, 0.044, 0.055],
        [0.053, 0.063, 0.050, 0.053],
        [0.063, 0.053, 0.070, 0.095],
    ]
)
"""Frequency of each dinucleotide (first base by row, A C G T), both strands alike.

Round numbers in the manner of the published composition of *Drosophila* genomes: 44 % G and C,
AA and TT frequent, TA rare, CG slightly rarer than its bases would have it, GC more frequent
(compare Burge, Campbell and Karlin, PNAS 89:1358, 1992). Illustrative, not fitted.
"""

SLOT = 14
"""Planted sites lie in slots of this many bases, one a slot, so no two overlap."""

CLUSTERED = 0.5
"""Share of sequences whose planted sites fill neighbouring slots instead of any."""

SILENT = 0.35
"""Share of sequences in which nothing is planted."""

PLANTED = {
    "AP-1": (0.4, 2.0),
    "GATA": (0.4, 2.0),
    "ETS": (0.45, 1.5),
    "Twist": (0.45, 1.5),
    "Trl": (0.2, 0.5),
    "Snail": (0.2, 0.5),
    "DRE": (0.35, 2.0),
    "M1BP": (0.35, 1.5),
}
"""Share of the other sequences that hold a motif, and how many further copies (Poisson mean).

Motifs are drawn independently, so that one says nothing about another.
"""

_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, eq=False)
class Truth:
    """Ground truth of a simulated data set.

    Attributes
    ----------
    motifs
        One row a site, planted or there by chance: `split`, `sequence` (row in that split),
        `motif`, `start`, `end`, `strand`, `affinity` as in
        `degu_tf.data.simulation.grammar.find_motifs`, and `planted`.
    activity
        For each split the noiseless activity, float64 `(N, 2)`, log2 enrichment.
    noise
        For each split the standard deviation of one replicate, float64 `(N, 2)`.
    """

    motifs: pd.DataFrame
    activity: Mapping[str, np.ndarray]
    noise: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Simulated:
    """A simulated MPRA data set with its truth.

    Attributes
    ----------
    splits
        Targets Dev, Hk (mean over the replicates) and Dev_aleatoric, Hk_aleatoric (their
        population standard deviation, ddof 0), in log2 enrichment.
    replicates
        For each split the measurements, float32 `(N, replicates, 2)`.
    truth
        Motif positions, noiseless activity and noise scale.
    """

    splits: Splits
    replicates: Mapping[str, np.ndarray]
    truth: Truth


def simulate(
    n: int | tuple[int, int, int] = (4000, 500, 1000),
    length: int = 249,
    seed: int = 0,
    *,
    n_replicates: int = 3,
    noise: float = 1.0,
) -> Simulated:
    """Simulate a massively parallel reporter assay with two promoters.

    A first-order Markov chain gives the background (`DINUCLEOTIDES`), sites of the grammar are
    planted in it (`PLANTED`), and each replicate is the true activity plus Gaussian noise whose
    standard deviation depends on the sequence.

    A row depends on `seed`, `length`, its split and its number alone (its measurements on
    `n_replicates` too): a larger `n` with the same seed appends rows and leaves the others as they
    are, and the test set is one and the same for every size of the training set.

    Parameters
    ----------
    n
        Sequences in train, validation and test; or one number, of which train gets 8 tenths and the
        other two 1 tenth each, rounded, at least one sequence.
    length
        Bases in each sequence, `SLOT` or more. Short ones hold as many planted sites as slots.
    seed
        Not negative. The same seed gives the same bytes.
    n_replicates
        Measurements of each sequence, two or more. The population standard deviation of three is
        on average 0.72 times the standard deviation of one replicate.
    noise
        Factor on `degu_tf.data.simulation.grammar.true_noise`; 0 makes every replicate the truth.

    Raises
    ------
    InputError
        If a number is not one that can be used.

    Examples
    --------
    >>> data = simulate(n=(80, 10, 10), seed=1)
    >>> data.splits.heads.columns
    ('Dev', 'Hk', 'Dev_aleatoric', 'Hk_aleatoric')
    >>> data.splits.train.sequences.shape, data.replicates["train"].shape
    ((80, 249), (80, 3, 2))
    """
    sizes = _sizes(n)
    _check_integer("length", length, SLOT)
    _check_integer("seed", seed, 0)
    _check_integer("n_replicates", n_replicates, 2)
    if not 0.0 <= noise < np.inf:
        raise InputError(f"noise must be a finite factor, 0 or more. Received: noise={noise}")
    heads = HeadLayout(TARGETS, aleatoric="std")
    parts, replicates, motifs, activity, scale = {}, {}, [], {}, {}
    for index, (name, size) in enumerate(zip(SPLIT_NAMES, sizes, strict=True)):
        tokens, planted, deviates = _draw(size, length, n_replicates, seed, index)
        activity[name] = true_activity(tokens)
        scale[name] = noise * true_noise(tokens)
        measured = activity[name][:, None] + scale[name][:, None] * deviates
        replicates[name] = measured.astype(np.float32)
        mean = replicates[name].mean(axis=1, dtype=np.float64)
        std = replicates[name].std(axis=1, dtype=np.float64)
        names = np.char.add(f"{name}_", np.arange(size).astype(str))
        parts[name] = Split(tokens, heads.join(mean, aleatoric=std), names)
        motifs.append(_motif_table(name, tokens, planted))
    return Simulated(
        Splits.from_parts(parts, heads),
        replicates,
        Truth(pd.concat(motifs, ignore_index=True), activity, scale),
    )


def draw_background(n: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Draw sequences from the first-order Markov chain whose dinucleotides are `DINUCLEOTIDES`.

    Returns
    -------
    numpy.ndarray
        uint8 tokens `(n, length)`, none unknown; each position has the chain's composition.

    Examples
    --------
    >>> draw_background(2, 5, np.random.default_rng(0)).shape
    (2, 5)
    """
    composition = DINUCLEOTIDES.sum(axis=1)
    following = np.cumsum(DINUCLEOTIDES / composition[:, None], axis=1)[:, :3]
    uniform = rng.random((length, n, 1), dtype=np.float32)
    tokens = np.empty((length, n), np.uint8)
    tokens[0] = np.sum(uniform[0] >= np.cumsum(composition)[:3], axis=1)
    for position in range(1, length):
        tokens[position] = np.sum(uniform[position] >= following[tokens[position - 1]], axis=1)
    return np.ascontiguousarray(tokens.T)


def _sizes(n: int | tuple[int, int, int]) -> tuple[int, int, int]:
    if is_whole(n):
        _check_integer("n", n, 3)
        held_out = max(1, round(n / 10))
        return int(n) - 2 * held_out, held_out, held_out
    if not isinstance(n, tuple | list) or len(n) != 3:
        raise InputError(
            "n must be one number of sequences, or three: train, validation, test. "
            f"Received: n={n!r}"
        )
    for name, size in zip(SPLIT_NAMES, n, strict=True):
        _check_integer(f"n for {name}", size, 1)
    train, validation, test = map(int, n)
    return train, validation, test


def _check_integer(name: str, value: int, smallest: int) -> None:
    if not is_whole(value, smallest):
        raise InputError(
            f"{name} must be a whole number, {smallest} or more. Received: {name}={value!r}"
        )


def _draw(
    n: int, length: int, n_replicates: int, seed: int, split: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens `(n, length)`, planted sites (row, motif, start), standard normal deviates of noise.

    Whole blocks are drawn, each from its own seed, and cut to `n`: that makes rows independent
    of `n`.
    """
    tokens: list[np.ndarray] = []
    places: list[np.ndarray] = []
    deviates: list[np.ndarray] = []
    for block in range(-(-n // _ROWS_AT_ONCE)):
        rng = np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=(split, block)))
        tokens.append(draw_background(_ROWS_AT_ONCE, length, rng))
        planted = _plant(tokens[-1], rng)
        planted[:, 0] += block * _ROWS_AT_ONCE
        places.append(planted)
        deviates.append(rng.standard_normal((_ROWS_AT_ONCE, n_replicates, len(TARGETS))))
    sites = np.concatenate(places)
    return np.concatenate(tokens)[:n], sites[sites[:, 0] < n], np.concatenate(deviates)[:n]


def _plant(tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Write sites into `tokens`; give them as rows of (row, motif, start)."""
    row, motif, start = _places(len(tokens), tokens.shape[1], rng)
    forward = rng.random(len(row)) < 0.5
    for index in range(len(MOTIFS)):
        of_motif = motif == index
        for strand, chosen in (("+", of_motif & forward), ("-", of_motif & ~forward)):
            instances = draw_sites(index, int(chosen.sum()), rng)
            if strand == "-" and len(instances):
                instances = reverse_complement(instances)
            columns = start[chosen, None] + np.arange(len(MOTIFS[index]))
            tokens[row[chosen, None], columns] = instances
    return np.stack([row, motif, start], axis=1)


def _places(
    n: int, length: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose row, motif and start of each site to plant, no two in one slot of a row."""
    share, further = np.array([PLANTED[name] for name in NAMES]).T
    wanted = (rng.random((n, len(NAMES))) < share) * (1 + rng.poisson(further, (n, len(NAMES))))
    wanted[rng.random(n) < SILENT] = 0
    row, motif = np.divmod(np.repeat(np.arange(wanted.size), wanted.ravel()), len(NAMES))
    motif = motif[np.lexsort((rng.random(len(row)), row))]
    per_row = wanted.sum(axis=1)
    rank = np.arange(len(row)) - np.repeat(np.cumsum(per_row) - per_row, per_row)

    n_slots = length // SLOT
    anywhere = np.argsort(rng.random((n, n_slots)), axis=1)
    neighbours = (rng.integers(n_slots, size=(n, 1)) + np.arange(n_slots)) % n_slots
    slots = np.where(rng.random((n, 1)) < CLUSTERED, neighbours, anywhere)
    margin = rng.integers(length - n_slots * SLOT + 1, size=n)

    fits = rank < n_slots
    row, motif, rank = row[fits], motif[fits], rank[fits]
    room = SLOT - np.array([len(motif) for motif in MOTIFS])[motif]
    return row, motif, margin[row] + slots[row, rank] * SLOT + rng.integers(room + 1)


def draw_sites(index: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `n` sites of a motif, all bases its consensus allows equally likely: `(n, width)`."""
    allowed = MOTIFS[index].allowed()
    choices = [np.flatnonzero(row) for row in allowed]
    return np.stack([rng.choice(bases, size=n) for bases in choices], axis=1).astype(np.uint8)


def _motif_table(split: str, tokens: np.ndarray, planted: np.ndarray) -> pd.DataFrame:
    table = find_motifs(tokens)
    row, motif, start = planted.T
    found = pd.MultiIndex.from_frame(table[["sequence", "motif", "start"]])
    table["planted"] = found.isin(pd.MultiIndex.from_arrays([row, np.array(NAMES)[motif], start]))
    table.insert(0, "split", split)
    return table
