"""Keras models from run folders and `.keras` files: sizes are checked before anything is built.

A run folder may come from a stranger as well as a released file. Its model is loaded by Keras,
which allocates what the configuration asks for and unpacks what the archive holds; both are
compared with the file's size first. Code in it is refused, never run.
"""

import io
import json
import math
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras

from degu_tf.models.released.keras_config import nested_dicts, refuse_code
from degu_tf.models.released.keras_files import CONFIG, WEIGHTS
from degu_tf.models.released.safe_files import DAMAGED, FREE_BYTES, check_zip, hdf5_arrays
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.whole_numbers import is_whole

_SLACK = 2
"""How many times the weights in a file its configuration may describe."""

_GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def load_keras_model(path: str | os.PathLike) -> keras.Model:
    """The model of a `.keras` file, not compiled.

    Parameters
    ----------
    path
        A file that `keras.Model.save` wrote.

    Raises
    ------
    InputError
        If the file is damaged or holds code, would take far more memory than its size accounts for,
        or needs a class that is not registered in this process.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from degu_tf.heads import HeadLayout
    >>> from degu_tf.models import build
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "model.keras"
    >>> build("deepstarr", (32, 4), HeadLayout(("activity",)), width=0.05).save(file)
    >>> load_keras_model(file).output_shape
    (None, 1)
    """
    path = Path(path)
    with blaming(path):
        try:
            check_keras_file(path)
            return keras.models.load_model(path, compile=False, safe_mode=True)
        except InputError:
            raise
        except DAMAGED as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            what = "expected a .keras file of layers that are known here; it is damaged, or its "
            what += "classes are not registered"
            received = f"Received: {lines[0]:.200}"
            raise InputError(
                f"{what}: import the module that registers them first. {received}",
                f"{what}: name the file that registers them, --custom-layers FILE. {received}",
            ) from error


def saved_class(path: str | os.PathLike) -> str | None:
    """The registered name of the class of a saved model; None if the file is no `.keras` file.

    Nothing is built. Keras' own classes have names such as ``"Functional"``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_zip(archive, os.path.getsize(path))
            content = json.loads(archive.read(CONFIG))
    except (InputError, *DAMAGED):
        return None
    return content.get("registered_name") if isinstance(content, dict) else None


def check_keras_file(path: Path) -> None:
    """Refuse a `.keras` file that holds code or would take far more memory than its size.

    Raises
    ------
    InputError
        If it does; nothing was built.
    """
    if not zipfile.is_zipfile(path):
        raise InputError("expected a .keras file, which is a zip archive. Received: another file")
    with zipfile.ZipFile(path) as archive:
        check_zip(archive, path.stat().st_size)
        names = archive.namelist()
        if CONFIG not in names or WEIGHTS not in names:
            raise InputError(
                f"expected {CONFIG} and {WEIGHTS} in the zip file. Received: {names[:8]}"
            )
        content = json.loads(archive.read(CONFIG))
        weights = archive.read(WEIGHTS)
    refuse_code(content)
    with h5py.File(io.BytesIO(weights), "r") as file:
        held = sum(array.size for array in hdf5_arrays(file, len(weights)).values())
    check_described(content, held)


def check_described(content: Any, held: int) -> None:
    """Refuse a configuration of far more weights than the `held` ones of its file.

    Raises
    ------
    InputError
        If they would take more memory than is free to use without asking.
    """
    described = sum(_n_weights(layer) for layer in _layers(content))
    if described * 4 > FREE_BYTES and described > _SLACK * held:
        raise InputError(
            f"the model's configuration describes {described:,} weights, of which the file holds "
            f"{held:,}; it was not built"
        )


def _layers(content: Any) -> Iterable[tuple[Mapping[str, Any], tuple[Any, ...]]]:
    """Configurations of layers with the input shapes they were built for, inner ones included."""
    inner: list[int] = []
    for item in nested_dicts(content):
        built = item.get("build_config")
        shape = built.get("input_shape") if isinstance(built, dict) else None
        shape = tuple(shape) if isinstance(shape, list) else ()
        if item.get("class_name") == "Bidirectional":
            config = item.get("config")
            layer = config.get("layer") if isinstance(config, dict) else None
            if isinstance(layer, dict):
                inner.append(id(layer))
                yield layer, shape
        if id(item) not in inner:
            yield item, shape


def _n_weights(layer: tuple[Mapping[str, Any], tuple[Any, ...]]) -> int:
    """About how many weights a layer of Keras has: its largest arrays, 0 if it has none."""
    content, shape = layer
    config, kind = content.get("config"), str(content.get("class_name"))
    if not isinstance(config, dict):
        return 0
    inputs = _size(shape[-1]) if shape else 1
    if kind == "Dense":
        return inputs * _size(config.get("units"))
    if kind in _GATES:
        units = _size(config.get("units"))
        return _GATES[kind] * units * (units + inputs)
    if kind == "Embedding":
        return _size(config.get("input_dim")) * _size(config.get("output_dim"))
    if "filters" in config and "kernel_size" in config:
        kernel = config["kernel_size"]
        sizes = kernel if isinstance(kernel, list) else [kernel]
        groups = max(1, _size(config.get("groups", 1)))
        within = math.prod(_size(size) for size in sizes)
        return within * max(1, inputs // groups) * _size(config["filters"])
    return 0


def _size(value: Any) -> int:
    return value if is_whole(value, 1) else 0
