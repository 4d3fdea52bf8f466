"""Attribution: how much each base of a sequence contributes to a prediction."""

from degu_tf.utils import keras_settings

keras_settings.use_tensorflow()
