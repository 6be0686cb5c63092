"""NF1 Schwann cells, modified Cell Painting, to crops and measurements: three stains, no labels.

    python launch.py prepare --config=configs/data/nf1.py --fields=DIR --out=DATA

https://github.com/WayScience/NF1_SchwannCell_data, licence CC BY 4.0 (a small part of it is in the tests of
WayScience/CytoDataFrame, BSD 3-Clause). One 904 x 1224 16-bit file per channel, B7_01_<number>_<site>_<stain>_001.tif.
By eye, GFP is a reticular stain around the nucleus, RFP actin fibres. The pixel size is not stated. Values are
stretched to the full 16-bit range per image, so brightness compares within a field only. There is no cell-cycle marker.
"""

from configs import base


def get_config():
    c = base.preparation()
    c.name_pattern = r"(?P<well>[A-H]\d+)_01_\d_(?P<site>\d+)_(?P<channel>DAPI|GFP|RFP)_\d+\."  # no masks
    c.channel_codes = ("DAPI=DNA", "GFP=GFP", "RFP=RFP")
    c.cell_line = "Schwann"
    c.crop.size_px = 128
    c.crop.assumed_um_per_px = -1.0  # the size of a crop was chosen in px of the fields
    c.crop.cell_margin_um = 20.0  # px * 2, as the pixel size is unknown
    c.quality.max_saturated = 1.0  # values are stretched to the end of the range, which is no saturation
    c.labels.method = "none"
    c.split.by = "well"
    return c
