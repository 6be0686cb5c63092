"""An input of Nagao et al. 2020: the plus ends alone. The files of this folder differ in their channels only.

    python launch.py train --config=configs/paper/eb1.py --data=DIR --workdir=RUN
"""

from configs import base


def get_config():
    c = base.training()
    c.data.channels = ("EB1",)
    return c
