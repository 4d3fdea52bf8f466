"""Weights that training starts from: those of a file, or of the member of a run."""

import os
from pathlib import Path

import keras

from degu_tf.models.released.load import load_released_weights
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash, file_hash
from degu_tf.utils.run_folder import MODEL


def load_initial_weights(model: keras.Model, path: str | os.PathLike, member: int = 0) -> None:
    """Set a model's weights from a file or from a run of this package.

    Parameters
    ----------
    model
        The model; what its architecture has, the file must have, and nothing else.
    path
        A file that `degu_tf.models.released.load.load_released` reads, or the folder of a run.
    member
        Which member's weights to take where the run is an ensemble's that has it.

    Raises
    ------
    InputError
        If the file does not exist, or its arrays do not fit the model; the first misfit is
        named.
    """
    load_released_weights(model, _weights_file(Path(path), member))


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
        path = next((file for file in candidates if file.is_file()), path)
    if not path.is_file():
        raise InputError(f"expected a file of weights or the folder of a run. Received: {path}")
    return path
