"""Training of the demo: a small residual network that two cores train in about a minute."""

from configs import base


def get_config():
    c = base.training()
    c.train.steps = 3000
    c.train.eval_every = 150
    return c
