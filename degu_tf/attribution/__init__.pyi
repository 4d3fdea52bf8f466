from .background import random_background
from .gradients import gradient_correction, saliency
from .shap_values import deepshap
from .single_bases import mutagenesis

__all__ = [
    "deepshap",
    "gradient_correction",
    "mutagenesis",
    "random_background",
    "saliency",
]
