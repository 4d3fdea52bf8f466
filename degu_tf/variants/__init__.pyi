from .saturation import saturate
from .scorer import score_variants

__all__ = [
    "saturate",
    "score_variants",
]
