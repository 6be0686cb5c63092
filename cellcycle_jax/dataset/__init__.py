"""What `prepare` wrote, read back: crops as arrays, the table of cells, and what a model sees of them."""
