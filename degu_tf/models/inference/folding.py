"""Batch normalisation folded into the layer before it, for models that only predict.

At inference a batch normalisation multiplies and adds by constants, which the convolution or dense
layer before it can do itself, and dropout does nothing.
"""

import keras
import numpy as np
from keras import layers

from degu_tf.models.inference.wiring import Key, Wiring, as_functional

IDENTITIES = (
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.AlphaDropout,
    layers.ActivityRegularization,
)
"""Layers that pass their input on at inference."""

_LINEAR = (layers.Conv1D, layers.Dense)


def fold(model: keras.Model) -> keras.Model:
    """The same model for inference: no dropout, batch normalisations folded where they can be.

    A batch normalisation over the last axis is folded if it is the only one to take the output of
    a one-dimensional convolution or dense layer without activation, dropout between them or not.
    Everything else stays as it is; a model in which nothing can be folded comes back as a copy.
    Numbers agree to 1e-5 in float32.

    Parameters
    ----------
    model
        A functional or sequential model; it is not changed. Models of other kinds, whose layers
        cannot be seen from outside, and those with layers that cannot be made again from their
        configuration, such as `Lambda`, are returned as they are.

    Returns
    -------
    keras.Model
        A functional model of Keras' own layers with weights of its own, to predict with: trained
        further, it would train without its normalisations.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> from degu_tf.models import registry
    >>> model = registry.build("deepstarr", (249, 4), HeadLayout(("Dev", "Hk")))
    >>> model.count_params(), fold(model).count_params()
    (624738, 620706)
    """
    try:
        return _folded(model, _foldable(Wiring(model)))
    except ValueError:
        return model


def _folded(model: keras.Model, folded: dict[str, layers.BatchNormalization]) -> keras.Model:
    """A copy without what is not needed; `ValueError` if a layer cannot be copied."""
    copies: dict[str, keras.layers.Layer] = {}

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.Model) and (nested := fold(layer)) is not layer:
            return nested
        copies[layer.name] = _copy(layer, with_bias=layer.name in folded)
        return copies[layer.name]

    removed = {normalisation.name for normalisation in folded.values()}

    def call(layer: keras.layers.Layer, *args: object, **kwargs: object) -> object:
        if type(layer) in IDENTITIES or layer.name in removed:
            return args[0]
        return layer(*args, **kwargs)

    if isinstance(model, keras.Sequential):
        model = as_functional(model)
    clone = keras.models.clone_model(model, clone_function=copy, call_function=call)
    for name in copies.keys() - removed:
        layer = model.get_layer(name)
        weights = folded_weights(layer, folded[name]) if name in folded else layer.get_weights()
        copies[name].set_weights(weights)
    return clone


def _copy(layer: keras.layers.Layer, with_bias: bool) -> keras.layers.Layer:
    """A layer rebuilt from its configuration; errors of custom layers become `ValueError`."""
    try:
        config = layer.get_config()
        return layer.__class__.from_config({**config, "use_bias": True} if with_bias else config)
    except Exception as error:
        raise ValueError(f"{layer.name} cannot be made from its configuration") from error


def folded_weights(
    layer: keras.layers.Layer, normalisation: layers.BatchNormalization
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias that do what the layer and the batch normalisation after it do.

    Computed in float64, returned as float32.
    """

    def values(variable: object, default: float) -> np.ndarray:
        if variable is None:
            return np.full(layer.kernel.shape[-1], default)
        return keras.ops.convert_to_numpy(variable).astype(np.float64)

    scale = values(normalisation.gamma, 1.0) / np.sqrt(
        values(normalisation.moving_variance, 1.0) + normalisation.epsilon
    )
    shift = values(normalisation.beta, 0.0) - values(normalisation.moving_mean, 0.0) * scale
    kernel = values(layer.kernel, 0.0) * scale
    bias = values(layer.bias if layer.use_bias else None, 0.0) * scale + shift
    return kernel.astype(np.float32), bias.astype(np.float32)


def _foldable(wiring: Wiring) -> dict[str, layers.BatchNormalization]:
    """Names of the layers that a batch normalisation can be folded into, and which one."""
    found = {}
    for key, node in wiring.nodes.items():
        if type(node.layer) not in _LINEAR or not wiring.called_once(node.layer.name):
            continue
        if not _is_plain(node.layer):
            continue
        after = _past_identities(wiring, key)
        if after is not None and _normalises_channels(wiring.nodes[after].layer):
            normalisation = wiring.nodes[after].layer
            if wiring.called_once(normalisation.name):
                found[node.layer.name] = normalisation
    return found


def _is_plain(layer: keras.layers.Layer) -> bool:
    """Whether the layer is linear with its channels on the last axis."""
    channels_last = getattr(layer, "data_format", "channels_last") == "channels_last"
    return layer.activation is keras.activations.linear and channels_last


def _past_identities(wiring: Wiring, key: Key) -> Key | None:
    """The next node that does something, if it is the only one to take this one's output."""
    node = wiring.only_consumer(key)
    while node is not None and type(node.layer) in IDENTITIES:
        node = wiring.only_consumer(node.key)
    return None if node is None else node.key


def _normalises_channels(layer: keras.layers.Layer) -> bool:
    if type(layer) is not layers.BatchNormalization:
        return False
    return layer.axis in (-1, len(layer.input.shape) - 1)
