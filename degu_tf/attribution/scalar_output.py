"""The scalar that attribution maps explain: one output column of a model, and its gradient."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import (
    ModelPredictor,
    check_length,
    check_long_enough,
)
from degu_tf.sequences.encoding import as_float
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole


class Scalar:
    """One output column of a Keras model; profiles are averaged over their length.

    Parameters
    ----------
    model
        A Keras model `(N, L, 4)` to `(N, n_columns)` or `(N, length, n_columns)`, or a
        `ModelPredictor`.
    output
        The column by its index; with a `ModelPredictor` also by its name.

    Raises
    ------
    InputError
        If the model has other inputs or outputs, or the column does not exist.

    Examples
    --------
    >>> from degu_tf.models import registry
    >>> heads = HeadLayout(("Dev", "Hk"))
    >>> model = registry.build("deepstarr", (32, 4), heads, width=0.05)
    >>> dev = Scalar(ModelPredictor(model, heads), "Dev")
    >>> dev.values(np.zeros((3, 32, 4), np.float32)).shape
    (3,)
    """

    def __init__(self, model: keras.Model | ModelPredictor, output: int | str) -> None:
        self.model, self.column = model_and_column(model, output)
        self.dtype = tf.as_dtype(self.model.inputs[0].dtype)

    def check(self, sequences: np.ndarray) -> np.ndarray:
        """Refuse sequences of a length that the model does not take.

        Raises
        ------
        InputError
            If the length is another than the model's, or too short for it.
        """
        length = check_length(sequences, self.model.input_shape[1]).shape[1]
        check_long_enough(self.model, length)
        return sequences

    def _value(self, batch: tf.Tensor) -> tf.Tensor:
        column = self.model(batch, training=False)[..., self.column]
        return column if len(column.shape) == 1 else tf.reduce_mean(column, axis=1)

    def _gradient(self, batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(batch)
            value = self._value(batch)
        gradient = tape.gradient(value, batch, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return gradient, value

    def _traced(self, function: Callable) -> Callable:
        shape = tf.TensorSpec((None, *self.model.input_shape[1:]), self.dtype)
        return tf.function(function).get_concrete_function(shape)

    @functools.cached_property
    def _traced_value(self) -> Callable[[tf.Tensor], tf.Tensor]:
        return self._traced(self._value)

    @functools.cached_property
    def _traced_gradient(self) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
        return self._traced(self._gradient)

    def values(self, batch: np.ndarray) -> np.ndarray:
        """The output `(N,)` for floats `(N, L, 4)`, all at once."""
        return self._traced_value(tf.constant(batch, self.dtype)).numpy()

    def gradients(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradients `(N, L, 4)` and outputs `(N,)` for floats `(N, L, 4)`, all at once."""
        gradient, value = self._traced_gradient(tf.constant(batch, self.dtype))
        return gradient.numpy(), value.numpy()


def model_and_column(
    model: keras.Model | ModelPredictor, output: int | str
) -> tuple[keras.Model, int]:
    """The Keras model, and the index of one of its columns.

    Raises
    ------
    InputError
        If the model has other inputs or outputs than those of `Scalar`, or the column does not
        exist.
    """
    heads = None
    if isinstance(model, ModelPredictor):
        model, heads = model.model, model.heads
    if not isinstance(model, keras.Model):
        raise InputError(
            "expected a Keras model or a ModelPredictor; of an ensemble, explain each member. "
            f"Received: {type(model).__name__}"
        )
    shape, columns = _shapes(model)
    n_columns = columns[-1] if columns else None
    if len(shape) != 3 or shape[2] != 4 or len(columns) not in (2, 3) or n_columns is None:
        raise InputError(
            "expected a model from (N, L, 4) to (N, n_columns) or (N, length, n_columns). "
            f"Received: {shape} to {columns}"
        )
    return model, column_of(output, n_columns, heads)


def column_of(output: int | str, n_columns: int, heads: HeadLayout | None) -> int:
    """Index of a column given by index or name.

    Raises
    ------
    InputError
        If there is no such column, or a name is given where columns have none.
    """
    if isinstance(output, str):
        if heads is None:
            raise InputError(
                "columns have names only with a predictor; give the column's index. "
                f"Received: output={output!r}"
            )
        return heads.column(output)
    if not is_whole(output, 0, n_columns - 1):
        raise InputError(
            f"output must be a column from 0 to {n_columns - 1}. Received: output={output!r}"
        )
    return int(output)


def floats(sequences: np.ndarray, scalar: Scalar) -> np.ndarray:
    """Tokens `(N, L)` as one-hot, or floats `(N, L, 4)`, in the model's own precision."""
    array = as_float(sequences) if sequences.ndim == 2 else sequences
    return array.astype(scalar.dtype.as_numpy_dtype, copy=False)


def check_positive(name: str, value: int) -> None:
    """Refuse anything but a whole number from 1.

    Raises
    ------
    InputError
        Naming the number.
    """
    if not is_whole(value, 1):
        raise InputError(f"{name} must be a whole number from 1. Received: {name}={value!r}")


def _shapes(model: keras.Model) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
    try:
        return tuple(model.input_shape), tuple(model.output_shape)
    except (AttributeError, ValueError, TypeError):
        raise InputError(
            "expected a functional or sequential model that has been built. "
            f"Received: {type(model).__name__} {model.name!r}"
        ) from None
