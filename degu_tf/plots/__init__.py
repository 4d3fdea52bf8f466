"""Figures: tidy tables in, matplotlib figures out; nothing here knows a model or a file.

Every function returns a `matplotlib.figure.Figure` that belongs to no window and no global state:
save it with `figure.savefig("x.png", dpi=200)`, or leave it as the last value of a notebook's cell
after `%matplotlib inline`. Each method has one colour throughout.

Names are loaded when first used, so importing the package is instant.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
