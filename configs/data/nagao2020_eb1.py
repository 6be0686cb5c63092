"""Crops of Nagao et al. 2020: HeLa, Hoechst and EB1 (plus ends).

    python launch.py prepare --config=configs/data/nagao2020_eb1.py --fields=ARCHIVE/HeLa_Hoechst-EB1 --out=DATA
"""

from configs.data import nagao2020


def get_config():
    c = nagao2020.get_config()
    c.channels.stains = ("EB1",)
    c.labels.classes = ("notG2", "G2")
    return c
