"""BBBC039, own nucleus only, scaled to its own brightest pixel: what shape, size and texture say about DNA content.

    python launch.py train --config=configs/bbbc039_masked.py --data=DIR --workdir=RUN

Nothing outside the nucleus reaches the network, and no brightness but what noise and grey steps still tell of it (they
are finer in a bright nucleus). So its lead over nuclear area is an upper bound on what shape and texture add.
"""

from configs import base


def get_config():
    c = base.training()
    c.data.mask = "nucleus"
    c.data.scale = "nucleus_max"
    c.augment.intensity = 0.0
    return c
