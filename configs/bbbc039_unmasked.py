"""BBBC039, whole crops, scaled to the nucleus' brightest pixel: the size of the leak.

    python launch.py train --config=configs/bbbc039_unmasked.py --data=DIR --workdir=RUN

Neighbours and background serve as a ruler for brightness, and the label is made of brightness. Compare with
configs/bbbc039_masked.py.
"""

from configs import base


def get_config():
    c = base.training()
    c.data.mask = "none"
    c.data.scale = "nucleus_max"
    c.augment.intensity = 0.0
    return c
