"""How predictions and uncertainties are judged."""

from degu_tf.utils import keras_settings

keras_settings.use_tensorflow()
