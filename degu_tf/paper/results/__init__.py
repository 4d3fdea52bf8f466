"""Finished results of the numbered scripts, and what pages and notebooks show of them."""
