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
    alone = []
    all_but_one = []
    for line in lines:
        alone.append((line,))
        all_but_one.append(tuple(other for other in lines if other != line))
    choices = [*alone, *filter(None, all_but_one), lines]
    runs = []
    for choice in dict.fromkeys(choices):  # with two lines, all but one is one alone
        for seed in SEEDS:
            runs.append({"data.cell_lines": choice, "seed": seed})
    return runs
