"""Crops of Nagao et al. 2020: RPE1, Hoechst.

    python launch.py prepare --config=configs/data/nagao2020_rpe1.py --fields=ARCHIVE/RPE1_Hoechst --out=DATA
"""

from configs.data import nagao2020


def get_config():
    c = nagao2020.get_config()
    c.channels.stains = ()
    c.labels.classes = ("notG2", "G2")
    return c
