"""Crops of Nagao et al. 2020: HeLa, Hoechst and GM130 (Golgi).

    python launch.py prepare --config=configs/data/nagao2020_golgi.py --fields=ARCHIVE/HeLa_Hoechst-GM130 --out=DATA
"""

from configs.data import nagao2020


def get_config():
    c = nagao2020.get_config()
    c.channels.stains = ("Golgi",)
    c.labels.classes = ("notG2", "G2")
    return c
