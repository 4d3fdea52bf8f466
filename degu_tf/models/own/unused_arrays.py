"""Arrays of a file of weights that a model has no place for, which Keras leaves out unsaid.

Keras matches the arrays of nested models and of layers of layers by their places; what a file has
beyond these it does not look at.
"""

import io
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import keras

_NO_WEIGHTS = ("optimizer", "compile_metrics", "metrics")
"""Groups of a file that belong to a training."""


def unused_arrays(model: keras.Model, path: str | os.PathLike) -> list[str]:
    """Arrays that a file has beyond those of a model, by their paths in the file.

    Parameters
    ----------
    model
        The model that the file's weights were or will be loaded into.
    path
        A `.keras` or `.weights.h5` file of Keras 3. Of older `.h5` files Keras itself compares
        every layer, nested models included; for them, nothing is found here.

    Returns
    -------
    list of str
        Empty where the file has no more arrays than the model.

    Examples
    --------
    >>> def network(n):
    ...     inner = keras.Sequential([keras.layers.Dense(3) for _ in range(n)])
    ...     return keras.Sequential([keras.Input((2,)), inner])
    >>> path = tempfile.mkdtemp() + "/large.weights.h5"
    >>> network(2).save_weights(path)
    >>> unused_arrays(network(1), path)
    ['layers/sequential/layers/dense_1/vars/0', 'layers/sequential/layers/dense_1/vars/1']
    """
    found = _stored(Path(path))
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "own.weights.h5"
        model.save_weights(own)
        expected = _stored(own)
    if len(found) <= len(expected):
        return []
    unknown = [name for name in found if name not in expected]
    return unknown or list(found)[len(expected) :]


def _stored(path: Path) -> Mapping[str, tuple[int, ...]]:
    """Shapes of the weight arrays of a file by their paths; empty for other formats."""
    if path.name.endswith(".weights.h5"):
        with h5py.File(path) as file:
            return _arrays(file)
    if path.suffix != ".keras":
        return {}
    with zipfile.ZipFile(path) as archive:
        content = archive.read("model.weights.h5")
    with h5py.File(io.BytesIO(content)) as file:
        return _arrays(file)


def _arrays(file: h5py.File) -> dict[str, tuple[int, ...]]:
    arrays: dict[str, tuple[int, ...]] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and name.partition("/")[0] not in _NO_WEIGHTS:
            arrays[name] = item.shape

    file.visititems(note)
    return arrays
