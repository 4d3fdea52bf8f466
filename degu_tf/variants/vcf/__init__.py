"""Scoring of VCFs of any size."""
