"""Which bases of a sequence make the output what it is."""

from degu_tf.attribution.background import dinucleotide_background, random_background
from degu_tf.attribution.deepshap import DeepShapResult, deepshap
from degu_tf.attribution.scalar_output import ConvergenceWarning

__all__ = [
    "ConvergenceWarning",
    "DeepShapResult",
    "deepshap",
    "dinucleotide_background",
    "random_background",
]
