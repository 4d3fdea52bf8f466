"""Files of teachers' labels that were released apart from the sequences: `.npz` or HDF5."""

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from degu_tf.data.hdf5.layouts import label_parts
from degu_tf.data.hdf5.rows import check_memory, check_storage, datasets_of, existing, opened
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.npy import check_npy

_NPZ_ERRORS = (
    ValueError,
    TypeError,
    AttributeError,
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_ensemble_labels(path: str | os.PathLike) -> dict[str, dict[str, np.ndarray]]:
    """Read teachers' labels of released DREAM-RNN runs: `.npz` (or HDF5) without sequences.

    Parameters
    ----------
    path
        File with the arrays `train_mean`, `train_std`, `val_mean`, `val_std`, `test_mean`,
        `test_std` and maybe `train_aleatoric`, `val_aleatoric`, `test_aleatoric`.

    Returns
    -------
    dict
        For train, validation and test a dict of `mean`, `std` and maybe `aleatoric`, float32
        `(N, columns)`; the columns are those of the teachers' output.

    Raises
    ------
    InputError
        If the file is missing, damaged or pickled, an array is missing, rows differ, or values are
        not finite or a std is negative.
    """
    with blaming(path):
        path = existing(path)
        if h5py.is_hdf5(path):
            with opened(path) as file:
                datasets = datasets_of(file)
                for dataset in datasets.values():
                    check_storage(dataset)
                return _labels(datasets)
        try:
            _check_sizes(path)
            with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except InputError:
            raise
        except _NPZ_ERRORS as error:
            raise InputError(
                f"expected a whole .npz file of numbers, without pickles ({error})"
            ) from error
        return _labels(arrays)


def _check_sizes(path: Path) -> None:
    """Refuse arrays that declare more values than are stored, before they are read."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as handle:
                check_npy(handle, member.file_size, member.filename)
        total = sum(member.file_size for member in archive.infolist())
    check_memory(total, "arrays")


def _labels(
    arrays: Mapping[str, np.ndarray | h5py.Dataset],
) -> dict[str, dict[str, np.ndarray]]:
    labels = {}
    for split, part in label_parts(arrays).items():
        labels[split] = {
            role: checked_labels(arrays[name][()], name, is_std=role == "std")
            for role, name in part.items()
        }
        rows = {part[role]: len(values) for role, values in labels[split].items()}
        if len(set(rows.values())) > 1:
            raise InputError(f"expected labels with equal numbers of rows. Received: {rows}")
    return labels


def checked_labels(values: np.ndarray, name: str, is_std: bool) -> np.ndarray:
    """Labels as float32 `(N, columns)`, or a complaint about the first bad row."""
    values = np.asarray(values)
    if values.dtype.kind not in "biuf" or values.ndim == 0:
        raise InputError(
            "expected teachers' labels as numbers (N, columns). "
            f"Received: {name} of type {values.dtype}, shape {values.shape}"
        )
    values = values.reshape(-1, 1) if values.ndim == 1 else values
    values = values.astype(np.float32, copy=False)
    good = np.isfinite(values) & (values >= 0) if is_std else np.isfinite(values)
    good = good.reshape(len(values), -1).all(axis=1)
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(
            f"expected {'standard deviations' if is_std else 'finite labels'}. "
            f"Received: {values[row].tolist()} in row {row} of {name}"
        )
    return values
