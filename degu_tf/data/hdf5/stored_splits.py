"""Splits whose rows stay in their file, and when they do: where they do not fit into memory."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np

from degu_tf.data.hdf5 import stored_rows
from degu_tf.data.hdf5.rows import Rows, check_memory, loaded_bytes, memory
from degu_tf.data.hdf5.stored_rows import Kind, StoredFile, StoredRows
from degu_tf.data.mixed_blocks import BlockOrder
from degu_tf.data.splits import Split
from degu_tf.utils.errors import InputError, blaming

InMemory = Literal["auto", "always", "never"]
"""Whether data are read whole."""

SHARE = 0.5
"""Share of the machine's memory up to which ``"auto"`` reads data whole."""

_PARTS = ("names", "ensemble_mean", "ensemble_std")


@dataclass(frozen=True, eq=False, repr=False)
class StoredSplit(Split):
    """A split some of whose arrays are `StoredRows`; as those, they were not looked at yet.

    Training takes its rows in another order than those of a split in memory
    (`degu_tf.data.mixed_blocks`). There are no missing targets and no weights.
    """

    def __post_init__(self) -> None:
        held = {
            each.name: array
            for each in fields(self)
            if isinstance(array := getattr(self, each.name), np.ndarray)
        }
        for name, array in held.items():
            self._hold(name, array)
        for name in (*held, "targets"):
            if len(getattr(self, name)) != len(self.sequences):
                raise InputError(
                    f"expected one row of {name} for each of the {len(self.sequences)} sequences. "
                    f"Received: {name} of shape {getattr(self, name).shape}"
                )

    def centred(self, length: int | None) -> Split:
        """The middle `length` bases, as of any split; their rows have no names."""
        return Split.centred(replace(self, names=None), length)

    def take(self, rows: np.ndarray | slice) -> Split:
        """Some rows, read into memory.

        Raises
        ------
        InputError
            If they do not fit into it.
        """
        n = len(range(len(self))[rows]) if isinstance(rows, slice) else len(np.asarray(rows))
        arrays = {name: array for name in _ARRAYS if (array := getattr(self, name)) is not None}
        row_bytes = sum(array[:1].nbytes for array in (self.sequences, self.targets))
        check_memory(n * row_bytes, f"{n} rows of {len(self)}, to be read into memory")
        return Split(**{name: array[rows] for name, array in arrays.items()})

    @property
    def value_weights(self) -> None:
        """None: all values are there and weigh the same."""
        return None


_ARRAYS = ("sequences", "targets", *_PARTS)


def is_stored(
    in_memory: InMemory, parts: Mapping[str, Mapping[str, Rows]], gaps: bool = False
) -> bool:
    """Whether data stay in their file.

    Parameters
    ----------
    in_memory
        ``"always"``: no. ``"never"``: yes. ``"auto"``: if they would take more than `SHARE` of this
        machine's memory.
    parts
        The datasets of each split by role.
    gaps
        They have missing values or labels beside measurements, as data in a file may not.

    Raises
    ------
    InputError
        If the word is another, they are to be read whole and are larger than the memory, or they
        are to be left in the file and cannot be.
    """
    if in_memory not in get_args(InMemory):
        raise InputError(f"in_memory must be one of {get_args(InMemory)}. Received: {in_memory=}")
    datasets = [rows.dataset for part in parts.values() for rows in part.values()]
    whole = gaps or any("weights" in part for part in parts.values())
    if in_memory == "never":
        if whole:
            raise InputError(
                "data that are read in blocks have a value of every target, no weights, and no "
                "labels of teachers beside measurements: read them whole (in_memory='always'). "
                f"Received: {in_memory=}"
            )
        return True
    if in_memory == "auto" and not whole and sum(map(loaded_bytes, datasets)) > SHARE * memory():
        return True
    for dataset in datasets:
        check_memory(loaded_bytes(dataset), f"{dataset.name} of shape {dataset.shape}")
    return False


def left_in_file(
    path: str | os.PathLike, parts: Mapping[str, Mapping[str, Rows]], keep_floats: bool
) -> dict[str, Split]:
    """Splits that stay in their file, unless they are small.

    One of at most `degu_tf.data.hdf5.stored_rows.HELD` bytes, as most test sets are, is read whole.

    Parameters
    ----------
    path
        The file.
    parts
        The datasets of each split by role.
    keep_floats
        Sequences of floats stay floats though they be one-hot.

    Raises
    ------
    InputError
        If there is not one row of each array for each sequence.
    """
    file, splits = StoredFile(path), {}
    for name, part in parts.items():
        with blaming(name):
            splits[name] = _split(file, part, keep_floats)
    return splits


def _split(file: StoredFile, parts: Mapping[str, Rows], keep_floats: bool) -> Split:
    made: dict[str, Any] = {}
    for role, rows in parts.items():
        if role in ("sequences", "targets", *_PARTS):
            kind: Kind = "names" if role == "names" else "floats"
            made[role] = StoredRows(file, rows.name, rows.axes, kind)
    sequences = replace(made["sequences"], kind="tokens")
    floats = len(sequences.axes) == 3 and parts["sequences"].dataset.dtype.kind == "f"
    if not (floats and (keep_floats or not _one_hot(sequences))):
        made["sequences"] = sequences
    for rows in parts.values():
        if rows.shape[0] != parts["sequences"].shape[0]:
            raise InputError(
                f"expected one row for each of the {parts['sequences'].shape[0]} sequences. "
                f"Received: {rows.name} of shape {rows.dataset.shape}"
            )
    split = StoredSplit(**made)
    small = made["sequences"].nbytes + made["targets"].nbytes <= stored_rows.HELD
    return split.take(slice(None)) if small else split


def evaluated(split: Split, what: str) -> Split:
    """The rows of a split that metrics are of: all, or as many as may be held, drawn at random.

    Warns
    -----
    UserWarning
        If some are left out; how many is said.
    """
    if not isinstance(split, StoredSplit):
        return split
    row_bytes = sum(array[:1].nbytes for array in (split.sequences, split.targets))
    n = max(1, min(len(split), stored_rows.HELD // row_bytes))
    if n < len(split):
        warnings.warn(
            f"{what} is larger than memory is used for: {n} of its {len(split)} rows, drawn at "
            "random, are evaluated",
            stacklevel=2,
        )
    rows = np.random.default_rng(0).choice(len(split), n, replace=False)
    return split.take(np.sort(rows))


def reading_order(split: Split) -> BlockOrder | None:
    """How training reads a split that lies in a file, but for the seed; None for one in memory."""
    if not isinstance(split, StoredSplit):
        return None
    return BlockOrder.of([split.sequences, split.targets], seed=0)


def _one_hot(sequences: StoredRows) -> bool:
    """Whether the first rows are."""
    try:
        sequences.read(0, min(len(sequences), sequences.block_rows))
    except InputError:
        return False
    return True
