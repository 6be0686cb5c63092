"""Fields with a known answer: three cell lines, four stains, and the truth of every cell.

    python launch.py simulate --config=configs/simulate.py --out=runs/fields
"""

from configs import base


def get_config():
    return base.simulation()
