"""Ensembles and students trained and asked elsewhere: by workers, and by jobs of an array."""
