"""Where on a cell a map lies, and where the difference between the classes does."""
