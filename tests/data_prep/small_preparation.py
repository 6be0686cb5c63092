"""How the small simulated fields of these tests are prepared."""

from configs.data import simulated


def small_config():
    config = simulated.get_config()
    config.workers = 1
    config.split.fractions = (0.5, 0.2, 0.3)
    return config
