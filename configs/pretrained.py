"""The small model that ships with the project: DNA alone, on simulated fields. `make pretrained` runs it all.

    python launch.py train --config=configs/pretrained.py --data=DIR --workdir=RUN
"""

from configs import base


def get_config():
    c = base.training()
    c.data.channels = ("DNA",)
    c.model.filters = 8
    return c
