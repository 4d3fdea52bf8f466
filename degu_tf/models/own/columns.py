"""Any Keras model from sequences, as one with a single output: the columns of a layout."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from degu_tf.heads import HeadLayout
from degu_tf.models.inference.wiring import as_functional
from degu_tf.utils.errors import InputError

OUTPUT = "output"
"""Name of the layer that puts several outputs side by side."""


def as_columns(model: keras.Model, heads: HeadLayout) -> keras.Model:
    """The model with one output, whose last axis holds the columns of a layout in their order.

    A functional model of one output is returned as it is. A sequential one becomes the functional
    model of the same layers. Several outputs are put side by side: in the layout's order where
    they are named after its columns (``"Dev"``, ``"Hk"``) or its blocks (``"mean"``,
    ``"aleatoric"``), else in their own. The layers and their weights are shared, not copied.

    Parameters
    ----------
    model
        A model from `(N, L, 4)` to one output or several, each `(N,)`, `(N, columns)` or
        `(N, length, columns)`.
    heads
        What the columns mean.

    Raises
    ------
    InputError
        If it is no such model, the number of columns is another, or one output holds columns of
        several blocks (means and deviations of one target).

    Examples
    --------
    >>> sequence = keras.Input((32, 4))
    >>> x = keras.layers.GlobalAveragePooling1D()(sequence)
    >>> outputs = {name: keras.layers.Dense(1, name=name)(x) for name in ("Hk", "Dev")}
    >>> model = as_columns(keras.Model(sequence, outputs), HeadLayout(("Dev", "Hk")))
    >>> model.output_shape, model.layers[-1].input[0] is outputs["Dev"]
    ((None, 2), True)
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"expected a Keras model. Received: {type(model).__name__}")
    outputs = getattr(model, "outputs", None)
    if outputs is None:
        return _opaque(model, heads)
    if isinstance(model, keras.Sequential):
        model = as_functional(model)
    if len(model.inputs) != 1:
        raise InputError(
            "expected a model of one input and one output or several, from sequences (N, L, 4). "
            f"Received: {model.name} with {len(model.inputs)} inputs"
        )
    named = _named(model)
    single = len(named) == 1
    ordered = list(named.values()) if single else _ordered(named, heads)
    _check_number(columns_of(ordered), heads)
    if single and len(ordered[0].shape) > 1 and _is_plain(model):
        return model
    return keras.Model(model.inputs[0], _side_by_side(ordered, model), name=model.name)


def columns_of(outputs: Sequence[Any]) -> int:
    """Columns of all outputs together; one without an axis of columns is one.

    Examples
    --------
    >>> columns_of([keras.Input((2,)), keras.Input(())])
    3
    """
    return sum(tensor.shape[-1] if len(tensor.shape) > 1 else 1 for tensor in outputs)


def _is_plain(model: keras.Model) -> bool:
    """Whether input and output are tensors, not lists or dictionaries of one."""
    return not any(isinstance(end, list | tuple | dict) for end in (model.input, model.output))


def _opaque(model: keras.Model, heads: HeadLayout) -> keras.Model:
    """A model whose layers cannot be seen, if it says what it takes and puts out."""
    try:
        _, shape = tuple(model.input_shape), tuple(model.output_shape)
    except (AttributeError, ValueError, TypeError):
        raise InputError(
            "expected a functional or sequential model that has been built. "
            f"Received: {type(model).__name__} {model.name!r}"
        ) from None
    _check_number(shape[-1], heads)
    return model


def _check_number(n_columns: int, heads: HeadLayout) -> None:
    if n_columns != heads.n_columns:
        raise InputError(
            f"the model emits {n_columns} columns, the layout has {heads.n_columns}: "
            f"{heads.columns}. Give the layout the model was built with"
        )


def _named(model: keras.Model) -> dict[str, Any]:
    """Outputs by name: the keys of a dictionary, or the names of the layers that make them."""
    if isinstance(model.output, dict):
        return dict(model.output)
    names = list(model.output_names)
    if len(set(names)) < len(names):
        names = [f"{name}_{i}" for i, name in enumerate(names)]
    return dict(zip(names, model.outputs, strict=True))


def _ordered(named: Mapping[str, Any], heads: HeadLayout) -> list[Any]:
    """The outputs in the order of the layout's columns."""
    for order in (heads.columns, heads.roles):
        if set(named) == set(order):
            return _checked({name: named[name] for name in order}, heads)
    return _checked(named, heads)


def _checked(named: Mapping[str, Any], heads: HeadLayout) -> list[Any]:
    """Refuse outputs of different rank, and those that hold columns of more than one block."""
    shapes = {name: tuple(tensor.shape) for name, tensor in named.items()}
    if len({max(2, len(shape)) for shape in shapes.values()}) > 1:
        raise InputError(
            "expected outputs that all have a value for each sequence, or all for each position. "
            f"Received: {_listed(shapes)}"
        )
    start = 0
    mixed = len(heads.roles) > 1 and set(named) == set(heads.targets)
    for shape in shapes.values():
        width = shape[-1] if len(shape) > 1 else 1
        mixed = mixed or start // heads.n_targets < (start + width - 1) // heads.n_targets
        start += width
    if mixed and start == heads.n_columns:
        raise InputError(
            f"expected outputs in the order {', '.join(heads.columns)}, each with columns of one "
            f"kind: the means first, then the uncertainties. Received: {_listed(shapes)}"
        )
    return list(named.values())


def _listed(shapes: Mapping[str, Sequence[int | None]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def _side_by_side(tensors: Sequence[Any], model: keras.Model) -> Any:
    tensors = [
        tensor if len(tensor.shape) > 1 else keras.layers.Reshape((1,))(tensor)
        for tensor in tensors
    ]
    if len(tensors) == 1:
        return tensors[0]
    taken = {layer.name for layer in model.layers}
    name = next(name for name in (OUTPUT, "columns", "degu_columns") if name not in taken)
    return keras.layers.Concatenate(name=name)(tensors)
