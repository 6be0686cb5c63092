"""Crops of Nagao et al. 2020: NIH3T3, cilia: another question.

    python launch.py prepare --config=configs/data/nagao2020_cilia.py --fields=ARCHIVE/NIH3T3_Cilia --out=DATA
"""

from configs.data import nagao2020


def get_config():
    c = nagao2020.get_config()
    c.channels.stains = ("cilia",)
    c.labels.classes = ("notCilia", "Cilia")
    return c
