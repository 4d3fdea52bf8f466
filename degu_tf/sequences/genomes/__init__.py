"""Genomes: files and their windows."""
