"""Random Eulerian paths, for the dinucleotide-preserving shuffle.

A sequence is a path over its five symbols; every path with the same edges is drawn with equal
probability, after Altschul and Erickson, Mol. Biol. Evol. 2:526 (1985).
"""

import functools
import itertools

import numpy as np


@functools.cache
def _trees() -> np.ndarray:
    """List the trees over five symbols directed to a root, as `(root, tree, symbol) -> next`.

    Cayley: 125 for each root. The root points to itself.
    """
    trees: list[list[tuple[int, ...]]] = [[] for _ in range(5)]
    for following in itertools.product(range(5), repeat=5):
        for root in range(5):
            ends = list(range(5))
            for _ in range(4):
                ends = [following[symbol] for symbol in ends]
            if following[root] == root and ends == [root] * 5:
                trees[root].append(following)
    return np.array(trees)


def shuffle_paths(tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw for each row of tokens `(N, L)`, L at least 2, a path with the same edges and start."""
    n_sequences, length = tokens.shape
    rows = np.arange(n_sequences)
    before, after = tokens[:, :-1], tokens[:, 1:]
    pairs = rows[:, None] * 25 + before * np.uint8(5) + after
    counts = np.bincount(pairs.ravel(), minlength=n_sequences * 25).reshape(-1, 5, 5)
    last = _draw_last_edges(counts, tokens[:, -1], rng)
    edges = _order_edges(before, after, last, rng)

    n_leaving = counts.sum(axis=2)
    pointers = rows[:, None] * (length - 1) + np.cumsum(n_leaving, axis=1) - n_leaving
    pointers, edges = pointers.ravel(), edges.ravel()
    walk = np.empty((length, n_sequences), np.uint8)
    walk[0] = tokens[:, 0]
    for step in range(1, length):
        here = rows * 5 + walk[step - 1]
        walk[step] = edges[pointers[here]]
        pointers[here] += 1
    return walk.T


def _draw_last_edges(counts: np.ndarray, roots: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw where each symbol goes when left for the last time, `(N, 5)`.

    The last edges must form a tree to the final symbol; a tree weighs as many edges as there are to
    make it of, the product of its counts. A symbol that never occurs is hung on the root.
    """
    rows = np.arange(len(counts))
    ways = counts.astype(np.float64)
    absent = counts.sum(axis=2) == 0
    ways[rows, :, roots] = np.where(absent, 1, ways[rows, :, roots])
    ways[rows, roots, roots] = 1
    trees = _trees()[roots]
    weights = np.ones(trees.shape[:2])
    for symbol in range(5):
        weights *= np.take_along_axis(ways[:, symbol], trees[:, :, symbol], axis=1)
    cumulative = np.cumsum(weights, axis=1)
    total = cumulative[:, -1]
    drawn = np.minimum(rng.random(len(counts)) * total, np.nextafter(total, 0))
    last = trees[rows, (cumulative <= drawn[:, None]).sum(axis=1)]
    last[rows, roots] = -1  # the walk ends at the final symbol, whichever of its edges came last
    return last


def _order_edges(
    before: np.ndarray, after: np.ndarray, last: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """List each sequence's following symbols by the symbol they leave, in random order, last last.

    One integer an edge: the symbol left (from bit 61), whether it is the last edge (bit 60), a
    random number, the following symbol (bits 0 to 2). Sorting the integers sorts the edges.
    """
    keys = rng.integers(0, 2**57, size=before.shape, dtype=np.uint64) << np.uint64(3)
    keys |= after
    keys |= before.astype(np.uint64) << np.uint64(61)
    rows = np.arange(len(before))
    for symbol in range(5):
        candidates = (before == symbol) & (after == last[:, symbol, None])
        chosen = candidates.argmax(axis=1)  # like edges are interchangeable, so any one will do
        found = candidates[rows, chosen]
        keys[rows[found], chosen[found]] |= np.uint64(1 << 60)
    keys.sort(axis=1)
    return (keys & np.uint64(7)).astype(np.uint8)
