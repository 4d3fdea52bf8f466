"""Rows of data a block at a time, whether they are held in memory or lie in a file."""

from collections.abc import Iterator
from typing import Any

import numpy as np

BLOCK_BYTES = 2**24
"""Bytes of a block of an array in memory."""


def row_blocks(array: Any) -> Iterator[tuple[slice, np.ndarray]]:
    """Pairs of rows, as a slice, and their values, in order.

    Parameters
    ----------
    array
        An array, or rows in a file (`degu_tf.data.hdf5.stored_rows.StoredRows`), which are read
        as they are asked for.

    Examples
    --------
    >>> [(rows.stop, values.tolist()) for rows, values in row_blocks(np.arange(3))]
    [(3, [0, 1, 2])]
    """
    if not isinstance(array, np.ndarray):
        yield from array.blocks()
        return
    step = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        rows = slice(start, min(start + step, len(array)))
        yield rows, array[rows]
