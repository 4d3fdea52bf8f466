"""Conformal prediction: intervals with guaranteed coverage."""
