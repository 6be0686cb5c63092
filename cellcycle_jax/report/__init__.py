"""Figures and the page of a run: arrays and tables in, pictures out."""
