"""NF1 Schwann cells, three stains, to crops and measurements. No labels; brightness compares within a field only.

    python launch.py prepare --config=configs/data/nf1.py --fields=DIR --out=DATA
"""

from configs import base


def get_config():
    c = base.preparation()
    c.source = "nf1"
    c.cell_line = "Schwann"
    c.crop.size_px = 128
    c.crop.assumed_um_per_px = -1.0  # the size of a crop was chosen in px of the fields
    c.crop.cell_margin_um = 20.0  # px * 2, as the pixel size is unknown
    c.quality.max_saturated = 1.0  # values are stretched to the end of the range, which is no saturation
    c.labels.method = "none"
    c.split.by = "well"
    return c
