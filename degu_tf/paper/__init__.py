"""What only the paper's figures need; imported by experiments, notebooks and tests alone."""
