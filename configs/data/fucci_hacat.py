"""HaCaT with FUCCI: phase by two markers, split by track. No stain is left for a network: for labelling only.

    python launch.py prepare --config=configs/data/fucci_hacat.py --fields=fucci_hacat --out=DATA
"""

from configs import base


def get_config():
    c = base.preparation()
    c.source = "fucci_hacat"
    c.channels.nucleus = "magenta"  # nuclei come from the label images
    c.channels.markers = ("cyan", "magenta")  # the first class has the first marker alone
    c.illumination = "none"  # one colony in the middle says nothing about the light
    c.reference.by = "plate"
    c.reference.nucleus = "median"  # no DNA in it
    c.quality.mitotic_brightness = 1e6  # both markers rise and fall by design
    c.quality.min_focus = 0.0
    c.quality.min_solidity = 0.8
    c.labels.method = "two_markers"
    c.labels.classes = ("G1", "G1/S", "S/G2/M")
    c.split.by = "track"  # few and of unequal size
    return c
