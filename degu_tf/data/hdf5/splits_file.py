"""HDF5 files of splits: every layout that was ever released is read, one layout is written.

Sequences are streamed, about a megabyte of the file at a time, into uint8 tokens: a file of float64
one-hot sequences takes little more memory than its tokens, which are 1/32 of it.
"""

import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import h5py
import numpy as np

from degu_tf.data.hdf5.labels_file import checked_labels
from degu_tf.data.hdf5.layouts import (
    Columns,
    columns_of,
    is_channels_first,
    is_transposed,
    recognise,
)
from degu_tf.data.hdf5.new_file import new_file
from degu_tf.data.hdf5.rows import (
    Rows,
    datasets_of,
    opened,
)
from degu_tf.data.hdf5.stored_splits import InMemory, is_stored, left_in_file
from degu_tf.data.measured import MissingTargets
from degu_tf.data.splits import NAMES, Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.sequences.encoding import as_float
from degu_tf.sequences.encoding import one_hot as encode_one_hot
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.files import atomic_write
from degu_tf.utils.progress import bar

FORMAT = "degu_tf splits"
"""Root attribute `format` of a written file."""

VERSION = 1
"""Its root attribute `version`."""

_DEVIATIONS = (
    "standard deviations of replicates, which are not negative; if the column is something else, "
    "name the columns with targets="
)
_MISSING = "missing_targets"
_CHUNK_BYTES = 2**18
_GZIP_LEVEL = 4


def read_splits(
    path: str | os.PathLike,
    targets: Sequence[str] | None = None,
    progress: bool | None = None,
    *,
    missing_targets: MissingTargets = "refuse",
    in_memory: InMemory = "auto",
) -> Splits:
    """Read training, validation and test data from an HDF5 file of any known layout.

    The layout is detected from file content: that of `write_splits`, or a released one, flat
    (``X_Train``, ``y_Train``, ...), grouped (``Train/X``, ...) or EvoAug's (``x_train``, ..., with
    targets transposed). One-hot sequences `(N, L, 4)` or `(N, 4, L)` of any type and integer tokens
    `(N, L)` become tokens. A split of floats that are not all one-hot, such as noise-augmented
    sequences, stays float32 `(N, L, 4)` as a whole.

    Teachers' labels in the file go to `Split.ensemble_mean` and `Split.ensemble_std`. In a released
    lentiMPRA file with four target columns the training targets are the teachers' means, not
    measurements, which a warning says.

    Parameters
    ----------
    path
        The file. It is read in blocks of 1 MiB, or of one row of its HDF5 chunks if that is more.
    targets
        Names of the target columns, for a file that does not say and whose content leaves it open;
        see `degu_tf.data.hdf5.layouts.columns_of`.
    progress
        Show a bar: True, False, or None for where there is a terminal.
    missing_targets
        ``"keep"`` rows of which some targets are missing (NaN). A file that `write_splits` wrote
        of such data says so itself.
    in_memory
        ``"always"`` reads the file whole. ``"never"`` leaves training data in it, and other splits
        if they are large; rows are read as they are needed, training shuffles blocks of them
        (`degu_tf.data.mixed_blocks`), and values are checked as they are read. ``"auto"``: whole,
        unless that takes more than half of this machine's memory. Data with missing values,
        weights or a released file's labels of teachers are always read whole.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another kind or lacks a split; if rows do not match or
        columns are ambiguous; if sequences, targets or labels are not what they stand for.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "data.h5"
    >>> part = Split(np.zeros((3, 8), np.uint8), np.ones((3, 1)), np.array(["a", "b", "c"]))
    >>> write_splits(path, Splits(part, part, part, HeadLayout(("K562",))))
    >>> splits = read_splits(path)
    >>> splits.heads.columns, splits.test.names.tolist()
    (('K562',), ['a', 'b', 'c'])
    """
    with blaming(path), opened(path) as file:
        stored = _stored_heads(file, targets)
        if stored is not None and _text(file.attrs.get(_MISSING)) == "keep":
            missing_targets = "keep"
        parts, unused = _find_parts(file, oriented=stored is not None)
        if unused:
            warnings.warn(f"datasets not read: {', '.join(unused)} in {path}", stacklevel=2)
        train = parts["train"]
        columns = (
            columns_of(train["targets"].shape, train["sequences"].shape[1], targets)
            if stored is None
            else Columns(stored)
        )
        gaps = missing_targets == "keep" or columns.student is not None
        if is_stored(in_memory, parts, gaps):
            splits = left_in_file(path, parts, keep_floats=stored is not None)
        else:
            splits = _read_parts(parts, columns, stored is not None, missing_targets, progress)
        if columns.student is not None:
            warnings.warn(
                f"training targets of {path} are the teachers' means, not measurements; they suit "
                "a student, not another teacher",
                stacklevel=2,
            )
            means = columns.heads.take(splits["train"].targets, "mean")
            splits["train"] = replace(splits["train"], ensemble_mean=means)
        whole = replace(
            Splits.from_parts(splits, columns.heads), normalisation=_stored_normalisation(file)
        )
        if columns.student is None and columns.heads.epistemic is None:
            whole.refuse_negative(_deviations(columns.heads), _DEVIATIONS)
        return whole


def write_splits(path: str | os.PathLike, splits: Splits, one_hot: bool = False) -> None:
    """Write splits to an HDF5 file, whole or not at all; `read_splits` gives the same back.

    The file has the groups `train`, `validation` and `test`, each with compressed `sequences`,
    `targets` and, where there are any, `names` (UTF-8), `ensemble_mean`, `ensemble_std` and
    `weights`. Root attributes hold the format's name and version, the head layout as JSON, the
    column names; where targets have missing values (NaN), `missing_targets`; and where values were
    normalised on reading, how (`normalisation`, JSON with the batches' centres).
    Equal splits give equal bytes.

    Parameters
    ----------
    path
        The output file.
    splits
        What to write. Names become strings and labels float32; float sequences stay float32.
    one_hot
        Write tokens as uint8 one-hot `(N, L, 4)`, for other programs, instead of `(N, L)`.

    Raises
    ------
    InputError
        If a name cannot be stored: one with a null character or outside Unicode, or there is no
        test set.

    Examples
    --------
    >>> import tempfile
    >>> import degu_tf as degu
    >>> splits = degu.simulate((4, 2, 2), length=40).splits
    >>> path = tempfile.mkdtemp() + "/d.h5"
    >>> write_splits(path, splits)
    >>> read_splits(path).fingerprint == splits.fingerprint
    True
    """
    if not splits.has_test:
        raise InputError("expected splits with a test set: give x_test and y_test. Received: none")
    n_bytes = sum(split.sequences.nbytes + split.targets.nbytes for _, split in splits.items())
    with atomic_write(path) as temporary, new_file(temporary, 4 * n_bytes) as (file, check):
        file.attrs.update(header(splits.heads))
        if splits.normalisation is not None:
            file.attrs["normalisation"] = json.dumps(splits.normalisation)
        if any(np.isnan(split.targets).any() for split in _with_gaps(splits)):
            file.attrs[_MISSING] = "keep"
        for name, split in splits.items():
            with blaming(name):
                _write_split(_Writer(file.create_group(name), check), split, one_hot)


def _with_gaps(splits: Splits) -> list[Split]:
    """The splits whose targets may have missing values."""
    return [split for _, split in splits.items() if split.missing_targets == "keep"]


def header(heads: HeadLayout) -> dict[str, str | int | list[str]]:
    """Root attributes of a file: its format and what its columns mean."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "heads": json.dumps(heads.to_dict()),
        "columns": list(heads.columns),
    }


def _find_parts(
    file: h5py.File, oriented: bool
) -> tuple[dict[str, dict[str, Rows]], tuple[str, ...]]:
    """The datasets of each split by role, seen rows first, and the names of those unused."""
    datasets = datasets_of(file)
    layout = recognise(datasets, {*file.attrs, *file})
    unused = layout.unused
    if oriented:
        # of other files nothing says that such a data set holds weights of rows
        found = {split: f"{split}/weights" for split in NAMES if f"{split}/weights" in unused}
        unused = tuple(name for name in unused if name not in found.values())
        layout = replace(
            layout,
            parts={
                split: {**part, **({"weights": found[split]} if split in found else {})}
                for split, part in layout.parts.items()
            },
        )
    used = {name: datasets[name] for part in layout.parts.values() for name in part.values()}
    for name, dataset in used.items():
        if not dataset.shape or not dataset.size:
            raise InputError(
                f"expected rows of data. Received: {name} is empty (shape {dataset.shape})"
            )
    axes = {name: tuple(range(dataset.ndim)) for name, dataset in used.items()}
    if not oriented:
        sequences = {split: part["sequences"] for split, part in layout.parts.items()}
        targets = {split: part["targets"] for split, part in layout.parts.items()}
        for name in sequences.values():
            with blaming(name):
                if is_channels_first(used[name].shape):
                    axes[name] = (0, 2, 1)
        shapes = {
            split: (len(used[sequences[split]]), used[targets[split]].shape) for split in sequences
        }
        if is_transposed(shapes):
            axes |= {name: (1, 0) for name in targets.values()}
    parts = {
        split: {role: Rows(used[name], axes[name]) for role, name in part.items()}
        for split, part in layout.parts.items()
    }
    _check_alike(parts)
    return parts, unused


def _check_alike(parts: Mapping[str, Mapping[str, Rows]]) -> None:
    """Refuse splits that differ in sequence length or columns before anything long is read."""
    for role, start, end in (("sequences", 1, 2), ("targets", 1, None)):
        expected = parts["train"][role].shape[start:end]
        for part in parts.values():
            if part[role].shape[start:end] != expected:
                raise InputError(
                    f"expected equal {role} but for their number in all splits. "
                    f"Received: {parts['train'][role].name} of shape {parts['train'][role].shape}, "
                    f"{part[role].name} of shape {part[role].shape}"
                )


def _stored_heads(file: h5py.File, targets: Sequence[str] | None) -> HeadLayout | None:
    """The head layout of a file that `write_splits` wrote; None for any other file."""
    if _text(file.attrs.get("format")) != FORMAT:
        return None
    version = file.attrs.get("version")
    if version != VERSION:
        raise InputError(
            f"expected version {VERSION} of the format; a newer version of this package may read "
            f"the file. Received: version {version}"
        )
    try:
        heads = HeadLayout.from_dict(json.loads(_text(file.attrs["heads"])))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the root attribute heads is missing or damaged ({error})") from error
    if targets is not None and tuple(targets) not in (heads.targets, heads.columns):
        raise InputError(
            f"the file says that its columns are {heads.columns}; leave out targets=. "
            f"Received: targets={tuple(targets)}"
        )
    return heads


def _stored_normalisation(file: h5py.File) -> dict[str, Any] | None:
    """How the values of a file that `write_splits` wrote were normalised; None if they were not."""
    if "normalisation" not in file.attrs or _text(file.attrs.get("format")) != FORMAT:
        return None
    try:
        return dict(json.loads(_text(file.attrs["normalisation"])))
    except (TypeError, ValueError) as error:
        raise InputError(f"the root attribute normalisation is damaged ({error})") from error


def _deviations(heads: HeadLayout) -> list[str]:
    """Columns of replicate standard deviations; teachers' labels are not checked."""
    return [f"{target}_aleatoric" for target in heads.targets if heads.aleatoric == "std"]


def _read_parts(
    parts: Mapping[str, Mapping[str, Rows]],
    columns: Columns,
    stored: bool,
    missing_targets: MissingTargets,
    progress: bool | None,
) -> dict[str, Split]:
    """Splits that are read whole."""
    splits = {}
    total = sum(part["sequences"].shape[0] for part in parts.values())
    with bar(None, "reading", progress, total=total) as shown:
        for name, part in parts.items():
            with blaming(name):
                splits[name] = _read_split(part, columns, stored, missing_targets, shown.update)
    return splits


def _text(value: Any) -> str:
    """An attribute's text, of variable or of fixed length."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _read_split(
    parts: Mapping[str, Rows],
    columns: Columns,
    stored: bool,
    missing_targets: MissingTargets,
    update: Callable[[int], None],
) -> Split:
    n_rows = parts["sequences"].shape[0]
    for rows in parts.values():
        if rows.shape[0] != n_rows:
            raise InputError(
                f"expected one row for each of the {n_rows} sequences. "
                f"Received: {rows.name} of shape {rows.dataset.shape}"
            )
    heads = columns.heads
    targets = parts["targets"].floats()
    targets = targets[:, np.newaxis] if targets.ndim == 1 else targets
    labels = {
        role: (
            parts[role].floats()
            if stored
            else _read_labels(parts[role], heads, is_std=role == "ensemble_std")
        )
        for role in ("ensemble_mean", "ensemble_std")
        if role in parts
    }
    if columns.student is not None:
        epistemic = columns.student.take(targets[:, : columns.student.n_columns], "epistemic")
        labels["ensemble_std"] = checked_labels(epistemic, parts["targets"].name, is_std=True)
        targets = targets[:, : heads.n_columns].copy()
    names = _read_names(parts["names"].dataset) if "names" in parts else None
    sequences = parts["sequences"].sequences(names, keep_floats=stored, update=update)
    if "weights" in parts:
        labels["weights"] = parts["weights"].floats()
    return Split(sequences, targets, names, **labels, missing_targets=missing_targets)


def _read_names(dataset: h5py.Dataset) -> np.ndarray:
    """Names as an array of `str`; integers become their digits."""
    if dataset.shape == (len(dataset), 1) or dataset.ndim == 1:
        if h5py.check_string_dtype(dataset.dtype):
            try:
                return dataset.asstr()[()].reshape(-1)
            except UnicodeDecodeError as error:
                raise InputError(f"expected names in UTF-8 ({error}) in {dataset.name}") from error
        if dataset.dtype.kind in "iu":
            return dataset[()].reshape(-1).astype(str).astype(object)
    raise InputError(
        "expected names or integers (N,). "
        f"Received: {dataset.name} of type {dataset.dtype}, shape {dataset.shape}"
    )


def _read_labels(rows: Rows, heads: HeadLayout, is_std: bool) -> np.ndarray:
    labels = checked_labels(rows.floats(), rows.name, is_std)
    if labels.shape[-1] != heads.n_targets:
        raise InputError(
            f"expected teachers' labels for the targets {heads.targets}. "
            f"Received: {rows.name} of shape {labels.shape}"
        )
    return labels


def _write_split(writer: "_Writer", split: Split, as_one_hot: bool) -> None:
    if split.sequences.ndim == 3:
        writer.write("sequences", split.sequences, np.float32, as_float)
    elif as_one_hot:
        writer.write("sequences", split.sequences, np.uint8, encode_one_hot)
    else:
        writer.write("sequences", split.sequences, np.uint8)
    writer.write("targets", split.targets, np.float32)
    for role in ("ensemble_mean", "ensemble_std", "weights"):
        if getattr(split, role) is not None:
            writer.write(role, getattr(split, role), np.float32)
    if split.names is not None:
        names = _encoded_names(split.names)
        dtype = h5py.string_dtype("utf-8", max(1, *map(len, names)))
        writer.write("names", names, dtype, lambda block: np.array(block, dtype))


def _encoded_names(texts: np.ndarray) -> list[bytes]:
    names = []
    for row, name in enumerate(texts):
        try:
            names.append(str(name).encode())
        except UnicodeEncodeError as error:
            raise InputError(f"row {row} has a name that is not Unicode ({error})") from error
        if b"\0" in names[-1]:
            raise InputError(f"row {row} has a name with a null character. Received: {name!r}")
    return names


@dataclass(frozen=True)
class _Writer:
    """Writes the datasets of a group, and stops where the file cannot be written."""

    group: h5py.Group
    check: Callable[[], None]

    def write(
        self,
        name: str,
        rows: np.ndarray | list[bytes],
        dtype: Any,
        convert: Callable[[Any], Any] = np.asarray,
    ) -> None:
        """Write rows to a compressed dataset, chunk by chunk."""
        row_shape = convert(rows[:1]).shape[1:]
        row_bytes = np.dtype(dtype).itemsize * int(np.prod(row_shape))
        step = min(len(rows), max(1, _CHUNK_BYTES // row_bytes))
        dataset = self.group.create_dataset(
            name,
            (len(rows), *row_shape),
            dtype,
            chunks=(step, *row_shape),
            compression="gzip",
            compression_opts=_GZIP_LEVEL,
            shuffle=dtype is np.float32,
        )
        for start in range(0, len(rows), step):
            dataset[start : start + step] = convert(rows[start : start + step])
            self.check()
