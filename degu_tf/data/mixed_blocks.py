"""An order of training for rows that lie in a file: blocks shuffled, some of them mixed.

Reading single rows at random unpacks a whole chunk of the file for each. So every epoch visits the
file's blocks of neighbouring rows in an order of its own, takes some of them at a time, and
shuffles the rows of those. Each row still comes once an epoch. Order and rows follow from seed,
epoch and step alone, so any step can be reached without those before it.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

MIXED_BYTES = 2**26
"""Bytes of the blocks that are mixed: the memory a training takes is a few times that."""

_KEPT = 3


@dataclass(frozen=True)
class BlockOrder:
    """In which order an epoch visits the rows of a file.

    Attributes
    ----------
    n_rows
        How many there are.
    block_rows
        Neighbouring rows that are read together.
    n_mixed
        Blocks whose rows are shuffled together.
    seed
        Decides the order; None is the file's own, without any shuffling.

    Examples
    --------
    >>> order = BlockOrder(n_rows=10, block_rows=2, n_mixed=2, seed=1)
    >>> rows = np.concatenate([order.rows(0, group) for group in range(order.n_groups)])
    >>> sorted(rows.tolist()) == list(range(10)), len(order.rows(0, 0))
    (True, 4)
    """

    n_rows: int
    block_rows: int
    n_mixed: int
    seed: int | None

    @classmethod
    def of(cls, arrays: Sequence[Any], seed: int | None) -> "BlockOrder":
        """The order for arrays some of which are `StoredRows`; mixed blocks fill `MIXED_BYTES`."""
        stored = [array for array in arrays if not isinstance(array, np.ndarray)]
        block_rows = max(array.block_rows for array in stored[:1])
        row_bytes = sum(array[:1].nbytes for array in arrays)
        mixed = max(1, MIXED_BYTES // (block_rows * row_bytes))
        return cls(len(arrays[0]), block_rows, mixed, seed)

    @property
    def n_blocks(self) -> int:
        """Blocks of the file, a last smaller one included."""
        return -(-self.n_rows // self.block_rows)

    @property
    def n_groups(self) -> int:
        """Groups of mixed blocks of an epoch."""
        return -(-self.n_blocks // self.n_mixed)

    def blocks(self, epoch: int, group: int) -> np.ndarray:
        """Numbers of the blocks of a group."""
        return _shuffled(self, epoch)[group * self.n_mixed : (group + 1) * self.n_mixed]

    def rows(self, epoch: int, group: int) -> np.ndarray:
        """Numbers of the rows of a group, in the order in which they are visited."""
        rows = np.concatenate(
            [np.arange(*self.bounds(block)) for block in np.sort(self.blocks(epoch, group))]
        )
        return rows[self.mixing(epoch, group, len(rows))]

    def mixing(self, epoch: int, group: int, n: int) -> np.ndarray:
        """The order `(n,)` of the rows of a group, from that in which they are read."""
        if self.seed is None:
            return np.arange(n)
        return np.random.default_rng([self.seed, epoch, group]).permutation(n)

    def bounds(self, block: int) -> tuple[int, int]:
        """First row of a block, and the row after its last one."""
        start = int(block) * self.block_rows
        return start, min(start + self.block_rows, self.n_rows)

    def ends(self, epoch: int) -> np.ndarray:
        """How many rows an epoch has visited at the end of each group."""
        return _ends(self, epoch)

    def to_dict(self) -> dict[str, int]:
        """What, beside the seed, decides the order: a part of the identity of a run."""
        return {"block_rows": self.block_rows, "blocks_mixed": self.n_mixed}


@lru_cache(8)
def _shuffled(order: BlockOrder, epoch: int) -> np.ndarray:
    if order.seed is None:
        return np.arange(order.n_blocks)
    return np.random.default_rng([order.seed, epoch]).permutation(order.n_blocks)


@lru_cache(8)
def _ends(order: BlockOrder, epoch: int) -> np.ndarray:
    blocks = _shuffled(order, epoch)
    sizes = np.full(len(blocks), order.block_rows)
    sizes[blocks == order.n_blocks - 1] = order.n_rows - (order.n_blocks - 1) * order.block_rows
    return np.cumsum(np.add.reduceat(sizes, np.arange(0, len(sizes), order.n_mixed)))


class MixedBlocks:
    """Batches by epoch and step, of arrays of which some are rows in a file.

    The group of blocks that a batch is of is kept, and the one after it is read meanwhile, by a
    thread. Safe to call from several threads.

    Parameters
    ----------
    arrays
        Arrays or `StoredRows` of as many rows.
    order
        In which order the rows come.
    batch_size
        Rows of a batch; the last one of an epoch may be smaller.

    Examples
    --------
    >>> batches = MixedBlocks([np.arange(5)], BlockOrder(5, 2, 1, seed=None), batch_size=2)
    >>> [batches.batch(0, step)[0].tolist() for step in range(3)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, arrays: Sequence[Any], order: BlockOrder, batch_size: int) -> None:
        self.arrays, self.order, self.batch_size = list(arrays), order, batch_size
        self._reading: OrderedDict[tuple[int, int], Future] = OrderedDict()
        self._lock = threading.Lock()
        self._reader = ThreadPoolExecutor(1, "rows of a file")

    def batch(self, epoch: int, step: int) -> list[np.ndarray]:
        """The rows of a step, of each array.

        Raises
        ------
        InputError
            As `StoredRows` does.
        """
        first = step * self.batch_size
        last = min(first + self.batch_size, self.order.n_rows)
        ends = self.order.ends(epoch)
        parts, group = [], int(np.searchsorted(ends, first, side="right"))
        while first < last:
            begin = int(ends[group - 1]) if group else 0
            end = min(last, int(ends[group]))
            held = self._group(epoch, group)
            parts.append([array[first - begin : end - begin] for array in held])
            first, group = end, group + 1
        if len(parts) == 1:
            return [array.copy() for array in parts[0]]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _group(self, epoch: int, group: int) -> list[np.ndarray]:
        last = group + 1 == self.order.n_groups
        after = (epoch + 1, 0) if last else (epoch, group + 1)
        with self._lock:
            wanted = self._ask(epoch, group)
            if self.order.seed is not None or not last:
                self._ask(*after)
            while len(self._reading) > _KEPT:
                self._reading.popitem(last=False)
        return wanted.result()

    def _ask(self, epoch: int, group: int) -> Future:
        key = epoch, group
        if key not in self._reading:
            self._reading[key] = self._reader.submit(self._read, epoch, group)
        self._reading.move_to_end(key)
        return self._reading[key]

    def _read(self, epoch: int, group: int) -> list[np.ndarray]:
        """A group's rows of each array, mixed."""
        bounds = [self.order.bounds(block) for block in np.sort(self.order.blocks(epoch, group))]
        mixing = self.order.mixing(epoch, group, sum(end - start for start, end in bounds))
        back = np.argsort(mixing) if self.order.seed is not None else None
        found = []
        for array in self.arrays:
            values = np.empty((len(mixing), *array.shape[1:]), array.dtype)
            place = 0
            for start, end in bounds:
                to = slice(place, place + end - start)
                # rows go where the mixing puts them, so that no second copy is made
                values[to if back is None else back[to]] = array[start:end]
                place = to.stop
            found.append(values)
        return found
