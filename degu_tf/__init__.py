"""DEGU: one model that predicts the activity of a DNA sequence and how far to trust it.

`import degu_tf as degu` gives the public names, listed in `degu_tf.__all__` and in `__init__.pyi`.
Each is loaded when it is first asked for, so importing the package loads neither TensorFlow nor
numpy.

Examples
--------
>>> import degu_tf as degu
>>> splits = degu.simulate((40, 10, 10), length=40).splits
>>> splits.heads.targets
('Dev', 'Hk')
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"
