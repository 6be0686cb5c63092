"""HT29 cells with a marker of mitosis (CellProfiler's ExampleHuman): DNA, phospho-histone H3, cell body.

Download: https://github.com/CellProfiler/examples, folder ExampleHuman/images, licence CC0 (Moffat et al., Cell 124,
1283, 2006). One 512 x 512 8-bit file per channel: NAME_D03f00d0.tif is DNA, d1 is PH3, d2 the cell body. The pixel size
is not stated. PH3 labels mitosis, so the question is M or not M, another one than G1/S or G2; about 20 of 303 nuclei
are positive.
"""

from data_prep.reading.field import Field, FieldFile
from data_prep.sources import folder

NAME_PATTERN = r"(?P<plate>[^/]+)_(?P<well>[A-P]\d\d)f(?P<site>\d\d)d(?P<channel>\d)"
CHANNEL_CODES = ("0=DNA", "1=PH3", "2=cell")


def find_fields(root, config) -> list[FieldFile]:
    """The fields in `root`."""
    folder.set_unset(config, name_pattern=NAME_PATTERN, channel_codes=CHANNEL_CODES)
    return folder.find_fields(root, config)


def read(file: FieldFile, config) -> Field:
    """One field: DNA, PH3, cell."""
    return folder.read(file, config)
