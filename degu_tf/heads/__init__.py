"""Columns and predictions: which output column means what, and what the columns say.

A `HeadLayout` names the columns a model emits or a data set holds; a `Prediction` is what those
columns say, with every uncertainty as a standard deviation in the target's own unit. No other
folder knows column order, the forms of uncertainties, or how wide a Gaussian interval is.
"""

from degu_tf.heads.layout import MIN_LABEL_STD, Form, HeadLayout, Task
from degu_tf.heads.prediction import (
    COMPONENTS,
    MIN_STD,
    FlooredUncertaintyWarning,
    Prediction,
    floored_words,
    gaussian_factor,
    total_std,
)

__all__ = [
    "COMPONENTS",
    "MIN_LABEL_STD",
    "MIN_STD",
    "FlooredUncertaintyWarning",
    "Form",
    "HeadLayout",
    "Prediction",
    "Task",
    "floored_words",
    "gaussian_factor",
    "total_std",
]
