"""A VCF of any size in, effects of its variants out: surveyed, scored in parts, joined."""
