"""Whole models of any architecture from `.keras` and `.h5` files, loaded by Keras itself."""

import json
import os
from pathlib import Path

import h5py
import keras

from degu_tf.models.released.guarded_loading import check_described, load_keras_model
from degu_tf.models.released.keras_config import refuse_code
from degu_tf.models.released.safe_files import DAMAGED, hdf5_arrays, text
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.file_types import file_type


def load_whole_model(path: str | os.PathLike) -> keras.Model:
    """The model of a file that holds its configuration and its weights, not compiled.

    Parameters
    ----------
    path
        A `.keras` file, or an HDF5 file that `keras.Model.save` wrote.

    Raises
    ------
    InputError
        If the file holds weights alone, is damaged or holds code, would take far more memory than
        its size accounts for, or needs a class that is not registered in this process.

    Examples
    --------
    >>> import tempfile
    >>> sequence = keras.Input((32, 4))
    >>> x = keras.layers.GlobalAveragePooling1D()(sequence)
    >>> file = tempfile.mkdtemp() + "/model.h5"
    >>> keras.Model(sequence, keras.layers.Dense(2)(x)).save(file)
    >>> load_whole_model(file).output_shape
    (None, 2)
    """
    path = Path(path)
    if file_type(path) != "HDF5":
        return load_keras_model(path)
    with blaming(path):
        try:
            _check_hdf5(path)
            return keras.models.load_model(path, compile=False)
        except InputError:
            raise
        except DAMAGED as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(
                "expected a model of layers that this version of Keras knows; save it again as "
                f".keras with the version it was written by. Received: {lines[0]:.200}"
            ) from error


def _check_hdf5(path: Path) -> None:
    """Refuse weights without a configuration, code, and sizes that the file does not account for.

    Nothing is built.
    """
    with h5py.File(path, "r") as file:
        arrays = hdf5_arrays(file, path.stat().st_size)
        if "model_config" not in file.attrs:
            raise InputError(
                "expected a whole model, as keras.Model.save writes it; weights alone do not say "
                "what they are the weights of. Received: weights alone"
            )
        content = json.loads(text(file.attrs["model_config"]))
        held = sum(array.size for array in arrays.values())
    refuse_code(content)
    check_described(content, held)
