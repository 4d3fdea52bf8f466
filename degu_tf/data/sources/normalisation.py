"""Normalisation of measured columns: logarithms, and batches centred on their training rows.

The order is fixed: the logarithm of every measured value, then the batch's centre, then the mean
and standard deviation of replicates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from degu_tf.utils.errors import InputError, did_you_mean

FEW = 10
"""Training values of a batch below which its centre is called uncertain."""


@dataclass(frozen=True)
class Normalisation:
    """What is done to measured values before replicates are summed up.

    Attributes
    ----------
    log2
        Targets whose values are replaced by their binary logarithm; True for all, False for none.
    pseudocount
        Added to each value before the logarithm is taken.
    centre_by
        Column that names each row's batch, or None. From every measured column (each replicate by
        itself) the mean of the batch's *training* rows is subtracted, so that no validation or
        test measurement has a part in what a model is trained on or judged by.

    Raises
    ------
    InputError
        If the pseudocount is negative or there is no logarithm to add it to.

    Examples
    --------
    >>> Normalisation(log2=True, pseudocount=1.0).columns({"a": ["rep1", "rep2"]})
    ['rep1', 'rep2']
    """

    log2: bool | Sequence[str] = False
    pseudocount: float = 0.0
    centre_by: str | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.pseudocount) or self.pseudocount < 0:
            raise InputError(
                "pseudocount must be a finite number from 0. "
                f"Received: pseudocount={self.pseudocount}"
            )
        if self.pseudocount and not self._takes_logarithms:
            raise InputError(
                "a pseudocount is added before a logarithm is taken: ask for log2=True. "
                f"Received: pseudocount={self.pseudocount}, log2={self.log2}"
            )

    @property
    def _takes_logarithms(self) -> bool:
        return self.log2 is not False

    def columns(self, targets: Mapping[str, Sequence[str]]) -> list[str]:
        """The columns whose logarithm is taken, of targets mapped to their columns.

        Raises
        ------
        InputError
            If a target is unknown, or a column belongs to one target with and one without.
        """
        names = self._targets(targets)
        columns = [column for name in names for column in targets[name]]
        others = [column for name in set(targets) - set(names) for column in targets[name]]
        if shared := [column for column in columns if column in others]:
            raise InputError(
                "expected columns that belong to targets with a logarithm or to targets without. "
                f"Received: {shared[0]!r}, which belongs to both"
            )
        return list(dict.fromkeys(columns))

    def _targets(self, targets: Mapping[str, Sequence[str]]) -> list[str]:
        if isinstance(self.log2, bool):
            return list(targets) if self.log2 else []
        names = [self.log2] if isinstance(self.log2, str) else list(self.log2)
        for name in names:
            if name not in targets:
                raise InputError(
                    f"log2 names targets, which are {', '.join(targets)}."
                    f"{did_you_mean(str(name), targets)} Received: {name!r}"
                )
        return names

    def logarithms(
        self, values: np.ndarray, columns: Sequence[str], rows: Sequence[str]
    ) -> np.ndarray:
        """Binary logarithms of values `(N, columns)` with the pseudocount; NaN stays NaN.

        Parameters
        ----------
        values
            Measured values, NaN where one is missing.
        columns, rows
            Their names, for messages.

        Raises
        ------
        InputError
            If a value has no logarithm; they are counted by column and the first is named.

        Examples
        --------
        >>> Normalisation(True, 1.0).logarithms(np.array([[3.0], [0.0]]), ["r"], ["a", "b"])
        array([[2.],
               [0.]])
        """
        raised = values + self.pseudocount
        wrong = raised <= 0
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            counted = [
                f"{number} of {len(values)} in {name!r}"
                for name, number in zip(columns, wrong.sum(axis=0), strict=True)
                if number
            ]
            given = f" + {self.pseudocount:g}" if self.pseudocount else ""
            raise InputError(
                f"expected values{given} above 0, which have a logarithm; add a constant to all of "
                "them with pseudocount=1 or another number of the size of the smallest "
                f"measurement, or leave log2 out where they are logarithms already. Received: "
                f"{', '.join(counted)} at or below 0, first {values[row, column]:g} in {rows[row]}"
            )
        return np.log2(raised)

    def record(
        self, log2: Sequence[str], centres: Mapping[str, Mapping[str, float]]
    ) -> dict[str, object] | None:
        """What was done as plain values for the file; None where nothing was.

        Parameters
        ----------
        log2
            Columns whose logarithm was taken.
        centres
            For each column the centre of each batch.
        """
        done: dict[str, object] = {}
        if self._takes_logarithms:
            done |= {"log2": list(log2), "pseudocount": float(self.pseudocount)}
        if self.centre_by is not None:
            done |= {"centre_by": self.centre_by, "centres": centres}
        return done or None


def batch_centres(
    values: np.ndarray, batches: Sequence[str], is_train: np.ndarray, columns: Sequence[str]
) -> tuple[np.ndarray, dict[str, dict[str, float]], list[str]]:
    """Subtract from every row the mean of its batch's training rows, column by column.

    Parameters
    ----------
    values
        Measured values `(N, columns)`, NaN where one is missing.
    batches
        The batch of each row.
    is_train
        Which rows are training rows `(N,)`.
    columns
        Names of the columns.

    Returns
    -------
    tuple
        The centred values, for each column the centre of each batch, and a sentence for each
        thing to be warned of.

    Raises
    ------
    InputError
        If a batch has no training row with a value of a column in which it has values.

    Examples
    --------
    >>> values = np.array([[1.0], [3.0], [4.0]])
    >>> centred, centres, _ = batch_centres(values, ["b"] * 3, np.array([1, 1, 0], bool), ["y"])
    >>> centred.ravel().tolist(), centres
    ([-1.0, 1.0, 2.0], {'y': {'b': 2.0}})
    """
    centred = np.array(values, float)
    of_row = np.array(list(map(str, batches)), dtype=object)
    centres: dict[str, dict[str, float]] = {column: {} for column in columns}
    few = set()
    for batch in dict.fromkeys(of_row):
        rows = of_row == batch
        for index, column in enumerate(columns):
            measured = values[rows & is_train, index]
            measured = measured[~np.isnan(measured)]
            if not len(measured) and np.isnan(values[rows, index]).all():
                continue
            if not len(measured):
                raise InputError(
                    "a batch is centred by its training rows, so that nothing of validation and "
                    "test leaks into them; draw splits that give each batch some (another seed or "
                    f"group, or larger batches), or leave the batch out. Received: {rows.sum()} "
                    f"rows of the batch {batch!r}, none in train with a value of {column!r}"
                )
            centres[column][batch] = float(measured.mean())
            centred[rows, index] -= measured.mean()
            if len(measured) < FEW:
                few.add(batch)
    messages = []
    if few:
        first = next(batch for batch in of_row if batch in few)
        messages.append(
            f"{len(few)} of {len(set(of_row))} batches have fewer than {FEW} measured training "
            f"rows, whose mean is an uncertain centre (first {first!r})"
        )
    return centred, centres, messages
