"""Errors, atomic files, run folders, progress, processes, random keys."""
