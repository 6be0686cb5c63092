"""What the four sets of Nagao et al. 2020 have in common; nagao2020_golgi.py, _eb1.py, _rpe1.py and _cilia.py use it.

Crops were sorted by hand, so none is excluded for its looks. Fields are unknown: every cell is a group of its own, the
test cells are the archive's, and intensities are relative to the whole set.
"""

from configs import base


def get_config():
    c = base.preparation()
    c.source = "nagao2020"
    c.illumination = "none"
    c.reference.by = "plate"
    c.quality.min_area = 0.0
    c.quality.max_area = 1e6
    c.quality.min_solidity = 0.0
    c.quality.min_focus = 0.0
    c.quality.max_saturated = 1.0
    c.quality.mitotic_brightness = 1e6
    c.crop.size_px = 136
    c.crop.assumed_um_per_px = -1.0  # the size of a crop was chosen in px of the fields
    c.crop.cell_margin_um = 20.0  # px * 2, as the pixel size is unknown
    c.labels.method = "folder"
    c.split.fractions = (0.6, 0.15, 0.25)  # train and validation share what is not the archive's test
    c.split.column = "ArchiveSplit"
    return c
