"""JUMP Cell Painting (cpg0016): five stains of U2OS cells, one 1080 x 1080 16-bit file per channel.

Download: s3://cellpainting-gallery/cpg0016-jump (no sign-in), licence CC0 1.0 (Chandrasekaran et al. 2024, doi
10.1038/s41592-024-02241-6). File names are those of an Opera Phenix, r01c01f01p01-ch5sk1fk1fl1.tiff, with anything
before them; the pixel size, 0.598 um (20x, binning 2), is in the plate's Index.xml and not in the files. AGP (wheat
germ agglutinin and phalloidin) shows Golgi, plasma membrane and actin together: its bright spot beside the nucleus is a
stand-in for the Golgi, no more. There is no cell-cycle marker.
"""

from data_prep.reading.field import Field, FieldFile
from data_prep.sources import folder

NAME_PATTERN = r"(?:(?P<plate>[^/]+)/)?[^/]*(?P<well>r\d\dc\d\d)f(?P<site>\d\d)p(?P<z>\d\d)-ch(?P<channel>\d+)"
CHANNEL_CODES = ("5=DNA", "4=ER", "3=RNA", "2=AGP", "1=Mito")
PIXEL_UM = 0.598


def find_fields(root, config) -> list[FieldFile]:
    """The fields in `root`; the folder that files lie in is the plate."""
    folder.set_unset(config, name_pattern=NAME_PATTERN, channel_codes=CHANNEL_CODES, pixel_um=PIXEL_UM)
    return folder.find_fields(root, config)


def read(file: FieldFile, config) -> Field:
    """One field, with the channels whose files are there."""
    return folder.read(file, config)
