"""Trainings that fail: their attempts, and the members that an ensemble is left without."""
