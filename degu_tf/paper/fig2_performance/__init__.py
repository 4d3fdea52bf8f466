"""Figure 2: performance against training-set size."""
