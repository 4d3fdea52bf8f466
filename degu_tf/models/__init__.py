"""Architectures: each a function in a file of its own that returns a Keras model."""

from degu_tf.models.registry import build, names, options

__all__ = ["build", "names", "options"]
