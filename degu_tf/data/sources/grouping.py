"""Splits of rows: random by whole groups of related sequences, or as a column says."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from degu_tf.data.splits import NAMES
from degu_tf.sequences.encoding import reverse_complement
from degu_tf.utils.errors import InputError

FRACTIONS = (0.8, 0.1, 0.1)
"""Shares of train, validation and test in the paper's lentiMPRA data (Methods)."""

SPLIT_NAMES = {
    "train": 0,
    "training": 0,
    "val": 1,
    "valid": 1,
    "validation": 1,
    "test": 2,
    "testing": 2,
}
"""Values a split column may hold, in either case."""

_BLOCK = 8192


def related_groups(tokens: np.ndarray, *labels: np.ndarray) -> np.ndarray:
    """Number the groups of related sequences.

    Two sequences are related if they are equal, if one is the reverse complement of the other, or
    if they share a label; relations are followed through, so a group is a connected component.
    Bases that all sequences share at either end are taken for adapters, which a library does not
    turn round with its inserts: inserts are compared as well as whole sequences.

    Parameters
    ----------
    tokens
        Sequences `(N, L)`, as tokens.
    *labels
        Further relations, each an integer array `(N,)`: rows with equal numbers belong together,
        rows with a negative number have no label.

    Returns
    -------
    numpy.ndarray
        Group numbers `(N,)` from 0 without gaps.

    Raises
    ------
    InputError
        If labels and sequences differ in number.

    Examples
    --------
    >>> from degu_tf.sequences.encoding import encode
    >>> tokens = encode(["AACC", "GGTT", "ACTA", "CAGC"])
    >>> related_groups(tokens).tolist(), related_groups(tokens, np.array([-1, 5, 5, -1])).tolist()
    ([0, 0, 1, 2], [0, 0, 0, 1])
    """
    n_rows = len(tokens)
    relations = [_strand_labels(tokens)]
    insert = insert_between_adapters(tokens)
    if insert != slice(0, tokens.shape[1]):
        relations.append(_strand_labels(tokens[:, insert]))
    for label in labels:
        if np.shape(label) != (n_rows,):
            raise InputError(
                f"expected one label for each of the {n_rows} sequences. "
                f"Received: shape {np.shape(label)}"
            )
        relations.append(np.asarray(label))

    of_rows, of_nodes, n_nodes = [], [], n_rows
    for label in relations:
        labelled = np.flatnonzero(label >= 0)
        values, codes = np.unique(label[labelled], return_inverse=True)
        of_rows.append(labelled)
        of_nodes.append(n_nodes + codes)
        n_nodes += len(values)
    rows, nodes = np.concatenate(of_rows), np.concatenate(of_nodes)
    graph = coo_array((np.ones(len(rows), np.int8), (rows, nodes)), shape=(n_nodes, n_nodes))
    components = connected_components(graph, directed=False)[1][:n_rows]
    return np.unique(components, return_inverse=True)[1]


def draw_split(
    groups: np.ndarray, fractions: Sequence[float] = FRACTIONS, seed: int = 0
) -> np.ndarray:
    """Deal whole groups to train, validation and test, as near to the fractions as they permit.

    Groups are dealt from the largest to the smallest, equal ones in random order. Each goes to a
    split drawn with probability proportional to the rows it still lacks, among those with room for
    the group, so that large groups are not all in train; one that fits nowhere goes where most is
    lacking, at the others' expense in proportion. No split stays empty. The draw depends on the
    seed and on the order of the rows.

    Parameters
    ----------
    groups
        Group numbers `(N,)`, from `related_groups`.
    fractions
        Shares of train, validation and test; positive, with the sum 1.
    seed
        Seed of the draw.

    Returns
    -------
    numpy.ndarray
        `(N,)` uint8: 0 for train, 1 for validation, 2 for test.

    Raises
    ------
    InputError
        If the fractions are not three positive numbers with the sum 1, or there are fewer than
        three groups.

    Examples
    --------
    >>> np.bincount(draw_split(np.arange(20) // 2)).tolist()
    [16, 2, 2]
    """
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise InputError(
            "fractions must be three positive numbers for train, validation and test with the "
            f"sum 1. Received: fractions={tuple(fractions)}"
        )
    sizes = np.bincount(groups)
    n_groups = len(sizes)
    if n_groups < 3:
        raise InputError(
            "expected at least three groups of unrelated sequences, one for each split. "
            f"Received: {n_groups} groups in {len(groups)} rows"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(n_groups)
    order = order[np.argsort(-sizes[order], kind="stable")]
    lacking = (shares * len(groups)).tolist()
    empty = {0, 1, 2}
    dealt = np.empty(n_groups, np.uint8)
    for position, (group, size, draw) in enumerate(
        zip(order.tolist(), sizes[order].tolist(), rng.random(n_groups).tolist(), strict=True)
    ):
        candidates = empty if n_groups - position <= len(empty) else (0, 1, 2)
        split = _choose([s for s in candidates if lacking[s] >= size], lacking, draw)
        if split is None:
            split = max(candidates, key=lacking.__getitem__)
        dealt[group] = split
        empty.discard(split)
        lacking[split] -= size
        if lacking[split] < 0:
            _share_excess(lacking, split)
    return dealt[groups]


def read_split(values: pd.Series, labels: Sequence[str]) -> np.ndarray:
    """Turn a column of split names into numbers.

    Parameters
    ----------
    values
        `(N,)` names, those of `SPLIT_NAMES` in either case.
    labels
        `(N,)` what messages call the rows.

    Returns
    -------
    numpy.ndarray
        `(N,)` uint8: 0 for train, 1 for validation, 2 for test.

    Raises
    ------
    InputError
        If a name is unknown, or a split has no row.

    Examples
    --------
    >>> read_split(pd.Series(["Test", "train", "val"]), ["row 1", "row 2", "row 3"]).tolist()
    [2, 0, 1]
    """
    codes = values.astype(str).str.strip().str.casefold().map(SPLIT_NAMES).fillna(-1).to_numpy(int)
    if (codes < 0).any():
        row = int(np.argmin(codes))
        raise InputError(
            f"expected one of {', '.join(SPLIT_NAMES)} in the split column {values.name!r}. "
            f"Received: {values.iloc[row]!r} in {labels[row]}"
        )
    absent = [kind for code, kind in enumerate(NAMES) if code not in codes]
    if absent:
        raise InputError(
            f"the split column {values.name!r} must name rows of train, validation and test; "
            f"leave it out to draw them at random. Received: no rows of {', '.join(absent)}"
        )
    return codes.astype(np.uint8)


def count_divided(groups: np.ndarray, split: np.ndarray) -> int:
    """How many groups have rows in more than one split.

    Parameters
    ----------
    groups
        Group numbers `(N,)`, from `related_groups`.
    split
        The split of each row `(N,)`, as 0, 1 or 2.

    Examples
    --------
    >>> count_divided(np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1]))
    1
    """
    pairs = np.unique(groups.astype(np.int64) * len(NAMES) + split)
    return int(np.sum(np.bincount(pairs // len(NAMES)) > 1))


def _share_excess(lacking: list[float], split: int) -> None:
    """Let the other splits lack less, in proportion, of what this one has too much."""
    excess, lacking[split] = -lacking[split], 0.0
    rest = sum(lacking)
    for other in range(len(lacking)):
        lacking[other] *= max(0.0, 1 - excess / rest) if rest else 1.0


def _choose(candidates: list[int], weights: list[float], draw: float) -> int | None:
    """Pick a candidate by weight with a uniform draw, or None if there are none."""
    threshold = draw * sum(weights[candidate] for candidate in candidates)
    for candidate in candidates:
        threshold -= weights[candidate]
        if threshold < 0:
            return candidate
    return candidates[-1] if candidates else None


def insert_between_adapters(tokens: np.ndarray) -> slice:
    """Where sequences differ: what lies between the bases that all share at either end."""
    differing = np.flatnonzero(tokens.min(axis=0) != tokens.max(axis=0))
    if not len(differing):
        return slice(0, tokens.shape[1])
    return slice(int(differing[0]), int(differing[-1]) + 1)


def _strand_labels(tokens: np.ndarray) -> np.ndarray:
    """Number sequences so that equal ones and reverse complements of one another are equal."""
    canonical = np.empty(tokens.shape, np.uint8)
    for start in range(0, len(tokens), _BLOCK):
        rows = slice(start, start + _BLOCK)
        forward = tokens[rows]
        backward = reverse_complement(forward)
        first = np.argmax(forward != backward, axis=1)[:, None]
        turn = np.take_along_axis(backward, first, 1) < np.take_along_axis(forward, first, 1)
        canonical[rows] = np.where(turn, backward, forward)
    records = canonical.view(f"V{tokens.shape[1]}").ravel().tolist()
    return pd.factorize(np.array(records, dtype=object))[0]
