"""Measured columns of a table: which they are, read as numbers, and summed up by target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from degu_tf.data.arrays import present_mean_std, replicate_mean_std
from degu_tf.data.measured import MissingTargets, check_missing_targets
from degu_tf.heads import HeadLayout
from degu_tf.utils.errors import InputError

MISSING = ("", "na", "n/a", "#n/a", "nan", "<na>", "null", "none")
"""Texts that stand for a missing value, in either case."""


class Measured(NamedTuple):
    """What was read of the rows of a table."""

    heads: HeadLayout
    values: np.ndarray
    keep: np.ndarray
    """Which rows can be used."""
    reason: str
    """Why the others cannot."""
    counts: np.ndarray | None = None
    """How many replicates each target was measured in, `(N, T)`; None where there are none."""


@dataclass(frozen=True)
class MeasuredColumns:
    """Which columns hold measurements, and how rows of them become values.

    Attributes
    ----------
    targets
        Columns of single values by target, or None.
    replicates
        Columns of replicates by target, or None.
    aleatoric
        Whether replicates give their standard deviation too.
    min_replicates
        Fewest measured replicates of a row that is used; None for as many as its columns need.
    drop_missing
        Whether rows that lack a value are left out; they are refused otherwise.
    missing_targets
        ``"keep"`` rows of which some targets are missing.

    Examples
    --------
    >>> columns = MeasuredColumns.of(replicates={"a": ["r1", "r2"]})
    >>> columns.names
    ['r1', 'r2']
    >>> columns.read(pd.DataFrame({"r1": [1.0], "r2": [3.0]}), np.array(["row 1"])).values
    array([[2., 1.]])
    """

    targets: Mapping[str, str] | None
    replicates: Mapping[str, list[str]] | None
    aleatoric: bool = True
    min_replicates: int | None = None
    drop_missing: bool = False
    missing_targets: MissingTargets = "refuse"

    @classmethod
    def of(
        cls,
        targets: Sequence[str] | Mapping[str, str] | None = None,
        replicates: Mapping[str, Sequence[str]] | None = None,
        aleatoric: bool = True,
        min_replicates: int | None = None,
        drop_missing: bool = False,
        missing_targets: MissingTargets = "refuse",
    ) -> "MeasuredColumns":
        """The columns as a user names them.

        Raises
        ------
        InputError
            If they are not given as they have to be.
        """
        check_missing_targets(missing_targets)
        single = _targets(targets)
        repeated = _replicates(replicates, aleatoric, min_replicates, missing_targets)
        if (single is None) == (repeated is None):
            raise InputError(
                "give either targets (columns of single values) or replicates, not both: all "
                "targets have an aleatoric column or none has. "
                f"Received: targets={single}, replicates={repeated}"
            )
        return cls(single, repeated, aleatoric, min_replicates, drop_missing, missing_targets)

    @property
    def by_target(self) -> dict[str, list[str]]:
        """Targets mapped to their columns, of single values or of replicates."""
        if self.replicates is None:
            return {target: [column] for target, column in (self.targets or {}).items()}
        return {target: list(columns) for target, columns in self.replicates.items()}

    @property
    def names(self) -> list[str]:
        """The names of all columns."""
        return [column for columns in self.by_target.values() for column in columns]

    def read(self, frame: pd.DataFrame, labels: np.ndarray) -> Measured:
        """Values of a table's rows.

        Parameters
        ----------
        frame
            The table.
        labels
            What its rows are called in messages.

        Raises
        ------
        InputError
            If a cell is no number, or rows lack values and are not to be left out.
        """
        if self.missing_targets == "keep":
            return self._present(frame, labels)
        return (self._single if self.replicates is None else self._repeated)(frame, labels)

    def _single(self, frame: pd.DataFrame, labels: np.ndarray) -> Measured:
        columns = self.names
        values = numbers(frame, columns, labels)
        keep = np.isfinite(values).all(axis=1)
        if not self.drop_missing and not keep.all():
            row, column = np.argwhere(np.isnan(values))[0]
            some = "; missing_targets='keep' keeps those with some" if len(columns) > 1 else ""
            raise InputError(
                f"{np.sum(~keep)} of {len(keep)} rows lack a value in a target column. Fill them "
                f"in, or leave such rows out with drop_missing=True{some}. Received: no value in "
                f"column {columns[column]!r} of {labels[row]}"
            )
        heads = HeadLayout(tuple(self.by_target))
        return Measured(heads, values, keep, f"no value in {' or '.join(columns)}")

    def _repeated(self, frame: pd.DataFrame, labels: np.ndarray) -> Measured:
        needed = self.min_replicates or (2 if self.aleatoric else 1)
        each = [
            replicate_mean_std(numbers(frame, columns, labels))
            for columns in self.by_target.values()
        ]
        mean, std, counts = (np.stack(part, axis=1) for part in zip(*each, strict=True))
        heads, values = self._joined(mean, std)
        keep = np.asarray((counts >= needed).all(axis=1))
        return Measured(heads, values, keep, f"fewer than {needed} measured replicates", counts)

    def _present(self, frame: pd.DataFrame, labels: np.ndarray) -> Measured:
        """NaN where a target is missing; rows without any value are not kept."""
        counts = None
        if self.replicates is None:
            heads, values = HeadLayout(tuple(self.by_target)), numbers(frame, self.names, labels)
        else:
            found = [numbers(frame, columns, labels) for columns in self.by_target.values()]
            each = [present_mean_std(values, self.min_replicates or 1) for values in found]
            mean, std = (np.stack(part, axis=1) for part in zip(*each, strict=True))
            heads, values = self._joined(mean, std)
            counts = np.stack([np.isfinite(values).sum(axis=1) for values in found], axis=1)
        keep = ~np.isnan(heads.take(values, "mean")).all(axis=1)
        if self.replicates is None and not self.drop_missing and not keep.all():
            raise InputError(
                f"{np.sum(~keep)} of {len(keep)} rows have no value of any target; leave them out "
                f"with drop_missing=True. Received: no value in {labels[np.argmin(keep)]}"
            )
        return Measured(heads, values, keep, "no value of any target", counts)

    def _joined(self, mean: np.ndarray, std: np.ndarray) -> tuple[HeadLayout, np.ndarray]:
        heads = HeadLayout(tuple(self.by_target), aleatoric="std" if self.aleatoric else None)
        return heads, heads.join(mean, std if self.aleatoric else None)


def numbers(frame: pd.DataFrame, columns: Sequence[str], labels: np.ndarray) -> np.ndarray:
    """Read columns as numbers `(N, columns)` float64 with NaN where missing; refuse other text."""
    values = np.empty((len(frame), len(columns)))
    for index, column in enumerate(columns):
        series = frame[column]
        missing = is_missing(series)
        numbers = pd.to_numeric(series.mask(missing), errors="coerce")
        values[:, index] = numbers.to_numpy(dtype=float, na_value=np.nan)
        wrong = np.flatnonzero(~missing & ~np.isfinite(values[:, index]))
        if len(wrong):
            raise InputError(
                f"expected finite numbers in column {column!r}. "
                f"Received: {series.iloc[wrong[0]]!r} in {labels[wrong[0]]}"
            )
    return values


def is_missing(series: pd.Series) -> np.ndarray:
    """Which cells of a column are empty or hold a text of `MISSING`."""
    missing = series.isna().to_numpy(bool)
    if pd.api.types.is_numeric_dtype(series):
        return missing
    return missing | series.astype(str).str.strip().str.casefold().isin(MISSING).to_numpy(bool)


def row_weights(frame: pd.DataFrame, column: str, labels: np.ndarray) -> np.ndarray:
    """Read a column of weights of rows."""
    weights = numbers(frame, [column], labels)[:, 0]
    wrong = np.flatnonzero(~(weights > 0))
    if len(wrong):
        value = weights[wrong[0]]
        raise InputError(
            f"expected weights above 0 in column {column!r}; leave out rows that are not to count. "
            f"Received: {'no value' if np.isnan(value) else f'{value:g}'} in {labels[wrong[0]]}, "
            f"{len(wrong)} such"
        )
    return weights


def replicate_weights(counts: np.ndarray | None) -> np.ndarray | None:
    """Weights of values by how many replicates each is the mean of; None where all are equal.

    The variance of a mean over n replicates falls as 1 / n, so its weight is n. Values of no
    replicate are missing, and get a weight that nothing uses.

    Raises
    ------
    InputError
        If there are no replicates.

    Examples
    --------
    >>> replicate_weights(np.array([[3], [1]])).tolist()
    [[3.0], [1.0]]
    """
    if counts is None:
        raise InputError(
            "weights by replicates need columns of replicates. Received: columns of single values"
        )
    weights = np.maximum(counts, 1).astype(float)
    return None if (weights == weights[0, 0]).all() else weights


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
