"""Files of attribution maps: compressed HDF5, and the pair of arrays that TF-MoDISco reads."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from degu_tf.data.hdf5.new_file import new_file
from degu_tf.data.hdf5.rows import opened
from degu_tf.sequences.encoding import one_hot
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.files import atomic_write

FORMAT = "degu_tf attribution maps"
"""What the root attribute `format` of a file of maps says."""

VERSION = 1
"""What its root attribute `version` says."""

MAPS = "maps.h5"
ONE_HOT, ATTRIBUTIONS = "ohe.npz", "attributions.npz"

_GZIP_LEVEL = 4
_CHUNK_BYTES = 2**18
_ARRAYS = ("rows", "sequences", "scores", "hypothetical", "value")
_OPTIONAL = ("delta", "activity", "aleatoric", "epistemic")


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps of N sequences for one head, with what is predicted of them.

    Attributes
    ----------
    head, target, method
        The column that is explained, the target it is about, and how.
    names, rows
        Names of the sequences, and their rows in what was given.
    sequences
        Tokens `(N, L)` or float32 `(N, L, 4)`.
    scores, hypothetical
        `(N, L, 4)` as in `degu_tf.attribution.methods.Explanation`, not corrected.
    value
        `(N,)`, the head itself as predicted, an uncertainty as standard deviation.
    delta
        `(N,)` as in `Explanation`, or None; of an ensemble the mean over members.
    activity, aleatoric, epistemic
        `(N,)`, the target's prediction and its standard deviations, None where there are none.
    """

    head: str
    target: str
    method: str
    names: list[str]
    rows: np.ndarray
    sequences: np.ndarray
    scores: np.ndarray
    hypothetical: np.ndarray
    value: np.ndarray
    delta: np.ndarray | None = None
    activity: np.ndarray | None = None
    aleatoric: np.ndarray | None = None
    epistemic: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)


def write_maps(path: str | os.PathLike, maps: Maps) -> None:
    """Write maps to a compressed HDF5 file, whole or not at all; `read_maps` reads it.

    Parameters
    ----------
    path
        File to write.
    maps
        What to write.

    Raises
    ------
    OSError
        If the file cannot be written completely, for example because the disk is full.
    """
    arrays = {name: getattr(maps, name) for name in (*_ARRAYS, *_OPTIONAL)}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    n_bytes = sum(array.nbytes for array in arrays.values())
    with atomic_write(path) as temporary, new_file(temporary, n_bytes) as (file, check):
        file.attrs.update({"format": FORMAT, "version": VERSION})
        file.attrs.update({"head": maps.head, "target": maps.target, "method": maps.method})
        file.create_dataset("names", data=maps.names, dtype=h5py.string_dtype())
        for name, array in arrays.items():
            if array.ndim == 1:
                file.create_dataset(name, data=array)
            else:
                step = max(1, _CHUNK_BYTES // (array.itemsize * array[0].size))
                file.create_dataset(
                    name,
                    data=array,
                    chunks=(min(step, len(array)), *array.shape[1:]),
                    compression="gzip",
                    compression_opts=_GZIP_LEVEL,
                    shuffle=True,
                )
            check()


def read_maps(path: str | os.PathLike) -> Maps:
    """Read what `write_maps` wrote.

    Raises
    ------
    InputError
        If the file is missing, damaged, or of another kind.
    """
    with blaming(path), opened(path) as file:
        if str(file.attrs.get("format")) != FORMAT or file.attrs.get("version") != VERSION:
            raise InputError(
                f"expected {FORMAT}, version {VERSION}. Received: "
                f"{file.attrs.get('format', 'a file of another kind')}, version "
                f"{file.attrs.get('version', 'unknown')}"
            )
        missing = [name for name in ("names", *_ARRAYS) if name not in file]
        if missing:
            raise InputError(f"expected the dataset {missing[0]}. Received: {', '.join(file)}")
        arrays = {name: file[name][()] for name in (*_ARRAYS, *_OPTIONAL) if name in file}
        head, target, method = (str(file.attrs[name]) for name in ("head", "target", "method"))
        return Maps(head, target, method, names=list(file["names"].asstr()[()]), **arrays)


def member_files(folder: str | os.PathLike) -> list[Path]:
    """The files of an ensemble's members in a head's folder, in order; of a student its one.

    Raises
    ------
    InputError
        If there are none.
    """
    folder = Path(folder)
    files = sorted(folder.glob("member_[0-9]*.h5")) or sorted(folder.glob(MAPS))
    if not files:
        raise InputError(f"expected the maps of a head. Received: {folder}")
    return files


def read_scores(
    folder: str | os.PathLike, kind: Literal["scores", "hypothetical"] = "scores"
) -> np.ndarray:
    """Scores of every member of a head's folder: `(M, N, L, 4)`, as `consistency` takes them.

    Parameters
    ----------
    folder
        A folder that `degu_tf.attribution.explain_run.explain_run` returned.
    kind
        ``"scores"`` or ``"hypothetical"`` (see `Maps`), neither corrected.

    Raises
    ------
    InputError
        If there are none or a file is damaged.
    """
    return np.stack([getattr(read_maps(file), kind) for file in member_files(folder)])


def write_modisco_pair(
    folder: str | os.PathLike, sequences: np.ndarray, hypothetical: np.ndarray
) -> tuple[Path, Path]:
    """Write sequences and hypothetical scores as TF-MoDISco reads them.

    ``modisco motifs -s ohe.npz -a attributions.npz -n 2000 -w WINDOW``, where the window is even
    and no longer than the sequences.

    Parameters
    ----------
    folder
        Where to; the files are `ohe.npz` (int8) and `attributions.npz` (float32), `(N, 4, L)`
        each.
    sequences
        Tokens `(N, L)`.
    hypothetical
        `(N, L, 4)`.

    Raises
    ------
    InputError
        If shapes do not match.
    """
    encoded = one_hot(sequences)
    if encoded.shape != hypothetical.shape:
        raise InputError(
            f"expected scores of shape {encoded.shape}. Received: {hypothetical.shape}"
        )
    contents: list[tuple[str, np.ndarray]] = [
        (ONE_HOT, encoded.astype(np.int8)),
        (ATTRIBUTIONS, hypothetical.astype(np.float32)),
    ]
    for name, array in contents:
        with atomic_write(Path(folder) / name) as temporary:
            np.savez_compressed(temporary, array.transpose(0, 2, 1))
    return Path(folder) / ONE_HOT, Path(folder) / ATTRIBUTIONS
