"""An input of Nagao et al. 2020: the Golgi stain alone. The files of this folder differ in their channels only.

    python launch.py train --config=configs/paper/golgi.py --data=DIR --workdir=RUN
"""

from configs import base


def get_config():
    c = base.training()
    c.data.channels = ("Golgi",)
    return c
