"""Fields with a known answer: a population of cells, their stains, and the camera that looks at them."""
