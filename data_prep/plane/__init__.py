"""Arithmetic on one plane of pixels: means around each, neighbours, distances, thresholds."""
