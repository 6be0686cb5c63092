"""Simulated fields to data set.

    python launch.py simulate --config=configs/simulate.py --out=DIR/fields
    python launch.py prepare --config=configs/data/simulated.py --fields=DIR/fields --out=DIR/data
"""

from configs import base


def get_config():
    c = base.preparation()
    c.source = "simulated"
    c.channels.nucleus = "DNA"
    c.channels.stains = ("Golgi", "EB1")
    c.channels.markers = ("CENPF",)
    return c
