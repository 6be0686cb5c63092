"""Parallel processes, and whether there is memory for them."""
