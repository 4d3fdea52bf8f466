from .calibration import (
    accuracy_against_coverage,
    coverage_against_size,
    error_against_uncertainty,
    reliability,
    sparsification,
)
from .groups import boxes, distributions
from .predictions import (
    intervals,
    learning_curves,
    performance,
    performance_against,
    predicted_against_measured,
)
from .profiles import tracks
from .sequence_logos import logos
from .variant_maps import Layer, heat_maps, layers_of

__all__ = [
    "Layer",
    "accuracy_against_coverage",
    "boxes",
    "coverage_against_size",
    "distributions",
    "error_against_uncertainty",
    "heat_maps",
    "intervals",
    "layers_of",
    "learning_curves",
    "logos",
    "performance",
    "performance_against",
    "predicted_against_measured",
    "reliability",
    "sparsification",
    "tracks",
]
