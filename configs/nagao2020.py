"""The network of Nagao et al. 2020: plain convolutions, flattened; RMSprop, batch 89, patience 5.

    python launch.py train --config=configs/nagao2020.py --data=DIR --workdir=RUN
"""

from configs import base


def get_config():
    c = base.training()
    c.data.mask = "none"
    c.model.name = "nagao2020"
    c.model.filters = 28
    c.model.depth = 2
    c.model.dropout = 0.3
    c.optimizer.name = "rmsprop"
    c.optimizer.learning_rate = 1e-3
    c.optimizer.weight_decay = 0.0
    c.optimizer.schedule = "constant"
    c.augment.shift = 0.1
    c.augment.intensity = 0.0
    c.train.batch_size = 89
    c.train.kept_weights = "best"
    c.train.patience = 5
    return c
