"""2018 Data Science Bowl images: nuclei found and measured, no labels. Made for bench/segmentation.py.

    python launch.py prepare --config=configs/data/dsb2018.py --fields=dsb2018_fluorescence --out=DATA
"""

from configs import base


def get_config():
    c = base.preparation()
    c.source = "dsb2018"
    c.illumination = "none"  # another microscope each
    c.labels.method = "none"
    c.split.by = "plate"
    c.crop.assumed_um_per_px = -1.0  # the size of a crop was chosen in px of the fields
    return c
