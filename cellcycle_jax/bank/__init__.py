"""A bank of several hundred measurements of single cells, computed from crops on demand."""
