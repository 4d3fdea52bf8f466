"""Simulated assays with known truth."""
