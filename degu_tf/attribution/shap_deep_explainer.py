"""Contributions by `shap.DeepExplainer`, for one output column of models it is exact on."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import keras
import numpy as np
from keras import layers
from tensorflow.python.eager import execute

from degu_tf.attribution.background import Background
from degu_tf.attribution.contributions import Contributions, as_float_keeping
from degu_tf.attribution.deeplift.rules import is_plain
from degu_tf.models.inference.folding import IDENTITIES
from degu_tf.models.inference.wiring import Wiring
from degu_tf.utils.errors import InputError
from degu_tf.utils.progress import bar

_ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "softplus", "elu", "exponential")

_LAYERS = (
    *IDENTITIES,
    layers.Activation,
    layers.Add,
    layers.AveragePooling1D,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Conv1D,
    layers.Dense,
    layers.Flatten,
    layers.GlobalAveragePooling1D,
    layers.InputLayer,
    layers.MaxPooling1D,
    layers.ReLU,
    layers.Reshape,
)


def shap_contributions(
    model: keras.Model,
    column: int,
    sequences: np.ndarray,
    background: Background,
    progress: bool | None = False,
) -> Contributions:
    """Scores by `shap.DeepExplainer`, of that column alone, one sequence after another.

    Raises
    ------
    InputError
        If `shap` has no exact rule for a layer of the model, which is named.
    """
    check_exact(model)
    references = [background.of(slice(0, 1), slice(None))[0]]
    single = one_column(model, column)
    made = Contributions.zeros(len(sequences), sequences.shape[1], np.float32)
    with _shap() as shap:
        explainer = shap.DeepExplainer(
            single, references[0] if background.shared else lambda _: references
        )
        for row in bar(range(len(sequences)), "explaining", progress):
            if row > 0 and not background.shared:
                references[0] = background.of(slice(row, row + 1), slice(None))[0]
            x = as_float_keeping(sequences[row : row + 1]).astype(np.float32)
            made.scores[row] = explainer.shap_values(x, check_additivity=False)[0, ..., 0]
            made.prediction[row] = single(x)[0, 0]
            if row == 0 or not background.shared:
                expected = np.mean(single(references[0]))
            made.expected[row] = expected
    return made


@contextmanager
def _shap() -> Iterator[ModuleType]:
    """`shap` without its warnings, and what it changes in TensorFlow put back afterwards.

    By itself it leaves TensorFlow unable to differentiate if it is interrupted.
    """
    record_gradient = execute.record_gradient
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import shap

            yield shap
        finally:
            execute.record_gradient = record_gradient


def one_column(model: keras.Model, column: int) -> keras.Model:
    """A model of one output: a column, averaged over positions where it is a profile."""
    x = model.output
    if len(x.shape) == 3:
        x = layers.GlobalAveragePooling1D()(x)
    select = layers.Dense(1, use_bias=False)
    x = select(x)
    select.set_weights([np.eye(model.output_shape[-1])[:, column : column + 1]])
    return keras.Model(model.input, x)


def check_exact(model: keras.Model) -> None:
    """Refuse a model on which `shap.DeepExplainer` fails or is wrong.

    Raises
    ------
    InputError
        Naming the first layer that it has no exact rule for.
    """
    try:
        nodes = Wiring(model).nodes.values()
    except ValueError as error:
        raise InputError(f"method='shap' takes a functional model: {error}") from None
    for node in nodes:
        complaint = _complaint(node.layer)
        if complaint:
            raise InputError(
                f"shap.DeepExplainer is not exact on {complaint}: layer {node.layer.name!r} of "
                f"type {type(node.layer).__name__}. Use method='rescale'"
            )


def _complaint(layer: keras.layers.Layer) -> str | None:
    if type(layer) not in _LAYERS:
        return "this type of layer"
    activation = getattr(layer, "activation", None)
    if activation is not None and activation.__name__ not in _ACTIVATIONS:
        return f"the activation {activation.__name__!r}"
    if type(layer) is layers.ReLU and not is_plain(layer):
        return "bounds or slopes of a ReLU"
    if type(layer) is layers.Conv1D and layer.dilation_rate[0] != 1:
        return "dilation"
    if type(layer) is layers.Conv1D and layer.groups != 1:
        return "groups"
    return None
