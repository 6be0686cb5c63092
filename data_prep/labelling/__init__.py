"""The class of each cell: from markers, DNA content or a table made elsewhere, and what a human corrected."""
