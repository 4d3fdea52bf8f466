"""Supplementary Figure 4: number of teachers."""
