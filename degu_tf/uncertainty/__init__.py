"""Uncertainty of predictions: methods that give it, intervals made from it, and how to judge it."""
