"""Sequences of a file a block at a time, so that memory does not grow with the file."""
