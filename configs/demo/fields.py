"""Fields of the demo: fewer than configs/simulate.py, enough for 27 locked test fields."""

from configs import base


def get_config():
    c = base.simulation()
    c.fields_per_line = 36
    return c
