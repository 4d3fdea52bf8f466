"""Metrics of predictions and of their uncertainties.

Names are loaded when first used, so importing the package is instant.
"""

import lazy_loader as lazy

from degu_tf.utils import keras_settings

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

keras_settings.use_tensorflow()
