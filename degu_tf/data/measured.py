"""What was measured of each sequence: missing values, and weights of rows or of their values."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from degu_tf.sequences.alphabet import blocks
from degu_tf.utils.errors import InputError

MissingTargets = Literal["refuse", "keep"]
"""What is done with values of targets that are missing (NaN)."""

MISSING_TARGETS = ("refuse", "keep")


def check_missing_targets(missing_targets: str) -> None:
    """Refuse another word than those of `MISSING_TARGETS`."""
    if missing_targets not in MISSING_TARGETS:
        raise InputError(
            f"missing_targets must be one of {MISSING_TARGETS}. Received: {missing_targets=}"
        )


def checked_targets(
    targets: np.ndarray, missing_targets: str, name_of: Callable[[int], str]
) -> np.ndarray:
    """Targets that may be held: finite, or with gaps where these are kept.

    Parameters
    ----------
    targets
        Columns `(N, C)` or `(N, length, C)`.
    missing_targets
        ``"refuse"`` NaN, or ``"keep"`` them as missing values; profiles have none.
    name_of
        Gives the name of a row, for messages.

    Returns
    -------
    numpy.ndarray
        The targets; every NaN has the same bits, so that equal data have equal hashes.

    Raises
    ------
    InputError
        If a value is infinite or missing where it may not be, or a row has no value at all.
    """
    check_missing_targets(missing_targets)
    finite = _finite_rows(targets)
    if finite.all():
        return targets
    keep = missing_targets == "keep" and targets.ndim == 2
    if keep and not np.isinf(targets).any():
        empty = np.isnan(targets).all(axis=1)
        if empty.any():
            row = int(np.argmax(empty))
            raise InputError(
                f"expected a value of one target or more in each row; leave out the {empty.sum()} "
                f"rows without any. Received: no value in row {row} ({name_of(row)})"
            )
        return np.where(np.isnan(targets), targets.dtype.type(np.nan), targets)
    if keep:
        finite = ~np.isinf(targets).any(axis=1)
    row = int(np.argmin(finite))
    values, where = targets[row], f"row {row} ({name_of(row)})"
    if values.ndim == 2:
        position = int(np.argmin(np.isfinite(values).all(axis=1)))
        values, where = values[position], f"{where}, position {position}"
    raise InputError(
        f"targets must be finite{' or missing' if keep else ''}; {np.sum(~finite)} rows are not. "
        f"Drop them or fill them in{_or_keep(targets, keep)}. "
        f"Received: {values.tolist()} in {where}"
    )


def _or_keep(targets: np.ndarray, keep: bool) -> str:
    """The way out for rows that lack some of their targets."""
    some = targets.ndim == 2 and targets.shape[1] > 1 and np.isnan(targets).any()
    if keep or not some:
        return ""
    return "; missing_targets='keep' keeps rows of which some targets were measured"


def check_measured(means: np.ndarray, targets: Sequence[str]) -> None:
    """Refuse rows and targets without any value.

    Parameters
    ----------
    means
        Measured activity `(N, T)`, NaN where missing.
    targets
        Names of the T targets.

    Raises
    ------
    InputError
        If there are any; they are counted or named.
    """
    present = ~np.isnan(means)
    if not present.any(axis=-1).all():
        row = int(np.argmin(present.any(axis=-1)))
        raise InputError(
            "expected a value of one target or more in each row; leave out those without. "
            f"Received: {int((~present.any(axis=-1)).sum())} such, the first in row {row}"
        )
    for target, found in zip(targets, present.reshape(-1, len(targets)).any(axis=0), strict=True):
        if not found:
            raise InputError(
                f"expected a value of each target; leave {target} out, or draw the splits "
                f"otherwise. Received: {len(means)} rows without a value of {target}"
            )


def checked_weights(
    weights: np.ndarray, targets: np.ndarray, name_of: Callable[[int], str]
) -> np.ndarray:
    """Weights of rows `(N,)`, or of the values of each target `(N, T)`, as float32.

    Parameters
    ----------
    weights
        What was given.
    targets
        The columns they are of, `(N, C)`, T for each kind (means, deviations); profiles
        `(N, length, C)` have weights of rows alone.
    name_of
        Gives the name of a row, for messages.

    Raises
    ------
    InputError
        If they are no finite numbers above 0 of such a shape.
    """
    try:
        values = np.asarray(weights, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"weights must be an array of numbers. Received: {error}") from None
    by_value = values.ndim == targets.ndim == 2 and values.shape[1] > 0
    if values.ndim != 1 and not (by_value and targets.shape[1] % values.shape[1] == 0):
        raise InputError(
            "expected one weight a row, an array (N,), or one for each target, (N, targets), of "
            f"targets without profiles. Received: shape {values.shape} for the columns of shape "
            f"{targets.shape}"
        )
    fits = np.isfinite(values) & (values > 0)
    if not fits.all():
        row, *column = np.argwhere(~fits)[0]
        raise InputError(
            "weights must be finite and above 0; leave out rows that are not to count. Received: "
            f"{values[(row, *column)]:g} in row {row} ({name_of(row)}), {np.sum(~fits)} such"
        )
    return values


def check_weighted(weights: np.ndarray | None, targets: Sequence[str]) -> None:
    """Refuse weights of values that have not a column for each target.

    Raises
    ------
    InputError
        If weights `(N, T)` are of another number of targets.
    """
    if weights is not None and weights.ndim == 2 and weights.shape[1] != len(targets):
        raise InputError(
            f"expected weights (N,) or (N, {len(targets)}), a column for each of the targets "
            f"{', '.join(targets)}. Received: shape {weights.shape}"
        )


def value_weights(targets: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
    """The weight of every value in the loss; None where all are 1.

    It is that of its row or target, 0 where the value is missing, divided by the mean over the
    rows: the sum over a column is the number of rows, whatever the weights' unit and however many
    values are missing.

    Parameters
    ----------
    targets
        Columns `(N, C)` or `(N, length, C)`, NaN where missing.
    weights
        Weights of rows `(N,)` or of targets `(N, T)`, which all columns of a target have (its
        mean and its deviation); or None.

    Returns
    -------
    numpy.ndarray or None
        `(N, C)` float32; of profiles `(N, 1, 1)`.

    Examples
    --------
    >>> value_weights(np.array([[1.0, 2.0], [3.0, np.nan]]), None).tolist()
    [[1.0, 2.0], [1.0, 0.0]]
    >>> value_weights(np.zeros((2, 1)), np.array([3.0, 1.0])).tolist()
    [[1.5], [0.5]]
    """
    rows = np.ones(len(targets)) if weights is None else weights.astype(np.float64)
    if targets.ndim == 3:
        return None if weights is None else (rows / rows.mean())[:, None, None].astype(np.float32)
    present = ~np.isnan(targets)
    if weights is None and present.all():
        return None
    if rows.ndim == 1:
        rows = rows[:, np.newaxis]
    else:
        rows = np.tile(rows, targets.shape[1] // rows.shape[1])
    each = present * rows
    mean = each.mean(axis=0)
    return (each / np.where(mean > 0, mean, 1.0)).astype(np.float32)


def _finite_rows(targets: np.ndarray) -> np.ndarray:
    """Which rows are finite, found in blocks: profiles may fill most of the memory."""
    finite = np.empty(len(targets), bool)
    for rows in blocks(len(targets), max(1, targets[:1].size)):
        block = targets[rows]
        finite[rows] = np.isfinite(block.reshape(len(block), -1)).all(axis=1)
    return finite
