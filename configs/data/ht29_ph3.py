"""HT29 with a mitosis marker: in mitosis or not, by phospho-histone H3, from DNA and cell body.

    python launch.py prepare --config=configs/data/ht29_ph3.py --fields=DIR --out=DATA

CellProfiler's ExampleHuman, https://github.com/CellProfiler/examples, folder ExampleHuman/images, licence CC0 (Moffat et
al., Cell 124, 1283, 2006). One 512 x 512 8-bit file per channel: NAME_D03f00d0.tif is DNA, d1 is phospho-histone H3, d2
the cell body. The pixel size is not stated. About 20 of 303 nuclei are positive.

Another question than G1/S or G2. With one field it can only be split by blocks of it, so scores say nothing about
other fields; with more, use --config.split.by=field. Condensed nuclei are what is asked for, so they are not excluded,
though their DNA reaches the end of the 8 bits.
"""

from configs import base


def get_config():
    c = base.preparation()
    c.name_pattern = r"(?P<plate>[^/]+)_(?P<well>[A-P]\d\d)f(?P<site>\d\d)d(?P<channel>\d)"
    c.channel_codes = ("0=DNA", "1=PH3", "2=cell")
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
