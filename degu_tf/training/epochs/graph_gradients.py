"""Gradients that TensorFlow keeps by name live as long as the graphs that use them, not longer.

A function with a gradient of its own (`tf.custom_gradient`: SiLU is one, and so is the sum of
gradients over devices, which Keras takes on one device too) registers that gradient in each graph
it becomes part of. TensorFlow (2.21: `custom_gradient._graph_mode_decorator`) never takes it from
its registry, and with it stay the graph of the training step and all that the graph holds: 5 MiB
for each small DeepSTARR trained, 10 MiB for a ResidualBind.
"""

import inspect
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops


@contextmanager
def released_with_their_graphs() -> Iterator[None]:
    """Let gradients registered meanwhile go when their graphs do; until then they can be used.

    Examples
    --------
    >>> before = set(ops.gradient_registry.list())
    >>> with released_with_their_graphs():
    ...     _ = tf.function(tf.nn.silu).get_concrete_function(tf.TensorSpec(3))
    >>> del _
    >>> import gc
    >>> _ = gc.collect()
    >>> set(ops.gradient_registry.list()) - before
    set()
    """
    registered = _registered()
    before = set(registered)
    try:
        yield
    finally:
        for name in set(registered) - before:
            gradient = registered[name]["type"]
            graph = _graph_of(gradient)
            if graph is not None:
                registered[name]["type"] = _held_by(graph, gradient, name)


def _registered() -> dict[str, dict[str, Any]]:
    """TensorFlow's gradients by name; none if another version of it keeps them otherwise."""
    return getattr(getattr(ops, "gradient_registry", None), "_registry", {})


def _graph_of(gradient: Callable[..., Any]) -> tf.Graph | None:
    """The graph of the results that a gradient is for; None if it is not one for a graph."""
    try:
        inner = inspect.getclosurevars(gradient).nonlocals["tape_grad_fn"]
        results = tf.nest.flatten(inspect.getclosurevars(inner).nonlocals["result"])
    except (KeyError, TypeError):
        return None
    return next((each.graph for each in results if tf.is_symbolic_tensor(each)), None)


def _held_by(graph: tf.Graph, gradient: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A stand-in for a gradient that the graph holds from now on; it is forgotten with it."""
    graph._gradients_held = (*getattr(graph, "_gradients_held", ()), gradient)
    held = weakref.ref(gradient, lambda _: _registered().pop(name, None))
    return lambda operation, *gradients: held()(operation, *gradients)  # type: ignore[misc]
