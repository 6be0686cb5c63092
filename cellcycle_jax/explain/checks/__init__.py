"""Checks of an explanation: whether the maps are true, and whether the network reads the cell or a shortcut."""
