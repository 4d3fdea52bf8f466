"""Metrics of predictions and of their uncertainties."""

from degu_tf.utils import keras_settings

keras_settings.use_tensorflow()
