"""Numbers of fewer bits in training, where float32 is not needed."""
