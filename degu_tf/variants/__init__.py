"""Effects of variants and their uncertainty."""
