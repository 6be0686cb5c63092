"""NF1 Schwann cells, modified Cell Painting: three stains, one 904 x 1224 16-bit file per channel.

Download: https://github.com/WayScience/NF1_SchwannCell_data, licence CC BY 4.0 (a small part of it is in the tests of
WayScience/CytoDataFrame, BSD 3-Clause). Names: B7_01_<number>_<site>_<stain>_001.tif. The pixel size is not stated.
Values are stretched to the full 16-bit range per image, so they are relative within one image: fields must not be
compared by brightness. There is no cell-cycle marker.
"""

import pathlib

from data_prep.reading.field import Field, FieldFile
from data_prep.sources import folder

NAME_PATTERN = r"(?P<well>[A-H]\d+)_01_\d_(?P<site>\d+)_(?P<channel>DAPI|GFP|RFP)_\d+\."  # no masks
CHANNEL_CODES = ("DAPI=DNA", "GFP=GFP", "RFP=RFP")


def find_fields(root, config) -> list[FieldFile]:
    """The fields in `root`/images, or in `root` itself."""
    images = pathlib.Path(root) / "images"
    folder.set_unset(config, name_pattern=NAME_PATTERN, channel_codes=CHANNEL_CODES)
    return folder.find_fields(images if images.is_dir() else root, config)


def read(file: FieldFile, config) -> Field:
    """One field: DNA, GFP (by eye a reticular stain around the nucleus), RFP (by eye actin fibres)."""
    return folder.read(file, config)
