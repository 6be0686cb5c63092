"""An input of Nagao et al. 2020: the DNA stain alone. The files of this folder differ in their channels only.

    python launch.py train --config=configs/paper/dna.py --data=DIR --workdir=RUN
"""

from configs import base


def get_config():
    c = base.training()
    c.data.channels = ("DNA",)
    return c
