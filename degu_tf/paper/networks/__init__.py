"""Networks of the figures: how they are trained, kept for each other, or opened from weights."""
