"""Losses over the values that were measured, each with the weight of its row."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from degu_tf.data.splits import Splits
from degu_tf.training.losses import DistillationLoss, Likelihood
from degu_tf.training.parallel.devices import n_replicas
from degu_tf.training.standardisation import StandardisedLoss
from degu_tf.utils.errors import InputError


@keras.saving.register_keras_serializable("degu_tf")
class PresentValues(keras.losses.Loss):
    """Another loss, taken over the values that are present (not NaN), each with its weight.

    Every column counts as in the other loss, by its mean over the values present, whatever their
    number. The mean is that of the whole split: the weights that come with a batch
    (`degu_tf.data.measured.value_weights`) were divided by their mean over the split, so the batch
    divides by its number of rows, and an epoch's batches add up to the whole. For a target,
    training on all rows in one batch is then training on the rows that have it, and a weight of 2
    is the row twice. Without weights the mean is that of the batch.

    Parameters
    ----------
    loss
        A `DistillationLoss`, a likelihood, or a loss of Keras that is a mean over columns, by name
        or as an object.

    Raises
    ------
    InputError
        If the loss has no term for each value.

    Examples
    --------
    >>> import numpy as np
    >>> loss = PresentValues("mse")
    >>> float(loss(np.array([[1.0, np.nan], [3.0, 2.0]]), np.zeros((2, 2))))
    4.5
    """

    def __init__(
        self, loss: keras.losses.Loss | str | Mapping, name: str = "present_values", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.loss = keras.losses.get(loss)
        self._values = _values_of(self.loss)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of a batch.

        Parameters
        ----------
        y_true
            Values `(N, C)` or `(N, length, C)`, NaN where missing.
        y_pred
            What the other loss takes beside them.
        sample_weight
            The weight of each value, `(N, C)`, `(N,)`, or of profiles `(N, 1, 1)`.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype)
        missing = ops.isnan(y_true)
        # Finite values where none are: a product with 0 would keep NaN, in gradients too.
        values = self._values(ops.where(missing, ops.zeros_like(y_true), y_true), y_pred)
        present = ops.cast(ops.logical_not(missing), values.dtype)
        if sample_weight is None:
            share = ops.mean(present, axis=tuple(range(len(present.shape) - 1)), keepdims=True)
            weight = present / ops.where(share > 0, share, ops.ones_like(share))
        else:
            weight = ops.cast(ops.convert_to_tensor(sample_weight), values.dtype)
            missing_axes = len(values.shape) - len(weight.shape)
            weight = ops.reshape(weight, (*ops.shape(weight), *[1] * missing_axes)) * present
        # as Keras' own losses are: a part of the sum over devices
        return ops.mean(ops.sum(values * weight, axis=-1)) / n_replicas()

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss without weights."""
        return self(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        """The arguments of this loss, for saving it."""
        config = super().get_config()
        return {**config, "loss": keras.saving.serialize_keras_object(self.loss)}


def fitting_loss(loss: keras.losses.Loss | str, splits: Splits) -> keras.losses.Loss | str:
    """The loss as training takes it: over present values where the data have gaps or weights."""
    parts = (splits.train, splits.validation)
    return loss if all(part.value_weights is None for part in parts) else PresentValues(loss)


def _values_of(loss: Any) -> Callable[[Any, Any], Any]:
    """A function that gives a loss's terms `(..., C)`, whose sum over columns is the loss."""
    if isinstance(loss, DistillationLoss | Likelihood):
        return loss.values
    if isinstance(loss, StandardisedLoss):
        inner, labels = _values_of(loss.inner), loss.labels
        return lambda y_true, y_pred: inner(labels(y_true), y_pred)
    call = getattr(loss, "call", loss)

    def values(y_true: Any, y_pred: Any) -> Any:
        # Keras averages over the last axis: of one value each, that is the value itself.
        each = call(ops.expand_dims(y_true, -1), ops.expand_dims(y_pred, -1))
        return each / y_true.shape[-1]

    _check_terms(loss, call, values)
    return values


def _check_terms(loss: Any, call: Callable[[Any, Any], Any], values: Callable) -> None:
    """Refuse a loss that is no mean over columns, such as the cosine similarity of rows."""
    y_true, y_pred = (np.array([row], np.float32) for row in ([0, 1, 0], [0.2, 0.5, 0.3]))
    try:
        whole, summed = np.array(call(y_true, y_pred)), np.array(values(y_true, y_pred)).sum(-1)
        agree = whole.shape == summed.shape and np.allclose(whole, summed, rtol=1e-4)
    except (TypeError, ValueError, tf.errors.InvalidArgumentError):
        agree = False
    if not agree:
        name = getattr(loss, "name", getattr(loss, "__name__", loss))
        raise InputError(
            "missing values and weights go with a loss that is a mean over columns, such as 'mse'. "
            f"Received: loss={name!r}"
        )
