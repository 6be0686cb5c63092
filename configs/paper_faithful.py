"""Nagao et al. 2020 as closely as can be: network, optimiser, augmentation, what a crop shows and how it is scaled.

    python launch.py train --config=configs/paper_faithful.py --data=DIR --workdir=RUN --config.data.channels=DNA,Golgi

Left different, on purpose: copies are drawn anew at every step instead of three made once, so no cell is in training
and validation at the same time; the weights are those of the best validation loss; the test split is not looked at. For
crops that were not scaled per field before (all but the archive's own) data.scale='spread' comes nearest to the paper.
"""

from configs import nagao2020


def get_config():
    c = nagao2020.get_config()
    c.data.scale = "spread"
    c.train.balance_classes = False
    return c
