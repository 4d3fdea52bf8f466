"""Several processes: pools and clusters to work in, locks between them, and their end."""
