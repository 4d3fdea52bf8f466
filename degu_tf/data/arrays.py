"""Arrays in memory as data: sequences in any form, measurements with or without replicates."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from degu_tf.data.measured import MissingTargets, check_missing_targets
from degu_tf.heads import HeadLayout
from degu_tf.sequences.alphabet import is_text
from degu_tf.sequences.encoding import check_sequences, encode, from_one_hot
from degu_tf.utils.errors import InputError


def sequence_array(sequences: Any) -> np.ndarray:
    """Strings, tokens and one-hot arrays as tokens `(N, L)`; numbers that are not one-hot stay.

    Raises
    ------
    InputError
        If they are no sequences of one length.

    Examples
    --------
    >>> sequence_array(["ACGT"]).tolist(), sequence_array(np.eye(4)[np.newaxis]).tolist()
    ([[0, 1, 2, 3]], [[0, 1, 2, 3]])
    """
    if is_text(sequences):
        return encode(sequences)
    array = check_sequences(np.asarray(sequences))
    if array.ndim == 2:
        return array
    fractional = array.dtype.kind == "f" and not np.isin(array, (0, 1)).all()
    return array if fractional else from_one_hot(array)


def measured_columns(
    y: Any,
    targets: Sequence[str] | None = None,
    aleatoric: bool = True,
    missing_targets: MissingTargets = "refuse",
) -> tuple[np.ndarray, HeadLayout]:
    """Measured values as the columns of a layout.

    Parameters
    ----------
    y
        `(N,)`, `(N, targets)`, or with replicates `(N, targets, replicates)`, NaN where one is
        missing: a list, an array, a Series or a DataFrame.
    targets
        Names of the targets; by default those of a DataFrame's columns or a Series, else
        ``"activity"`` for one target, ``"target_0"`` and so on for several.
    aleatoric
        Whether replicates also give the aleatoric columns: their population standard deviation.
    missing_targets
        ``"keep"``: a target without replicates is missing, NaN; one with a single replicate lacks
        its deviation alone.

    Raises
    ------
    InputError
        If the values are no numbers, have another number of axes, names do not fit, or a row has
        fewer than two measured replicates (one without `aleatoric`).

    Examples
    --------
    >>> columns, heads = measured_columns([[[1.0, 3.0]], [[2.0, 2.0]]])
    >>> columns.tolist(), heads.columns
    ([[2.0, 1.0], [2.0, 0.0]], ('activity', 'activity_aleatoric'))
    """
    try:
        values = np.asarray(y, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"y must be an array of numbers. Received: {error}") from None
    if values.ndim not in (1, 2, 3) or 0 in values.shape:
        raise InputError(
            "y must have shape (N,), (N, targets) or (N, targets, replicates); profiles go into "
            f"a Split each. Received: shape {values.shape}"
        )
    values = values[:, np.newaxis] if values.ndim == 1 else values
    names = _names(y, targets, values.shape[1])
    if values.ndim == 2:
        return values, HeadLayout(names)
    heads = HeadLayout(names, aleatoric="std" if aleatoric else None)
    check_missing_targets(missing_targets)
    if missing_targets == "keep":
        _refuse_infinite(values)
        mean, std = present_mean_std(values)
    else:
        _check_replicates(values, 2 if aleatoric else 1)
        mean, std, _ = replicate_mean_std(values)
    return heads.join(mean, std if aleatoric else None), heads


def replicate_mean_std(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, population standard deviation and number of what was measured, over the last axis.

    Missing replicates are NaN; where none was measured the mean and the deviation are 0.

    Examples
    --------
    >>> [each.tolist() for each in replicate_mean_std(np.array([[1.0, 3.0, np.nan]]))]
    [[2.0], [1.0], [2]]
    """
    counts = np.isfinite(values).sum(axis=-1)
    number = np.maximum(counts, 1)
    mean = np.nansum(values, axis=-1) / number
    squares = np.square(values - mean[..., np.newaxis])
    return mean, np.sqrt(np.nansum(squares, axis=-1) / number), counts


def present_mean_std(values: np.ndarray, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation over the last axis, NaN where too little was measured.

    Parameters
    ----------
    values
        Replicates, NaN where one is missing.
    least
        Fewest replicates of a mean; a deviation takes two in any case.

    Examples
    --------
    >>> [each.tolist() for each in present_mean_std(np.array([[1.0, 3.0], [2.0, np.nan]]))]
    [[2.0, 2.0], [1.0, nan]]
    """
    mean, std, counts = replicate_mean_std(values)
    few = counts < least
    return np.where(few, np.nan, mean), np.where(few | (counts < 2), np.nan, std)


def _refuse_infinite(values: np.ndarray) -> None:
    wrong = np.isinf(values).any(axis=(1, 2))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            "expected finite replicates, or NaN where one is missing. "
            f"Received: {values[row].tolist()} in row {row}"
        )


def _names(y: Any, targets: Sequence[str] | None, n: int) -> tuple[str, ...]:
    if targets is None:
        columns = getattr(y, "columns", None)
        name = getattr(y, "name", None)
        if columns is not None:
            targets = [str(column) for column in columns]
        elif isinstance(name, str):
            targets = [name]
        else:
            targets = ["activity"] if n == 1 else [f"target_{index}" for index in range(n)]
    elif isinstance(targets, str):
        targets = [targets]
    if len(targets) != n:
        raise InputError(
            f"expected {n} names in targets, one for each column of y. "
            f"Received: targets={tuple(targets)}"
        )
    return tuple(targets)


def _check_replicates(values: np.ndarray, least: int) -> None:
    measured = np.isfinite(values).sum(axis=-1)
    wrong = (measured < least).any(axis=1) | np.isinf(values).any(axis=(1, 2))
    if wrong.any():
        row = int(np.argmax(wrong))
        hint = ", one with aleatoric=False" if least == 2 else ""
        raise InputError(
            f"expected finite replicates, at least {least} of each target in a row{hint}; leave "
            f"the {wrong.sum()} other rows out. Received: {values[row].tolist()} in row {row}"
        )
