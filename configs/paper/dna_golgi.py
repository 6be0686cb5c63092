"""An input of Nagao et al. 2020: DNA and Golgi. The files of this folder differ in their channels only.

    python launch.py train --config=configs/paper/dna_golgi.py --data=DIR --workdir=RUN
"""

from configs import base


def get_config():
    c = base.training()
    c.data.channels = ("DNA", "Golgi")
    return c
