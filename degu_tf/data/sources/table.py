"""Tables with a sequence column and measurements, read into `Splits`.

Values are checked row by row, replicates become a mean and a standard deviation, and what belongs
together (groups, duplicates, both strands of a sequence) stays in one split.
"""

import logging
import os
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from degu_tf.data.arrays import present_mean_std, replicate_mean_std
from degu_tf.data.measured import MissingTargets, check_missing_targets
from degu_tf.data.sources.grouping import (
    FRACTIONS,
    count_divided,
    draw_split,
    insert_between_adapters,
    read_split,
    related_groups,
)
from degu_tf.data.sources.similarity import similar_groups
from degu_tf.data.sources.text_tables import read_frame
from degu_tf.data.splits import NAMES, Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.sequences.encoding import encode
from degu_tf.utils.errors import InputError

log = logging.getLogger("degu_tf")

MISSING = ("", "na", "n/a", "#n/a", "nan", "<na>", "null", "none")
"""Texts that stand for a missing value, in either case."""


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
    split: str | None = None,
    group: str | Sequence[str] | None = None,
    similar: int | None = None,
    name: str | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
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
        Column of the sequences' names.
    fractions
        Shares of train, validation and test.
    seed
        Seed of the random split.

    Returns
    -------
    Splits
        Rows keep their order within each split.

    Raises
    ------
    InputError
        If the file cannot be read as a table, a column is missing, a value is missing or not a
        finite number (row and column are named), sequences are not DNA of one length, or a split
        would be empty.

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
    plain = _targets(targets)
    repeated = _replicates(replicates, aleatoric, min_replicates, missing_targets)
    measured = _measured(plain, repeated)
    group = [group] if isinstance(group, str) else list(group or ())
    optional = [column for column in (split, name, weight) if column is not None]
    frame = read_frame(path, [sequence, *measured, *optional, *group])
    labels = _row_labels(frame, name)

    check_missing_targets(missing_targets)
    if missing_targets == "keep":
        heads, values, keep = _with_gaps(frame, plain, repeated, labels, aleatoric, min_replicates)
        reason = "no value of any target"
        if repeated is None and not drop_missing and not keep.all():
            raise InputError(
                f"{np.sum(~keep)} of {len(keep)} rows have no value of any target; leave them out "
                f"with drop_missing=True. Received: no value in {labels[np.argmin(keep)]}"
            )
    elif repeated is None:
        heads, values, keep, reason = _single(frame, plain or {}, labels, drop_missing)
    else:
        needed = min_replicates or (2 if aleatoric else 1)
        heads, values, keep, reason = _replicated(frame, repeated, labels, aleatoric, needed)
    messages = _left_out(keep, reason, labels)
    if drop_missing:
        missing = _is_missing(frame[sequence])
        messages += _left_out(~missing, "no sequence", labels)
        keep &= ~missing
    if not keep.any():
        raise InputError(f"no row can be used. Received: {'; '.join(messages)}")

    frame, labels = frame[keep], labels[keep]
    weights = None if weight is None else _weights(frame, weight, labels)
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
    names = None if name is None else frame[name].astype(object).to_numpy()
    for message in messages:
        warnings.warn(message, TableWarning, stacklevel=2)
    sizes = np.bincount(codes).tolist()
    log.info("read %d of %d rows: train, validation, test %s", len(frame), len(keep), sizes)
    data = Split(tokens, values[keep], names, weights=weights, missing_targets=missing_targets)
    parts = {kind: data.take(np.flatnonzero(codes == code)) for code, kind in enumerate(NAMES)}
    return Splits.from_parts(parts, heads)


def _measured(
    plain: Mapping[str, str] | None, repeated: Mapping[str, Sequence[str]] | None
) -> list[str]:
    """Columns of measurements, of single values or of replicates."""
    if plain is not None and repeated is None:
        return list(plain.values())
    if repeated is not None and plain is None:
        return [column for columns in repeated.values() for column in columns]
    raise InputError(
        "give either targets (columns of single values) or replicates, not both: all targets have "
        f"an aleatoric column or none has. Received: targets={plain}, replicates={repeated}"
    )


def _targets(targets: Sequence[str] | Mapping[str, str] | None) -> dict[str, str] | None:
    if targets is None:
        return None
    if isinstance(targets, str) or not len(targets) or len(set(targets)) != len(targets):
        raise InputError(
            "targets must be a list of different columns or a mapping of names to columns. "
            f"Received: {targets=}"
        )
    return dict(targets) if isinstance(targets, Mapping) else {name: name for name in targets}


def _replicates(
    replicates: Mapping[str, Sequence[str]] | None,
    aleatoric: bool,
    min_replicates: int | None,
    missing_targets: MissingTargets,
) -> dict[str, list[str]] | None:
    least = 2 if aleatoric and missing_targets == "refuse" else 1
    if min_replicates is not None and min_replicates < least:
        raise InputError(
            f"min_replicates must be {least} or more"
            f"{': a standard deviation needs two values' if least == 2 else ''}. "
            f"Received: {min_replicates=}, {aleatoric=}"
        )
    if replicates is None:
        return None
    needed = min_replicates or least
    if not isinstance(replicates, Mapping) or not replicates:
        raise InputError(
            "replicates must map each target to its columns, as in "
            f"{{'activity': ['rep1', 'rep2']}}. Received: {replicates=}"
        )
    for target, columns in replicates.items():
        if isinstance(columns, str) or len(set(columns)) != len(columns) or len(columns) < needed:
            raise InputError(
                f"expected at least {needed} different columns of replicates for {target!r}. "
                f"Received: {columns!r}"
            )
    return {target: list(columns) for target, columns in replicates.items()}


def _row_labels(frame: pd.DataFrame, name: str | None) -> np.ndarray:
    """Labels of rows for messages: counted from 1 below the header, with the name if any."""
    rows = [f"row {row}" for row in range(1, len(frame) + 1)]
    if name is not None:
        rows = [f"{row} ({text})" for row, text in zip(rows, frame[name], strict=True)]
    return np.array(rows, dtype=object)


def _is_missing(series: pd.Series) -> np.ndarray:
    missing = series.isna().to_numpy(bool)
    if pd.api.types.is_numeric_dtype(series):
        return missing
    return missing | series.astype(str).str.strip().str.casefold().isin(MISSING).to_numpy(bool)


def _numbers(frame: pd.DataFrame, columns: Sequence[str], labels: np.ndarray) -> np.ndarray:
    """Read columns as numbers `(N, columns)` float64 with NaN where missing; refuse other text."""
    values = np.empty((len(frame), len(columns)))
    for index, column in enumerate(columns):
        series = frame[column]
        missing = _is_missing(series)
        numbers = pd.to_numeric(series.mask(missing), errors="coerce")
        values[:, index] = numbers.to_numpy(dtype=float, na_value=np.nan)
        wrong = np.flatnonzero(~missing & ~np.isfinite(values[:, index]))
        if len(wrong):
            raise InputError(
                f"expected finite numbers in column {column!r}. "
                f"Received: {series.iloc[wrong[0]]!r} in {labels[wrong[0]]}"
            )
    return values


def _single(
    frame: pd.DataFrame, targets: Mapping[str, str], labels: np.ndarray, drop_missing: bool
) -> tuple[HeadLayout, np.ndarray, np.ndarray, str]:
    """Read columns of single values: heads, values, which rows to keep, why not the others."""
    columns = list(targets.values())
    values = _numbers(frame, columns, labels)
    keep = np.isfinite(values).all(axis=1)
    if not drop_missing and not keep.all():
        row, column = np.argwhere(np.isnan(values))[0]
        raise InputError(
            f"{np.sum(~keep)} of {len(keep)} rows lack a value in a target column. Fill them in, "
            "or leave such rows out with drop_missing=True. Received: no value in column "
            f"{columns[column]!r} of {labels[row]}"
        )
    return HeadLayout(tuple(targets)), values, keep, f"no value in {' or '.join(columns)}"


def _replicated(
    frame: pd.DataFrame,
    replicates: Mapping[str, list[str]],
    labels: np.ndarray,
    aleatoric: bool,
    needed: int,
) -> tuple[HeadLayout, np.ndarray, np.ndarray, str]:
    """Sum up replicates: heads, values, which rows to keep, why not the others."""
    mean, std, counts = (np.empty((len(frame), len(replicates))) for _ in range(3))
    for index, columns in enumerate(replicates.values()):
        summary = replicate_mean_std(_numbers(frame, columns, labels))
        mean[:, index], std[:, index], counts[:, index] = summary
    heads = HeadLayout(tuple(replicates), aleatoric="std" if aleatoric else None)
    values = heads.join(mean, std if aleatoric else None)
    keep = np.asarray((counts >= needed).all(axis=1))
    return heads, values, keep, f"fewer than {needed} measured replicates"


def _with_gaps(
    frame: pd.DataFrame,
    plain: Mapping[str, str] | None,
    repeated: Mapping[str, list[str]] | None,
    labels: np.ndarray,
    aleatoric: bool,
    min_replicates: int | None,
) -> tuple[HeadLayout, np.ndarray, np.ndarray]:
    """Read columns, NaN where a target is missing: heads, values, which rows have any."""
    if plain is not None:
        values, heads = _numbers(frame, list(plain.values()), labels), HeadLayout(tuple(plain))
    else:
        each = [
            present_mean_std(_numbers(frame, columns, labels), min_replicates or 1)
            for columns in (repeated or {}).values()
        ]
        heads = HeadLayout(tuple(repeated or ()), aleatoric="std" if aleatoric else None)
        mean, std = (np.stack(part, axis=1) for part in zip(*each, strict=True))
        values = heads.join(mean, std if aleatoric else None)
    return heads, values, ~np.isnan(heads.take(values, "mean")).all(axis=1)


def _weights(frame: pd.DataFrame, column: str, labels: np.ndarray) -> np.ndarray:
    """Read a column of weights of rows."""
    weights = _numbers(frame, [column], labels)[:, 0]
    wrong = np.flatnonzero(~(weights > 0))
    if len(wrong):
        value = weights[wrong[0]]
        raise InputError(
            f"expected weights above 0 in column {column!r}; leave out rows that are not to count. "
            f"Received: {'no value' if np.isnan(value) else f'{value:g}'} in {labels[wrong[0]]}, "
            f"{len(wrong)} such"
        )
    return weights


def _left_out(keep: np.ndarray, reason: str, labels: np.ndarray) -> list[str]:
    dropped = np.flatnonzero(~keep)
    if not len(dropped):
        return []
    message = f"{len(dropped)} of {len(keep)} rows have {reason}"
    return [f"{message} and are left out (first {labels[dropped[0]]})"]


def _codes(series: pd.Series) -> np.ndarray:
    """Number the values of a column; -1 where there is none."""
    return pd.factorize(series.mask(_is_missing(series)))[0]


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
