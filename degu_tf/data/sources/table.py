"""Tables with a sequence column and measurements, read into `Splits`.

Values are checked row by row, replicates become a mean and a standard deviation, and what belongs
together (groups, duplicates, both strands of a sequence) stays in one split.
"""

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from degu_tf.data.measured import MissingTargets
from degu_tf.data.sources.grouping import (
    FRACTIONS,
    count_divided,
    draw_split,
    insert_between_adapters,
    read_split,
    related_groups,
)
from degu_tf.data.sources.measured_columns import (
    Measured,
    MeasuredColumns,
    is_missing,
    numbers,
    replicate_weights,
    row_weights,
)
from degu_tf.data.sources.normalisation import Normalisation, batch_centres
from degu_tf.data.sources.similarity import similar_groups
from degu_tf.data.sources.text_tables import header_of, name_column, read_frame
from degu_tf.data.splits import NAMES, Split, Splits
from degu_tf.heads import Task
from degu_tf.sequences.encoding import encode
from degu_tf.utils.errors import InputError

log = logging.getLogger("degu_tf")


class TableWarning(UserWarning):
    """Rows of a table were left out, or its splits are not what they should be."""


def read_table(
    path: str | os.PathLike | pd.DataFrame,
    sequence: str = "seq",
    *,
    targets: Sequence[str] | Mapping[str, str] | None = None,
    replicates: Mapping[str, Sequence[str]] | None = None,
    aleatoric: bool = True,
    min_replicates: int | None = None,
    drop_missing: bool = False,
    missing_targets: MissingTargets = "refuse",
    weight: str | None = None,
    weight_by_replicates: bool = False,
    split: str | None = None,
    group: str | Sequence[str] | None = None,
    similar: int | None = None,
    name: str | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    log2: bool | Sequence[str] = False,
    pseudocount: float = 0.0,
    centre_by: str | None = None,
    task: Task = "regression",
) -> Splits:
    """Read a table with one sequence in each row.

    Without a split column, rows are drawn at random by `fractions` and `seed`; rows that share a
    value of a group column, equal sequences and reverse complements of one another (adapters
    aside) stay together, see `degu_tf.data.sources.grouping`. Rows that are left out and splits
    that differ from the request are counted in a `TableWarning`; the result is logged (INFO).

    Parameters
    ----------
    path
        TSV, CSV (comma or semicolon; both may be gzipped) or parquet file, detected from file
        content; or a DataFrame.
    sequence
        Column of the sequences, all of one length.
    targets
        Columns with one measured value each, or names of targets mapped to columns.
    replicates
        Names of targets mapped to their replicates' columns. The target is the mean of what was
        measured. Either `targets` or `replicates`, so that all targets have an aleatoric column or
        none has.
    aleatoric
        Whether replicates also give the aleatoric columns: the population standard deviation
        (ddof 0) over the measured replicates (paper, Methods).
    min_replicates
        Rows with fewer measured replicates of a target are left out. By default 2, and 1 if
        `aleatoric` is off; a standard deviation needs 2.
    drop_missing
        Leave out rows without a sequence or without a value in a column of `targets`, instead of
        refusing them; with ``missing_targets="keep"``, rows without any value.
    missing_targets
        ``"keep"`` rows of which some targets are missing; models learn from the values present.
        A target is missing where fewer than `min_replicates` (then 1) replicates were measured,
        its aleatoric column where fewer than 2.
    weight
        Column of weights, such as numbers of barcodes, finite and above 0: how much each row
        counts in the loss (`Split.weights`).
    weight_by_replicates
        Each target of a row counts by the number of its replicates that were measured, since the
        variance of a mean falls with it. Either this or `weight`.
    split
        Column with train, val, valid, validation or test (either case), used as it is instead of
        `fractions` and `seed`; groups that it divides are counted in a `TableWarning`.
    group
        One or more columns; rows with equal values in any of them stay in one split. A row with an
        empty value is in a group of its own.
    similar
        Rows whose sequences, adapters aside, share this many bases in a row on either strand
        stay in one split, as alleles and overlapping tiles do (see
        `degu_tf.data.sources.similarity`).
    name
        Column of the sequences' names. By default a column called `name` or, without one, `id`,
        in either case; a `TableWarning` says which is taken where there are both.
    fractions
        Shares of train, validation and test.
    seed
        Seed of the random split.
    log2
        Take the binary logarithm of all measured values (True), or of those of the targets named;
        of replicates before their mean and standard deviation.
    pseudocount
        Added to each value before its logarithm is taken.
    centre_by
        Column of batches. From each measured value, after its logarithm, the mean of its column
        over its batch's training rows is subtracted, of replicates each by itself, before their
        mean and standard deviation. Rows of validation and test have no part in the centres; a
        batch without training rows is refused.
    task
        ``"binary"`` where the columns of `targets` hold 0 and 1: models then predict probabilities.

    Returns
    -------
    Splits
        Rows keep their order within each split. `Splits.normalisation` records the logarithms and
        the batches' centres.

    Raises
    ------
    InputError
        If the file cannot be read as a table, a column is missing, a value is missing or not a
        finite number (row and column are named) or has no logarithm, sequences are not DNA of one
        length, a split would be empty, or a batch has no training row.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "seq": ["AACA", "ACGA", "AGTC"], "rep1": [1.0, 2.0, 4.0], "rep2": [3.0, 2.0, 5.0],
    ...     "part": ["train", "val", "test"],
    ... })
    >>> splits = read_table(table, replicates={"activity": ["rep1", "rep2"]}, split="part")
    >>> splits.heads.columns, splits.train.targets.tolist()
    (('activity', 'activity_aleatoric'), [[2.0, 1.0]])
    """
    columns = MeasuredColumns.of(
        targets, replicates, aleatoric, min_replicates, drop_missing, missing_targets
    )
    group = [group] if isinstance(group, str) else list(group or ())
    messages: list[str] = []
    if name is None:
        name, messages = name_column(header_of(path), {sequence, *columns.names})
    optional = [column for column in (split, name, centre_by, weight) if column is not None]
    _check_task(task, replicates, log2, centre_by)
    normalisation = Normalisation(log2, pseudocount, centre_by)
    logged = normalisation.columns(columns.by_target)
    frame = read_frame(path, [sequence, *columns.names, *optional, *group])
    labels: Any = _row_labels(frame, name)
    if logged:
        given = numbers(frame, logged, labels)
        frame = _with(frame, logged, normalisation.logarithms(given, logged, labels))

    measured = columns.read(frame, labels)
    heads, values, keep = replace(measured.heads, task=task), measured.values, measured.keep
    weights = _weights(frame, weight, weight_by_replicates, measured, labels)
    messages += _left_out(keep, measured.reason, labels)
    if drop_missing:
        missing = is_missing(frame[sequence])
        messages += _left_out(~missing, "no sequence", labels)
        keep &= ~missing
    if not keep.any():
        raise InputError(f"no row can be used. Received: {'; '.join(messages)}")

    frame, values, labels = frame[keep], values[keep], labels[keep]
    weights = None if weights is None else weights[keep]
    tokens = encode(frame[sequence].tolist(), labels)
    relations = [_codes(frame[column]) for column in group]
    if similar is not None:
        relations.append(similar_groups(tokens[:, insert_between_adapters(tokens)], similar))
    groups = related_groups(tokens, *relations)
    if split is None:
        codes = draw_split(groups, fractions, seed)
        messages += _uneven(codes, groups, fractions)
    else:
        codes = read_split(frame[split], labels)
        messages += _divided(codes, groups, split)
    centres: dict[str, dict[str, float]] = {}
    if centre_by is not None:
        frame, centres, few = _centred(frame, centre_by, columns.names, codes == 0, labels)
        values, messages = columns.read(frame, labels).values, [*messages, *few]
    names = None if name is None else frame[name].astype(object).to_numpy()
    for message in messages:
        warnings.warn(message, TableWarning, stacklevel=2)
    sizes = np.bincount(codes).tolist()
    log.info("read %d of %d rows: train, validation, test %s", len(frame), len(keep), sizes)
    data = Split(tokens, values, names, weights=weights, missing_targets=missing_targets)
    parts = {kind: data.take(np.flatnonzero(codes == code)) for code, kind in enumerate(NAMES)}
    record = normalisation.record(logged, centres)
    return replace(Splits.from_parts(parts, heads), normalisation=record)


def _weights(
    frame: pd.DataFrame,
    weight: str | None,
    by_replicates: bool,
    measured: Measured,
    labels: np.ndarray,
) -> np.ndarray | None:
    """Weights of the table's rows or values; of rows that are left out they are 1."""
    if weight is not None and by_replicates:
        raise InputError(
            "expected weights by a column or by replicates, not both. "
            f"Received: weight={weight!r}, weight_by_replicates=True"
        )
    if by_replicates:
        return replicate_weights(measured.counts)
    if weight is None:
        return None
    weights = np.ones(len(frame))
    weights[measured.keep] = row_weights(frame[measured.keep], weight, labels[measured.keep])
    return weights


def _check_task(task: Task, repeated: object, log2: object, centre_by: str | None) -> None:
    """Refuse what changes measurements into something else than 0 and 1."""
    if task == "binary" and (repeated is not None or log2 is not False or centre_by is not None):
        raise InputError(
            "binary targets are columns of 0 and 1, given as targets, without logarithms or "
            "batches. Received: task='binary' with "
            f"replicates={repeated}, log2={log2}, centre_by={centre_by}"
        )


def _with(frame: pd.DataFrame, columns: Sequence[str], values: np.ndarray) -> pd.DataFrame:
    """The table with other values `(N, columns)` in some columns."""
    changed = frame.copy()
    for index, column in enumerate(columns):
        changed[column] = values[:, index]
    return changed


def _centred(
    frame: pd.DataFrame,
    batch: str,
    measured: Sequence[str],
    is_train: np.ndarray,
    labels: np.ndarray,
) -> tuple[pd.DataFrame, dict[str, dict[str, float]], list[str]]:
    """The table with measured values centred by batch, the centres, and what to warn of."""
    missing = is_missing(frame[batch])
    if missing.any():
        raise InputError(
            f"expected a batch for every row in the column {batch!r}. "
            f"Received: none in {missing.sum()} rows, first {labels[np.argmax(missing)]}"
        )
    columns = list(dict.fromkeys(measured))
    values, centres, messages = batch_centres(
        numbers(frame, columns, labels), frame[batch].tolist(), is_train, columns
    )
    return _with(frame, columns, values), centres, messages


def _row_labels(frame: pd.DataFrame, name: str | None) -> np.ndarray:
    """Labels of rows for messages: counted from 1 below the header, with the name if any."""
    rows = [f"row {row}" for row in range(1, len(frame) + 1)]
    if name is not None:
        rows = [f"{row} ({text})" for row, text in zip(rows, frame[name], strict=True)]
    return np.array(rows, dtype=object)


def _left_out(keep: np.ndarray, reason: str, labels: np.ndarray) -> list[str]:
    dropped = np.flatnonzero(~keep)
    if not len(dropped):
        return []
    message = f"{len(dropped)} of {len(keep)} rows have {reason}"
    return [f"{message} and are left out (first {labels[dropped[0]]})"]


def _codes(series: pd.Series) -> np.ndarray:
    """Number the values of a column; -1 where there is none."""
    return pd.factorize(series.mask(is_missing(series)))[0]


def _divided(codes: np.ndarray, groups: np.ndarray, split: str) -> list[str]:
    divided = count_divided(groups, codes)
    if not divided:
        return []
    return [
        f"{divided} of {groups.max() + 1} groups of related sequences (equal group, equal "
        f"sequence or reverse complement) are divided by the split column {split!r}; "
        "measures on test are too good where a relative is in train"
    ]


def _uneven(codes: np.ndarray, groups: np.ndarray, fractions: Sequence[float]) -> list[str]:
    shares = np.bincount(codes, minlength=3) / len(codes)
    if np.abs(shares - np.asarray(fractions)).max() <= 0.05:
        return []
    return [
        f"the shares of train, validation and test are {', '.join(f'{s:.2f}' for s in shares)}, "
        f"not {', '.join(f'{f:.2f}' for f in fractions)}: groups of related sequences stay whole, "
        f"and the largest has {np.bincount(groups).max()} of {len(groups)} rows"
    ]
