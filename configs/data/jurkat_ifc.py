"""Jurkat cells, imaging flow cytometry: G1 or G2 without the DNA stain by which they were sorted.

    python launch.py prepare --config=configs/data/jurkat_ifc.py --fields=jurkat_ifc_cellcycle --out=DATA
    python launch.py train   --config=configs/jurkat_ifc.py --data=DATA --workdir=RUN

Split by blocks of montage columns. Cells of other phases and of Experiment_2 are kept without a label.
"""

from configs import base


def get_config():
    c = base.preparation()
    c.source = "jurkat_ifc"
    c.channels.nucleus = "BF"  # the whole cell, found in the bright field
    c.channels.markers = ("DNA",)
    c.illumination = "none"
    c.reference.by = "plate"  # a block holds one phase only
    c.reference.nucleus = "median"
    c.quality.min_area = 0.0  # all cells: rejecting by looks would choose by phase
    c.quality.max_area = 1e6
    c.quality.min_solidity = 0.0
    c.quality.min_focus = 0.0
    c.quality.max_saturated = 1.0
    c.quality.mitotic_brightness = 1e6
    c.crop.size_px = 40  # one tile
    c.crop.assumed_um_per_px = -1.0  # the size of a crop was chosen in px of the fields
    c.crop.cell_margin_um = 0.0  # the outline is the cell's already
    c.labels.method = "column"
    c.labels.column = "SortedAs"
    c.labels.classes = ("G1", "G2")
    c.labels.mapping = ("Experiment_1/G1=G1", "Experiment_1/G2=G2")
    return c
