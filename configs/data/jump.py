"""JUMP Cell Painting fields to crops and measurements; AGP holds the Golgi, with actin and membrane. No labels.

    python launch.py prepare --config=configs/data/jump.py --fields=DIR --out=DATA
"""

from configs import base


def get_config():
    c = base.preparation()
    c.source = "jump"
    c.cell_line = "U2OS"
    c.channels.stains = ("AGP",)
    c.labels.method = "none"
    return c
