"""Training of the demo: a small residual network that two cores train in about a minute."""

from configs import base


def get_config():
    return base.training()
