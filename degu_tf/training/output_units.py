"""A model's output in other units: each column times a factor, plus a shift, in the layers it has.

Files then hold ordinary Keras layers and predict in the new units wherever they are loaded.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from degu_tf.heads import HeadLayout
from degu_tf.models.inference.wiring import Node, Wiring
from degu_tf.utils.errors import InputError

ENDING = "_units"
"""Ends the name of a layer that puts a positive output into the data's units."""

Scales = Mapping[str, Sequence[float]]
"""Factors of such layers by name."""


@dataclass(frozen=True)
class _Block:
    """Some of a model's columns: the tensor they are, what makes it, and where they lie."""

    tensor: keras.KerasTensor
    layer: keras.layers.Layer
    columns: slice


def with_output_units(
    model: keras.Model, heads: HeadLayout, scale: np.ndarray, offset: np.ndarray
) -> keras.Model:
    """The model whose column `i` is `scale[i]` times what it was, plus `offset[i]`.

    A linear dense layer takes factor and shift into its weights, which are changed in place. Behind
    any other layer, such as the softplus of a positive standard deviation, a `Rescaling` layer of
    Keras takes the factor; there no shift is possible, nor for a mean.

    Parameters
    ----------
    model
        A functional model that ends in a dense layer, or in dense layers put side by side.
    heads
        What its columns mean.
    scale, offset
        Factors above zero and shifts `(n_columns,)`.

    Returns
    -------
    keras.Model
        The same model, or, where a layer had to be added or taken away, one of the same layers.

    Raises
    ------
    InputError
        If the model ends in anything else; the layer is named, and no weight is changed.

    Examples
    --------
    >>> sequence = keras.Input((3,))
    >>> model = keras.Model(sequence, keras.layers.Dense(1, kernel_initializer="ones")(sequence))
    >>> changed = with_output_units(model, HeadLayout(("a",)), np.array([2.0]), np.array([10.0]))
    >>> float(changed(np.ones((1, 3)))[0, 0])
    16.0
    """
    blocks = check_output(model, heads, offset)
    tensors = [_in_units(block, scale[block.columns], offset[block.columns]) for block in blocks]
    if all(new is block.tensor for new, block in zip(tensors, blocks, strict=True)):
        return model
    name = model.layers[-1].name
    return keras.Model(model.input, keras.layers.Concatenate(name=name)(tensors), name=model.name)


def check_output(model: keras.Model, heads: HeadLayout, offset: np.ndarray) -> list[_Block]:
    """What the output consists of, if `with_output_units` can change its units.

    Raises
    ------
    InputError
        If it cannot, for shifts `(n_columns,)` that are not zero; the layer is named.
    """
    blocks = _blocks(model)
    for block in blocks:
        _check(block, heads, offset[block.columns])
    return blocks


def scales_of(model: keras.Model) -> Scales:
    """Factors of the layers that `with_output_units` added to a model."""
    return {
        layer.name: np.ravel(layer.scale).tolist()
        for layer in model.layers
        if isinstance(layer, keras.layers.Rescaling) and layer.name.endswith(ENDING)
    }


def stored_scales(path: Path) -> Scales:
    """Factors of such layers of the model in a file; none where it is no `.keras` file."""
    try:
        with zipfile.ZipFile(path) as archive:
            layers = json.loads(archive.read("config.json"))["config"]["layers"]
        return {
            layer["config"]["name"]: np.ravel(layer["config"]["scale"]).tolist()
            for layer in layers
            if layer["class_name"] == "Rescaling" and layer["config"]["name"].endswith(ENDING)
        }
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError):
        return {}


def with_scales(model: keras.Model, heads: HeadLayout, scales: Scales) -> keras.Model:
    """The model whose outputs have the factors of another one, from `scales_of`.

    Weights that were trained with such a factor mean nothing without it.

    Raises
    ------
    InputError
        If the model has no output of that name, or one of other columns.
    """
    scale = np.ones(heads.n_columns)
    for name, values in scales.items():
        layer = name.removesuffix(ENDING)
        block = next((block for block in _blocks(model) if block.layer.name == layer), None)
        if block is None or len(scale[block.columns]) != len(values):
            raise InputError(
                f"expected weights of a model without factors on its output {layer!r}, which was "
                f"trained in standardised units, or a model that has this output. "
                f"Received: {model.name}, which ends in {model.layers[-1].name!r}"
            )
        scale[block.columns] = values
    return with_output_units(model, heads, scale, np.zeros(heads.n_columns)) if scales else model


def _blocks(model: keras.Model) -> list[_Block]:
    """What the output consists of: one tensor, or those that the last layer puts side by side."""
    try:
        wiring = Wiring(model)
        node = wiring.nodes[wiring.output]
        sources = [wiring.nodes[source] for source in node.inputs] if _joins(node) else [node]
        if not all(wiring.called_once(each.layer.name) for each in [node, *sources]):
            raise ValueError(f"the output layer {node.layer.name!r} is used more than once")
    except ValueError as error:
        raise _refusal(f"{model.name}: {error}") from None
    blocks, start = [], 0
    for source in sources:
        width = source.layer.output.shape[-1]
        blocks.append(_Block(source.layer.output, source.layer, slice(start, start + width)))
        start += width
    return blocks


def _joins(node: Node) -> bool:
    layer = node.layer
    return isinstance(layer, keras.layers.Concatenate) and layer.axis in (
        -1,
        len(layer.output.shape) - 1,
    )


def _is_linear(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.Dense) and layer.activation is keras.activations.linear


def _check(block: _Block, heads: HeadLayout, offset: np.ndarray) -> None:
    """Refuse a block that cannot be shifted, or a mean that is bounded."""
    layer = block.layer
    if _is_linear(layer):
        if offset.any() and not layer.use_bias:
            raise _refusal(f"the dense layer {layer.name!r}, which has no bias")
        return
    means = heads.slice("mean")
    if offset.any() or block.columns.start < means.stop:
        raise _refusal(f"{layer.name!r}, a {type(layer).__name__}{_activation(layer)}")


def _activation(layer: keras.layers.Layer) -> str:
    function = getattr(layer, "activation", None)
    return "" if function is None else f" with the activation {function.__name__}"


def _refusal(ends_in: str) -> InputError:
    return InputError(
        "expected a model whose means come from linear dense layers, which can take the data's "
        f"units (standardise=True). Received: {ends_in}"
    )


def _in_units(block: _Block, scale: np.ndarray, offset: np.ndarray) -> keras.KerasTensor:
    """A block's tensor in the new units: its own where the layer's weights took them."""
    layer = block.layer
    if _is_linear(layer):
        kernel, *bias = layer.get_weights()
        layer.set_weights([kernel * scale, *(each * scale + offset for each in bias)])
        return block.tensor
    source, name = block.tensor, f"{layer.name}{ENDING}"
    if isinstance(layer, keras.layers.Rescaling) and layer.name.endswith(ENDING):
        source, name, scale = layer.input, layer.name, scale * np.ravel(layer.scale)
    if np.allclose(scale, 1.0, rtol=1e-6, atol=0.0):
        return source
    return keras.layers.Rescaling(scale.tolist(), name=name)(source)
