"""The data set on disk: splits, crops as TFDS, the table of cells, and where all of it came from."""
