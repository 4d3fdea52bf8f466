"""Models made faster for inference: folded batch normalisation, fused forward passes."""
