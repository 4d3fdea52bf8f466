"""Near-identical sequences: those that share a long stretch belong in one split.

Reference and alternative alleles, tiles of one element and indels differ as whole strings but share
most of their bases. A shared stretch of K bases, on either strand, at any offset, finds them all.
"""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from degu_tf.sequences.alphabet import UNKNOWN
from degu_tf.sequences.encoding import reverse_complement
from degu_tf.utils.errors import InputError

SHORTEST = 20
"""Shorter stretches are shared by chance or through adapters."""

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def similar_groups(tokens: np.ndarray, stretch: int) -> np.ndarray:
    """Group numbers `(N,)`: sequences linked by a shared stretch, directly or through others.

    Stretches with an unknown base are not compared. Two different stretches are taken for the same
    with a probability of about one in 10^19, which could only merge groups.

    Parameters
    ----------
    tokens
        Tokens `(N, L)`.
    stretch
        Bases in a row that two sequences must share; more than the library's adapters have.

    Raises
    ------
    InputError
        If the stretch is shorter than `SHORTEST` or longer than the sequences.

    Examples
    --------
    >>> from degu_tf.sequences.encoding import encode
    >>> element = "ACGATTGCAATCGGATTACCAGT"
    >>> other = "TTTTTTTTTTTTTTTTTTTTTTA"
    >>> similar_groups(encode(["GG" + element, element + "CC", "CA" + other]), 20).tolist()
    [0, 0, 1]
    """
    n, length = tokens.shape
    if not SHORTEST <= stretch <= length:
        raise InputError(
            f"the shared stretch must have {SHORTEST} to {length} bases. Received: {stretch}"
        )
    sources, links = [], []
    for strand in (tokens, reverse_complement(tokens)):
        hashes, known = _stretch_hashes(strand, stretch)
        sources.append(np.repeat(np.arange(n), known.sum(axis=1)))
        links.append(hashes[known])
    _, stretches = np.unique(np.concatenate(links), return_inverse=True)
    rows = np.concatenate(sources)
    n_stretches = int(stretches.max()) + 1 if len(stretches) else 0
    edges = coo_matrix(
        (np.ones(len(rows), np.int8), (rows, n + stretches)), shape=(n + n_stretches,) * 2
    )
    _, components = connected_components(edges, directed=False)
    return np.unique(components[:n], return_inverse=True)[1]


def _stretch_hashes(tokens: np.ndarray, stretch: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash every stretch, `(N, L - stretch + 1)`, and tell which hold known bases only."""
    n_starts = tokens.shape[1] - stretch + 1
    hashes = np.zeros((len(tokens), n_starts), np.uint64)
    unknown = np.zeros((len(tokens), n_starts), bool)
    for offset in range(stretch):
        part = tokens[:, offset : offset + n_starts]
        hashes *= _MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
        hashes += part + np.uint64(1)
        unknown |= part == UNKNOWN
    return hashes, ~unknown
