"""Which channels tell the phase: every choice of channels, each with several seeds.

    python launch.py sweep --config=experiments/channels.py --data=DIR --workdir=runs/channels

--config.data.channels=DNA,Golgi narrows what is chosen from. README.md holds question, command, cost and result.
"""

import itertools

from cellcycle_jax.studies.study import Table
from configs.demo import train

SEEDS = (0, 1, 2)
TABLE = Table(rows="channels shown", compare_with_last=True)  # the last one shows all


def get_config():
    """What all runs share."""
    return train.get_config()


def sweep(data):
    """All choices of channels, the smallest first, with every seed."""
    runs = []
    for size in range(1, len(data.channels) + 1):
        for channels in itertools.combinations(data.channels, size):
            for seed in SEEDS:
                runs.append({"data.channels": channels, "seed": seed})
    return runs
