"""How predictions and uncertainties are judged."""
