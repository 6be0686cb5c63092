"""What was measured of cells: families of measurements, how well each separates the classes, the best pair."""
