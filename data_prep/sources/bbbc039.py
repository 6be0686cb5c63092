"""BBBC039v1: U2OS nuclei, Hoechst, 520 x 696, 16 bit, one field per file (Caicedo et al., Cytometry A 2019).

Download: https://bbbc.broadinstitute.org/BBBC039 (images.zip, masks.zip), licence CC0. The folder given holds images/
with IXMtest_<well>_s<site>_w1<id>.tif and, if at hand, masks/. The pixel size is not stated: lengths stay in px. There
is no cell-cycle marker; the phase is read from the integrated DNA of each nucleus, so it is a pseudo-label.
"""

import pathlib

from data_prep.reading.field import Field, FieldFile
from data_prep.sources import folder

NAME_PATTERN = r"IXMtest_(?P<well>[A-P]\d\d)_s(?P<site>\d+)_"


def find_fields(root, config) -> list[FieldFile]:
    """The fields in `root`/images (or in `root` itself)."""
    images = pathlib.Path(root) / "images"
    folder.set_unset(config, name_pattern=NAME_PATTERN)
    return folder.find_fields(images if images.is_dir() else root, config)


def labels(file: FieldFile, config):
    """The annotated nuclei where config.labels_folder names the folder of masks (by its whole path), else None."""
    return folder.labels(file, config)


def read(file: FieldFile, config) -> Field:
    """One field; the 12-bit range is kept as it is."""
    return folder.read(file, config)
