"""Training of the demo: a small residual network that two cores train in about a minute."""

from configs import base


def get_config():
    c = base.training()
    c.train.steps = 900
    c.train.eval_every = 60
    return c
