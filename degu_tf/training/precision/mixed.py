"""Mixed precision: a model's layers compute in 16 bits while it is trained, weights stay float32.

Keras' own policies do it, layer by layer and for as long as the training lasts: nothing global is
set, and the trained model, its files included, computes in float32 as any other.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from degu_tf.training.settings import Precision


@contextmanager
def computing_in(model: keras.Model, precision: Precision) -> Iterator[None]:
    """Let a model compute in a precision within the block; what it puts out stays float32.

    Its layers with weights compute in 16 bits but for the last of them, which stay in float32 with
    all that follows: outputs, and the loss, are float32.

    Parameters
    ----------
    model
        A model of one input whose variables are float32.
    precision
        ``"float32"`` changes nothing; else a policy of Keras.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((4,)), *map(keras.layers.Dense, (3, 2))])
    >>> with computing_in(model, "mixed_bfloat16"):
    ...     [layer.compute_dtype for layer in model.layers], model(keras.ops.ones((1, 4))).dtype
    (['bfloat16', 'float32'], tf.float32)
    >>> {layer.compute_dtype for layer in model.layers}
    {'float32'}
    """
    if precision == "float32":
        yield
        return
    last = {id(layer) for layer in _output_layers(model)}
    before = [(layer, layer.dtype_policy) for layer in _leaves(model) if id(layer) not in last]
    try:
        for layer, _ in before:
            layer.dtype_policy = keras.DTypePolicy(precision)
        yield
    finally:
        for layer, policy in before:
            layer.dtype_policy = policy


def scaled_for(
    precision: Precision, optimizer: keras.optimizers.Optimizer
) -> keras.optimizers.Optimizer:
    """The optimiser of a training in a precision: in float16 Keras scales the loss for it.

    Small gradients would be zero otherwise; where large ones overflow, a step is left out and the
    scale lowered. bfloat16 has the range of float32 and needs neither.
    """
    if precision != "mixed_float16":
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


def is_mixed(model: keras.Model) -> bool:
    """Whether any layer of a model computes in another type than its variables have."""
    return any(layer.compute_dtype != layer.variable_dtype for layer in _leaves(model))


def _leaves(model: keras.Model) -> list[keras.layers.Layer]:
    """Layers at whatever depth, but for the models that hold them."""
    flat = model._flatten_layers(include_self=False)
    return [layer for layer in flat if not isinstance(layer, keras.Model)]


def _output_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The last layers with weights, and what stands behind them."""
    found: list[keras.layers.Layer] = []
    tensors = list(model.outputs)
    seen: set[int] = set()
    while tensors:
        tensor = tensors.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        operation, node, _ = tensor._keras_history
        if isinstance(operation, keras.layers.Layer):
            found += operation._flatten_layers()
            if operation.weights:
                continue
        tensors += operation._inbound_nodes[node].input_tensors
    return found
