"""A residual network on all channels but the marker.

    python launch.py train --config=configs/default.py --data=DIR --workdir=RUN
"""

from configs import base


def get_config():
    return base.training()
