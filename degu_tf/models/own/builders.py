"""Models by a user's builder: called, checked, and made to have the columns of a layout."""

import inspect
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from degu_tf.heads import HeadLayout
from degu_tf.models.own.columns import as_columns
from degu_tf.models.own.sources import Builder, check_builder, name_of
from degu_tf.utils.errors import InputError, blaming, did_you_mean

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def build_own(
    builder: Builder,
    input_shape: tuple[int | None, int],
    heads: HeadLayout,
    options: Mapping[str, Any],
) -> keras.Model:
    """A new model of a user's builder.

    Parameters
    ----------
    builder
        A function `(input_shape, n_columns)`, or `(input_shape, heads)` if its second argument has
        that name, with options of its own. It gives a Keras model from `(N, L, 4)`: functional,
        sequential or of its own class, with one output or several
        (`degu_tf.models.own.columns.as_columns`). Of its own class only the forward pass is used.
    input_shape
        `(L, 4)`, L in bases.
    heads
        What the output columns mean.
    options
        Further arguments of the builder by name.

    Returns
    -------
    keras.Model
        A functional model of one input and one output.

    Raises
    ------
    InputError
        If the builder fails, takes other arguments, or gives a model of other columns, of another
        input, or one that could not be loaded again (unregistered layers, Lambda layers).

    Examples
    --------
    >>> def network(input_shape, n_columns, units=8):
    ...     return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(n_columns)])
    >>> build_own(network, (32, 4), HeadLayout(("Dev", "Hk")), {}).output_shape
    (None, 2)
    """
    name = name_of(builder)
    known = own_options(builder)
    unknown = [option for option in options if option not in known]
    if unknown and not _takes_any(builder):
        meant = did_you_mean(unknown[0], known)
        raise InputError(
            f"{name} has {'the options ' + ', '.join(known) if known else 'no options'}.{meant} "
            f"Received: {unknown[0]}={options[unknown[0]]!r}"
        )
    second = heads if _takes_heads(builder) else heads.n_columns
    try:
        model = builder(input_shape, second, **options)
        model = _symbolic(model, input_shape)
    except InputError:
        raise
    except Exception as error:
        raise _failure(name, builder, input_shape, second, error) from error
    with blaming(name):
        model = as_columns(model, heads)
        _check_input(model, input_shape)
        _check_loadable(model)
    return model


def own_options(builder: Builder) -> dict[str, Any]:
    """The options of a builder with their defaults: its arguments after the first two.

    Raises
    ------
    InputError
        If it is no function of two arguments or more.

    Examples
    --------
    >>> own_options(lambda input_shape, heads, width=2.0: None)
    {'width': 2.0}
    """
    parameters = list(inspect.signature(check_builder(builder)).parameters.values())
    if len([each for each in parameters if each.kind in _POSITIONAL]) < 2:
        raise InputError(
            "expected a function (input_shape, n_columns) -> keras.Model. "
            f"Received: {name_of(builder)}{inspect.signature(builder)}"
        )
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {each.name: each.default for each in parameters[2:] if each.kind not in variable}


def _takes_any(builder: Builder) -> bool:
    parameters = inspect.signature(builder).parameters.values()
    return any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)


def _takes_heads(builder: Builder) -> bool:
    second = list(inspect.signature(builder).parameters.values())[1]
    return second.name == "heads" or second.annotation in (HeadLayout, "HeadLayout")


def _symbolic(model: Any, input_shape: tuple[int | None, int]) -> Any:
    """A model whose input is a symbolic tensor: one of its own class is called on it."""
    if isinstance(model, keras.Sequential):
        if not model.built:
            model.build((None, *input_shape))
        return model
    functional = getattr(model, "outputs", None) and type(model).__module__.startswith("keras.")
    if not isinstance(model, keras.Model) or functional:
        return model
    sequence = keras.Input(input_shape, name="sequence")
    return keras.Model(sequence, model(sequence), name=f"{model.name}_on_sequences")


def _failure(
    name: str, builder: Builder, input_shape: Any, second: Any, error: Exception
) -> InputError:
    """What a builder's own error is, and in which of its lines."""
    file = builder.__code__.co_filename
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename == file]
    line = f" ({Path(file).name}, line {frames[-1].lineno})" if frames else ""
    told = (str(error).strip().splitlines() or [""])[0]
    given = second if isinstance(second, int) else second.columns
    return InputError(
        f"{name} failed{line}: {type(error).__name__}: {told:.300}. "
        f"Received: input_shape={tuple(input_shape)}, columns {given}"
    )


def _check_input(model: keras.Model, input_shape: tuple[int | None, int]) -> None:
    shape, wanted = tuple(model.input_shape[1:]), tuple(input_shape)
    if len(shape) != 2 or shape[1] != wanted[1] or shape[0] not in (None, wanted[0]):
        raise InputError(
            f"expected a model that takes input_shape {wanted}. Received: one that takes {shape}"
        )


def _check_loadable(model: keras.Model) -> None:
    """Refuse layers that a finished run could not be loaded with."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Lambda):
            raise InputError(
                "models with Lambda layers are not loaded from files, because they hold code; "
                "write a layer class and register it with "
                f"@keras.saving.register_keras_serializable(). Received: layer {layer.name!r}"
            )
        try:
            content = keras.saving.serialize_keras_object(layer)
            keras.saving.deserialize_keras_object({**content, "build_config": None})
        except Exception as error:
            told = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(
                "expected layers that can be saved and loaded again: register a class of your own "
                "with @keras.saving.register_keras_serializable(), and let its get_config give "
                f"all that its constructor takes. Received: layer {layer.name!r} of type "
                f"{type(layer).__name__} ({told:.200})"
            ) from error
