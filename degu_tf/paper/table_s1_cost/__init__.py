"""Supplementary Table 1: cost of ensemble and student."""
