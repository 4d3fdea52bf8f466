"""The quickstart: a small ensemble and its student."""
