"""Elementwise work on large tensors of pairs in one pass over memory.

A rule for an activation is half a dozen operations on each number, and TensorFlow goes through
memory once for each. Compiled by XLA they are one pass, several times faster; a compilation costs a
tenth of a second, so small tensors do without, and so does a TensorFlow that cannot compile.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

COMPILED_FROM = 1024
"""Numbers of one pair from which compiling pays."""

Kernel = Callable[..., Any]


def compiled(least: int = COMPILED_FROM) -> Callable[[Kernel], Kernel]:
    """Have a function of tensors `(S, R, ...)` compiled where its first one is large.

    The shapes after the first two axes must be known while it is traced.

    Parameters
    ----------
    least
        Numbers of one pair from which it is worth it.
    """

    def decorate(function: Kernel) -> Kernel:
        @functools.wraps(function)
        def call(*tensors: tf.Tensor, **options: Any) -> Any:
            if tensors[0].shape[2:].num_elements() < least or not can_compile():
                return function(*tensors, **options)
            kinds = tuple((tuple(each.shape), each.dtype) for each in tensors)
            return _for(function, kinds, tuple(options.items()))(*tensors)

        return call

    return decorate


@functools.lru_cache(maxsize=256)
def _for(function: Kernel, kinds: tuple[Any, ...], options: tuple[Any, ...]) -> Kernel:
    """One compiled function for each kind of arguments, whatever the model."""
    with_options = functools.partial(function, **dict(options))
    specs = [tf.TensorSpec(shape, dtype) for shape, dtype in kinds]
    return tf.function(with_options, input_signature=specs, jit_compile=True, autograph=False)


@functools.cache
def can_compile() -> bool:
    """Whether this TensorFlow compiles at all."""
    try:
        with tf.init_scope():
            tf.function(lambda: tf.ones(1) + 1.0, jit_compile=True)()
    except Exception:
        return False
    return True
