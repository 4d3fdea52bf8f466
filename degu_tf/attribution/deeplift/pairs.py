"""Tensors of (sequence, reference) pairs: how a layer's rule sees the two it compares.

What a layer keeps of S sequences has the shape `(S, 1, ...)`, what it keeps of R references
`(1, R, ...)`, or `(S, R, ...)` where every sequence has its own: a difference of the two is one for
each pair, `(S, R, ...)`. Multipliers have pairs on one axis, `(S * R, ...)`.
"""

from typing import Protocol

import tensorflow as tf

Saved = tuple[tf.Tensor, ...]
"""What a rule keeps of a forward pass for the backward pass."""


class Rule(Protocol):
    """How a layer computes, and how it hands on multipliers.

    A multiplier says by how much the explained output differs, between a sequence and a reference,
    for each unit by which a layer's value differs.
    """

    def forward(self, *inputs: tf.Tensor) -> tuple[tf.Tensor, Saved]:
        """The layer's value `(N, ...)`, and what the backward pass needs, each `(N, ...)`."""
        ...

    def backward(self, multiplier: tf.Tensor, x: Saved, r: Saved) -> tuple[tf.Tensor, ...]:
        """Multipliers of the inputs from that of the output, pairs on the first axis.

        `x` is what `forward` kept of the sequences, `r` of the references.
        """
        ...


def flat(pairs: tf.Tensor) -> tf.Tensor:
    """`(S, R, ...)` as `(S * R, ...)`."""
    return tf.reshape(pairs, (-1, *pairs.shape[2:]))


def unflat(values: tf.Tensor, x: tf.Tensor, r: tf.Tensor) -> tf.Tensor:
    """`(S * R, ...)` as `(S, R, ...)`; S and R are those of what was kept."""
    return tf.reshape(values, (tf.shape(x)[0], tf.shape(r)[1], *values.shape[1:]))


def sum_to_shape(values: tf.Tensor, shape: tf.TensorShape) -> tf.Tensor:
    """Sum over the axes, batch aside, along which a tensor of `shape` was broadcast."""
    own = [1] * (values.shape.rank - shape.rank) + shape.as_list()[1:]
    axes = [axis for axis, size in enumerate(own, start=1) if size == 1 and values.shape[axis] != 1]
    if axes:
        values = tf.reduce_sum(values, axes, keepdims=True)
    return tf.reshape(values, (-1, *shape[1:]))
