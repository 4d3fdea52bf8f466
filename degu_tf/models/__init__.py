"""Architectures, one function each, which return Keras models."""

from degu_tf.utils import keras_settings

keras_settings.use_tensorflow()

from degu_tf.models.registry import build, names, options  # noqa: E402

keras_settings.check()

__all__ = ["build", "names", "options"]
