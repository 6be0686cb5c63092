"""HT29 with a mitosis marker: in mitosis or not, by phospho-histone H3, from DNA and cell body.

    python launch.py prepare --config=configs/data/ht29_ph3.py --fields=DIR --out=DATA

Another question than G1/S or G2. With one field it can only be split by blocks of it, so scores say nothing about
other fields; with more, use --config.split.by=field. Condensed nuclei are what is asked for, so they are not set aside,
though their DNA reaches the end of the 8 bits.
"""

from configs import base


def get_config():
    c = base.preparation()
    c.source = "ht29_ph3"
    c.cell_line = "HT29"
    c.channels.markers = ("PH3",)
    c.crop.size_px = 48
    c.crop.assumed_um_per_px = -1.0  # the size of a crop was chosen in px of the fields
    c.quality.mitotic_brightness = 1e6
    c.quality.max_saturated = 1.0
    c.quality.min_area = 0.2
    c.quality.min_solidity = 0.8
    c.labels.classes = ("not M", "M")
    c.split.by = "block"
    c.split.fractions = (0.4, 0.3, 0.3)
    return c
