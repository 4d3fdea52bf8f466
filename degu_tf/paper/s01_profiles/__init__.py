"""Supplementary Figure 1: base-resolution ATAC-seq profiles."""
