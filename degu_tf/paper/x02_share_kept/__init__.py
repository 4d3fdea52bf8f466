"""How much of an ensemble's gain its students keep (beyond the paper)."""
