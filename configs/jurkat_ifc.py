"""G1 or G2 of Jurkat cells from the bright field alone, the surroundings blanked.

    python launch.py train --config=configs/jurkat_ifc.py --data=DATA --workdir=RUN
    python launch.py train --config=configs/jurkat_ifc.py --data=DATA --workdir=RUN --config.data.channels=BF,DF
    python launch.py train --config=configs/jurkat_ifc.py --data=DATA --workdir=RUN --config.data.mask=ring

The second adds the dark field, which carries a trace of the DNA stain. The third is a control: it sees the outer ring of
the tiles and no cell.
"""

from configs import base


def get_config():
    c = base.training()
    c.data.channels = ("BF",)
    c.train.steps = 600
    c.train.eval_every = 50
    return c
