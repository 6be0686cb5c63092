"""Fields of the demo: as configs/simulate.py."""

from configs import base


def get_config():
    return base.simulation()
