"""JUMP Cell Painting (cpg0016) to crops and measurements: five stains of U2OS cells, no labels.

    python launch.py prepare --config=configs/data/jump.py --fields=DIR --out=DATA

s3://cellpainting-gallery/cpg0016-jump (no sign-in), licence CC0 1.0 (Chandrasekaran et al. 2024, doi
10.1038/s41592-024-02241-6). File names are those of an Opera Phenix, r01c01f01p01-ch5sk1fk1fl1.tiff, with anything
before them; the folder that files lie in is the plate. AGP (wheat germ agglutinin and phalloidin) shows Golgi, plasma
membrane and actin together: its bright spot beside the nucleus is a stand-in for the Golgi, no more. There is no
cell-cycle marker.
"""

from configs import base


def get_config():
    c = base.preparation()
    c.name_pattern = r"(?:(?P<plate>[^/]+)/)?[^/]*(?P<well>r\d\dc\d\d)f(?P<site>\d\d)p(?P<z>\d\d)-ch(?P<channel>\d+)"
    c.channel_codes = ("5=DNA", "4=ER", "3=RNA", "2=AGP", "1=Mito")
    c.pixel_um = 0.598  # 20x, binning 2: in the plate's Index.xml and not in the files
    c.cell_line = "U2OS"
    c.channels.stains = ("AGP",)
    c.labels.method = "none"
    return c
