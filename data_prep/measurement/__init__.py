"""Measurements of nuclei and of the stains in their cells: labels in, a row per nucleus out."""
