"""Mondrian cells of conformal prediction: bins of the predicted value, or groups.

Mondrian conformal prediction (Vovk, Gammerman & Shafer 2005) is what happens in one cell, repeated.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from degu_tf.utils.errors import InputError


def edges(mean: np.ndarray, present: np.ndarray, n_bins: int) -> np.ndarray:
    """Edges `(T, n_bins - 1)` between bins of equally many predicted values `(N, T)`.

    Values that are not `present` `(N, T)` are not counted.
    """
    shares = np.arange(1, n_bins) / n_bins
    return np.stack([np.quantile(mean[present[:, t], t], shares) for t in range(mean.shape[1])])


def bins(mean: np.ndarray, edges: np.ndarray) -> list[np.ndarray]:
    """For each target the bin of each predicted value; an edge belongs to the bin above it."""
    return [np.searchsorted(edges[t], mean[:, t], side="right") for t in range(mean.shape[1])]


def labels(groups: object, n_rows: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """A code for each row, and the groups' labels in order, as text.

    Raises
    ------
    InputError
        If there is not one label a row, text or a whole number.
    """
    given = np.asarray(groups)
    if given.shape != (n_rows,) or given.dtype.kind not in "iubUOT":
        raise InputError(
            f"expected a label for each of the {n_rows} sequences, text or whole numbers. "
            f"Received: shape={given.shape}, dtype={given.dtype}"
        )
    codes, found = pd.factorize(given.astype(object) if given.dtype.kind == "T" else given)
    odd = [label for label in found if not isinstance(label, str | int | np.integer | np.bool_)]
    texts = [str(label) for label in found]
    if odd or (codes < 0).any() or len({*texts}) < len(texts):
        missing = int(np.sum(codes < 0))
        raise InputError(
            "expected a label for each sequence, all text or all whole numbers. Received: "
            + (f"{missing} missing" if missing else f"{(odd or texts)[:3]}")
        )
    order = np.argsort(texts)
    return np.argsort(order)[codes], tuple(texts[i] for i in order)


def known(groups: object, n_rows: int, fitted: Sequence[str]) -> np.ndarray:
    """Codes of rows among groups that were fitted.

    Raises
    ------
    InputError
        As `labels`, or if a group is new.
    """
    codes, found = labels(groups, n_rows)
    new = [label for label in found if label not in fitted]
    if new:
        raise InputError(
            f"expected groups that were fitted: {list(fitted[:8])}. Received: {len(new)} others, "
            f"such as {new[0]!r}"
        )
    return np.array([fitted.index(label) for label in found])[codes]


def sort(scores: np.ndarray, codes: np.ndarray, n_cells: int) -> list[np.ndarray]:
    """The scores of each cell in rising order; a cell may be empty."""
    if n_cells == 1:
        return [np.sort(scores)]
    order = np.argsort(codes.astype(np.min_scalar_type(n_cells)), kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=n_cells))[:-1]
    return [np.sort(part) for part in np.split(scores[order], ends)]
