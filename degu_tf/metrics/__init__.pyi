from .activity import distance, score, wide
from .intervals import coverage
from .kmer_ridge import KmerRidge

__all__ = [
    "KmerRidge",
    "coverage",
    "distance",
    "score",
    "wide",
]
