"""DEGU: one model that predicts the activity of a DNA sequence and how far to trust it."""

__version__ = "0.1.0"
