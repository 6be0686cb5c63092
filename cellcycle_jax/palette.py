"""Colours that colour-blind readers can tell apart, too (Okabe M., Ito K., "Color Universal Design", 2008)."""

BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
SKY = "#56B4E9"
PINK = "#CC79A7"
RED = "#D55E00"
