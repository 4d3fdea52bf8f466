"""Weights that training starts from: arrays read from a file, nothing in it executed."""

import math
import os
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import keras

from degu_tf.errors import InputError
from degu_tf.files import content_hash, file_hash
from degu_tf.folder import MODEL

_WEIGHTS = "model.weights.h5"


def load_initial_weights(model: keras.Model, path: str | os.PathLike, member: int = 0) -> None:
    """Set a model's weights from a `.keras` or `.weights.h5` file, or from a run of this package.

    Parameters
    ----------
    model
        The model; what its architecture has, the file must have, and nothing else.
    path
        The file, or the folder of a run.
    member
        Which member's weights to take where the run is an ensemble's that has it.

    Raises
    ------
    InputError
        If there is no such file, or its arrays do not fit the model; the first that does not is
        named.
    """
    path = _weights_file(Path(path), member)
    try:
        with _opened(path) as weights:
            _check_shapes(model, weights, path)
            model.load_weights(weights)
    except InputError:
        raise
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"expected weights that Keras 3 saved ({reason}). Received: {path}"
        ) from None


def weights_hash(path: str | os.PathLike) -> str:
    """SHA-256 of the weights a file or a run holds, the members' in order.

    Raises
    ------
    InputError
        If there are none.
    """
    path = Path(path)
    file = _weights_file(path, 0)
    files = sorted(path.rglob(MODEL)) if path.is_dir() else [file]
    return content_hash([file_hash(each) for each in files])


def _weights_file(path: Path, member: int) -> Path:
    if path.is_dir():
        candidates = (
            path / f"member_{member:02d}" / MODEL,
            path / "member_00" / MODEL,
            path / MODEL,
        )
        path = next((file for file in candidates if file.is_file()), path / MODEL)
    if not path.is_file():
        raise InputError(f"expected a .keras or .weights.h5 file or a run. Received: {path}")
    if not path.name.endswith((".keras", ".weights.h5")):
        raise InputError(f"expected a file ending .keras or .weights.h5. Received: {path}")
    return path


@contextmanager
def _opened(path: Path) -> Iterator[Path]:
    if path.suffix != ".keras":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
        yield Path(archive.extract(_WEIGHTS, folder))


def _check_shapes(model: keras.Model, weights: Path, path: Path) -> None:
    held: Counter[tuple[int, ...]] = Counter()

    def count(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            held[item.shape] += 1

    with h5py.File(weights) as file:
        file["layers"].visititems(count)
    missing = None
    for weight in model.weights:
        shape = tuple(weight.shape)
        if not held[shape] and missing is None:
            missing = f"{weight.path} of shape {shape}"
        held[shape] -= 1
    left = [str(shape) for shape in sorted(held.elements(), key=math.prod, reverse=True)]
    if missing or left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise InputError(
            f"the weights are another model's: expected {missing or 'no other arrays'}. "
            f"Received: {', '.join(left[:3]) or 'fewer arrays'}{more} in {path}"
        )
