"""What would have to change for a cell to be called otherwise: the shortest edit, and the nearest real cell."""
