"""From an ensemble to its labels to a student; opening and evaluating runs."""

from degu_tf.utils import keras_settings

keras_settings.use_tensorflow()
