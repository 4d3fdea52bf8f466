"""The steps of a model that is fitted on several devices: what they add up, as one device would."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

import keras
import tensorflow as tf

from degu_tf.training.parallel.devices import n_replicas


@contextmanager
def synchronised(model: keras.Model) -> Iterator[None]:
    """Batch normalisation over the whole batch, not each device's part, while a model is fitted."""
    changed = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and not layer.synchronized
    ]
    if n_replicas() == 1:
        changed = []
    for layer in changed:
        layer.synchronized = True
    try:
        yield
    finally:
        for layer in changed:
            layer.synchronized = False


def share_of_replica(x: Any) -> tf.Tensor:
    """By what a device's mean over its rows is multiplied so that devices add up to the batch's.

    Keras gives every device the same weight. A last smaller batch is divided unevenly, and its
    rows would count the more, the fewer of them a device has.
    """
    context = tf.distribute.get_replica_context()
    rows = tf.cast(tf.shape(tf.nest.flatten(x)[0])[0], tf.float32)
    total = context.all_reduce(tf.distribute.ReduceOp.SUM, rows)
    return rows * float(n_replicas()) / total


def replica_step(model: keras.Model, data: Any) -> dict[str, Any]:
    """A step of Keras' `Model.train_step`, of which every row counts alike on whatever device."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    with tf.GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = model.compute_loss(x, y, y_pred, sample_weight, training=True)
        rows = tf.shape(tf.nest.flatten(x)[0])[0]
        model._loss_tracker.update_state(loss * float(n_replicas()), sample_weight=rows)
        loss = model.optimizer.scale_loss(loss * share_of_replica(x))
    weights = model.trainable_weights
    model.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
    return _of_machines(model.compute_metrics(x, y, y_pred, sample_weight=sample_weight))


class DeviceParallel(keras.Model):
    """A Keras model that can be fitted on several devices, whatever the size of a batch."""

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Build loss and metrics for the shapes of a batch.

        Keras would take the first batch for that and not train on it, and add up the devices'
        parts, which must be equally large then.
        """
        if iterator is None or n_replicas() == 1:
            super()._maybe_symbolic_build(iterator, data_batch)
            return
        specs = iterator._distributed_dataset.element_spec
        one = tf.nest.map_structure(_of_one_device, specs, expand_composites=False)
        super()._maybe_symbolic_build(None, one)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Keras' step of an evaluation."""
        return _of_machines(super().test_step(data))


def _of_machines(metrics: dict[str, Any]) -> dict[str, Any]:
    """What a step returns; Keras averages it over machines along an axis, which numbers lack."""
    if not tf.distribute.get_strategy().extended._in_multi_worker_mode():
        return metrics
    return {name: tf.expand_dims(value, 0) for name, value in metrics.items()}


def _of_one_device(spec: Any) -> Any:
    parts = getattr(spec, "_value_specs", None)
    return spec if parts is None else parts[0]


_Fit = TypeVar("_Fit", bound=Callable[..., Any])


def where_model_lies(fit: _Fit) -> _Fit:
    """Let a function that fits a model do so on the devices that the model was built for."""

    @wraps(fit)
    def fitted(model: keras.Model, *args: Any, **options: Any) -> Any:
        with model.distribute_strategy.scope(), synchronised(model):
            return fit(model, *args, **options)

    return cast(_Fit, fitted)
