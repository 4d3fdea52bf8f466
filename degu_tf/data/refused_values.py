"""Values that targets may not have, found block by block and named by their row."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from degu_tf.data.row_blocks import row_blocks
from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    from degu_tf.data.splits import Splits


def refuse_other_than_binary(splits: "Splits") -> None:
    """Refuse targets other than 0 and 1; missing values are none.

    Raises
    ------
    InputError
        If there are any; the first of them is named.
    """
    for name, split in splits.items():
        n_wrong, where, value = _found(
            split.targets, lambda each: ~(np.isnan(each) | (each == 0) | (each == 1))
        )
        if n_wrong:
            row, *_, column = where
            raise InputError(
                "expected binary targets, 0 or 1; compare measurements with a threshold first. "
                f"Received: {n_wrong} other values, first "
                f"{value:g} in {splits.heads.targets[column]} of "
                f"row {row} ({split.name_of(row)}) of {name}"
            )


def refuse_negative(splits: "Splits", columns: Sequence[str], expected: str) -> None:
    """Refuse negative values in columns of the targets; see `Splits.refuse_negative`.

    Raises
    ------
    InputError
        If there are any; their share and the first of them are named.
    """
    for name, split in splits.items():
        for column in columns:
            index = splits.heads.column(column)
            values = split.targets[..., index : index + 1]
            n_negative, where, value = _found(values, lambda each: each < 0)
            if not n_negative:
                continue
            row, *position, _ = where
            place = f"row {row} ({split.name_of(row)}) of {name}"
            place = f"position {position[0]} of {place}" if position else place
            share = n_negative / int(np.prod(values.shape))
            raise InputError(
                f"expected {expected}. Received: {share:.1%} of {column} below zero, "
                f"first {value:g} at {place}"
            )


def _found(
    values: Any, wrong: Callable[[np.ndarray], np.ndarray]
) -> tuple[int, tuple[int, ...], float]:
    """How many values are wrong, where the first one is, and what it is."""
    count, where, value = 0, (), 0.0
    for rows, block in row_blocks(values):
        found = wrong(block)
        n_found = int(found.sum())
        if n_found and not count:
            first = tuple(int(place) for place in np.argwhere(found)[0])
            where, value = (rows.start + first[0], *first[1:]), float(block[first])
        count += n_found
    return count, where, value
