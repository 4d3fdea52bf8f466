"""Uncertainty of predictions: methods that give it, intervals made from it, and how to judge it."""

from degu_tf.utils import keras_settings

keras_settings.use_tensorflow()
