"""Errors, atomic files, run folders, progress, processes, random keys."""

from degu_tf.utils import quiet

__all__ = ["quiet"]
