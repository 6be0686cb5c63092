"""BBBC039, own nucleus only, scaled to its own brightest pixel: what shape, size and texture say about DNA content.

    python launch.py train --config=configs/bbbc039_masked.py --data=DIR --workdir=RUN

Nothing outside the nucleus and no absolute brightness reaches the network, so it cannot read the label off the channel.
"""

from configs import base


def get_config():
    c = base.training()
    c.data.mask = "nucleus"
    c.data.scale = "own_max"
    c.augment.intensity = 0.0
    return c
