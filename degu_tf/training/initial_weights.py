"""Models before training: built from a seed, or with the weights of a file or a run's member."""

import os
import warnings
from itertools import zip_longest
from pathlib import Path
from zipfile import BadZipFile

import keras
import numpy as np

from degu_tf.data.splits import Splits
from degu_tf.heads import HeadLayout
from degu_tf.models.layers import last_dense
from degu_tf.models.own.unused_arrays import unused_arrays
from degu_tf.models.released.load import load_released_weights
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.output_units import Scales, stored_scales, with_scales
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.standardisation import Standardisation
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash, file_hash
from degu_tf.utils.run_folder import MODEL


def initial_model(
    splits: Splits, spec: ModelSpec, settings: TrainingSettings, heads: HeadLayout, run: Run
) -> keras.Model:
    """The model before training: built from the run's seed, with the weights of `spec.init`.

    With `settings.standardise` its output counts as standardised; weights are put into those units.

    Raises
    ------
    InputError
        If the architecture refuses the data, or the weights do not fit.
    """
    model = spec.build(settings.input_shape(splits.input_shape), heads, run.seed)
    if spec.init is not None:
        model = with_scales(model, heads, initial_scales(spec.init, run.member))
        load = load_initial_weights if spec.source is None else load_own_weights
        load(model, spec.init, run.member)
    if settings.standardise:
        units = Standardisation.of(splits)
        units.check(model, heads)
        return model if spec.init is None else units.to_standard(model, heads)
    return model


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


def load_own_weights(model: keras.Model, path: str | os.PathLike, member: int = 0) -> None:
    """Set the weights of a network of the user's from a file that Keras wrote.

    Keras matches the arrays by the layers' order and kinds; nothing of the file is executed.

    Parameters
    ----------
    model
        The network; what it has, the file must have, and nothing else.
    path
        A `.keras`, `.weights.h5` or `.h5` file of the same network, or the folder of a run.
    member
        Which member's weights to take where the run is an ensemble's that has it.

    Raises
    ------
    InputError
        If the file does not exist, or its arrays do not fit the network.

    Examples
    --------
    >>> layers = [keras.layers.Flatten(), keras.layers.Dense(2)]
    >>> one, two = (keras.Sequential([keras.Input((8, 4)), *layers]) for _ in range(2))
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "pretrained.keras"
    >>> one.save(file)
    >>> load_own_weights(two, file)
    """
    file = _weights_file(Path(path), member)
    if not file.name.endswith((".keras", ".h5")):
        raise InputError(
            "expected weights of an architecture of one's own in a .keras, .weights.h5 or .h5 "
            f"file. Received: {file}"
        )
    try:
        with warnings.catch_warnings():
            # of arrays that stay as they were, Keras may only warn
            warnings.simplefilter("error", UserWarning)
            model.load_weights(file)
    except (ValueError, KeyError, OSError, UserWarning, BadZipFile) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"the weights of {file.name} do not fit {model.name}: expected a file of the same "
            f"network, with as many output columns. Received: {file} ({reason})"
        ) from None
    unused = unused_arrays(model, file)
    if unused:
        raise InputError(
            f"the weights of {file.name} do not fit {model.name}: expected a file of the same "
            f"network, without arrays beyond its own. Received: {file}, with {len(unused)} such, "
            f"{', '.join(unused[:3])}{', ...' if len(unused) > 3 else ''}"
        )


def initial_scales(path: str | os.PathLike, member: int = 0) -> Scales:
    """Factors on the outputs of the model that initial weights are of (`scales_of`)."""
    return stored_scales(_weights_file(Path(path), member))


def copy_weights(source: keras.Model, target: keras.Model, n_targets: int) -> None:
    """Set the weights of a model to those of another one that predicts fewer columns.

    All layers below the output are copied whole, of the output the columns of the means: those of
    uncertainties have other forms, or the source has none.

    Parameters
    ----------
    source, target
        Models of one architecture that end in a dense layer, or whose last layers are made by
        `degu_tf.models.layers.output_head`.
    n_targets
        How many columns are means; they come first.

    Raises
    ------
    InputError
        If the layers' arrays do not fit each other; the first misfit is named.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> from degu_tf.models import registry
    >>> one, two = HeadLayout(("a",)), HeadLayout(("a",), epistemic="std")
    >>> teacher = registry.build("deepstarr", (32, 4), one, width=0.05)
    >>> student = registry.build("deepstarr", (32, 4), two, width=0.05)
    >>> copy_weights(teacher, student, n_targets=1)
    >>> x = keras.ops.ones((1, 32, 4))
    >>> bool(teacher(x)[0, 0] == student(x)[0, 0])
    True
    """
    below = [[layer for layer in model.layers if layer.weights] for model in (source, target)]
    ends = [last_dense(model) for model in (source, target)]
    below = [
        [layer for layer in side if layer is not end and not _is_output(layer)]
        for side, end in zip(below, ends, strict=True)
    ]
    shapes = [
        [(layer.name, [tuple(array.shape) for array in layer.weights]) for layer in side]
        for side in below
    ]
    for here, there in zip_longest(*shapes):
        if here is None or there is None or here[1] != there[1]:
            raise InputError(
                "a student that starts from a teacher has the teacher's architecture and size. "
                f"Received: a teacher's layer {here} and a student's layer {there}"
            )
    for here, there in zip(*below, strict=True):
        there.set_weights(here.get_weights())
    means, layer = _first_output(source), _first_output(target)
    layer.set_weights(
        [
            np.concatenate([old[..., :n_targets], new[..., n_targets:]], axis=-1)
            for old, new in zip(means.get_weights(), layer.get_weights(), strict=True)
        ]
    )


def _is_output(layer: keras.layers.Layer) -> bool:
    return layer.name == "output" or layer.name.startswith("output_")


def _first_output(model: keras.Model) -> keras.layers.Layer:
    """The layer that puts out the means: the only output layer, or the first of several."""
    end = last_dense(model)
    found = [
        layer for layer in model.layers if layer is end or (layer.weights and _is_output(layer))
    ]
    if not found:
        raise InputError(
            "a student that starts from a teacher ends in a dense layer or one made by "
            "output_head. "
            f"Received: {model.name}, whose last layer is {model.layers[-1].name}"
        )
    return found[0]


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
