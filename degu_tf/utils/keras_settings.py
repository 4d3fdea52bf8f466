"""Keras settings of other projects, in the environment or `~/.keras/keras.json`.

Models here need the TensorFlow backend, float32 and channels last. Programs set that for
themselves; in a session of somebody else's, a setting that would change numbers is refused.
"""

import os
import sys

from degu_tf.utils.errors import InputError

BACKEND, FLOATX, DATA_FORMAT = "tensorflow", "float32", "channels_last"


def use_tensorflow() -> None:
    """Have Keras load with TensorFlow, whatever the environment or `keras.json` names.

    Called where a folder of this package that needs Keras is imported, before Keras is.

    Raises
    ------
    InputError
        If this process has loaded Keras with another backend.
    """
    keras = sys.modules.get("keras")
    if keras is None:
        os.environ["KERAS_BACKEND"] = BACKEND
        return
    loaded = keras.config.backend() if hasattr(keras, "config") else BACKEND
    if loaded != BACKEND:
        raise InputError(
            "expected Keras with its TensorFlow backend; set KERAS_BACKEND=tensorflow before keras "
            f"is imported. Received: keras loaded with backend {loaded!r}"
        )


def check() -> None:
    """Refuse settings under which models would be built with other types or axes.

    Raises
    ------
    InputError
        Naming the setting.
    """
    import keras

    for name, value, expected in (
        ("floatx", keras.config.floatx(), FLOATX),
        ("image_data_format", keras.config.image_data_format(), DATA_FORMAT),
    ):
        if value != expected:
            raise InputError(
                f"expected the Keras setting {name}={expected}: change it in ~/.keras/keras.json, "
                f"or call keras.config.set_{name}({expected!r}) first. Received: {name}={value}"
            )


def reset() -> None:
    """Set what models here need, for a program that has its process to itself."""
    use_tensorflow()
    import keras

    keras.config.set_floatx(FLOATX)
    keras.config.set_image_data_format(DATA_FORMAT)
    keras.config.set_epsilon(1e-7)
