"""Training one model: settings, losses, fitting, resuming."""

from degu_tf.utils import keras_settings

keras_settings.use_tensorflow()
