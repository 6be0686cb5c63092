"""Does what is learnt on some cell lines hold for another: each line alone, all but one, and all, tested on each.

    python launch.py sweep --config=experiments/cell_lines.py --data=DIR --workdir=runs/cell_lines

--config.data.cell_lines=HeLa,RPE1 narrows what is chosen from. README.md holds question, command, cost and result.
"""

from cellcycle_jax.studies.study import Table
from configs.demo import train

SEEDS = (0, 1, 2)
TABLE = Table(rows="trained on", columns="cell lines", scores=("auroc",))


def get_config():
    """What all runs share."""
    return train.get_config()


def sweep(data):
    """Each line alone, all but each, and all, with every seed."""
    lines = data.cell_lines
    alone = [(line,) for line in lines]
    all_but_one = [tuple(other for other in lines if other != line) for line in lines]
    chosen = dict.fromkeys([*alone, *filter(None, all_but_one), lines])  # with two lines, all but one is one alone
    return [{"data.cell_lines": some, "seed": seed} for some in chosen for seed in SEEDS]
