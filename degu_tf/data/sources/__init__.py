"""Readers of measured data: tables, lentiMPRA, STARR-seq, ATAC-seq, CAGI5."""
