"""Cells edited on purpose, and what the network makes of them: brighter, larger, without an object of a stain."""
