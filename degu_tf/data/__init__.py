"""From files to `Splits`: every source, every released layout, and the tf.data pipeline.

Names are loaded when first used, so importing the package is instant.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
