"""Quiet standard error: TensorFlow's notices hidden, warnings in one line each."""

import logging
import os
import re
import sys
import tempfile
import warnings
from typing import Any

from degu_tf.utils import keras_settings


def tensorflow() -> None:
    """Import TensorFlow and Keras without notices; errors of later work still come through.

    Keras gets the settings that models here need, whatever `keras.json` says.

    Its libraries write to the standard error of the process before any log level can reach them,
    so that stream is set aside during the import and the first look for devices, and given back in
    full should these fail.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    keras_settings.use_tensorflow()
    if "tensorflow" in sys.modules:
        keras_settings.reset()
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
            keras_settings.reset()
        except Exception:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    tf.get_logger().setLevel(logging.ERROR)


def one_line_warnings(program: str) -> None:
    """Print warnings as one line each on standard error, without the code that gave them.

    Warnings that differ in nothing but a count, such as those about one model after another, are
    printed once, with a note that there are more.
    """
    seen: set[str] = set()
    repeated = False

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        from degu_tf.utils.progress import line  # not loaded for help

        nonlocal repeated
        kind = re.sub(r"\d+ of \d+", "", str(message))
        if kind not in seen:
            line(f"{program}: warning: {message}")
        elif not repeated:
            repeated = True
            line(f"{program}: warning: such warnings are shown once")
        seen.add(kind)

    warnings.showwarning = show
