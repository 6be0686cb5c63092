"""The control of jurkat_ifc.py: G1 of one acquisition against G1 of another. Any score above chance is no biology.

    python launch.py prepare --config=configs/data/jurkat_ifc_control.py --fields=jurkat_ifc_cellcycle --out=DATA
"""

from configs.data import jurkat_ifc


def get_config():
    c = jurkat_ifc.get_config()
    c.labels.classes = ("Experiment_1", "Experiment_2")
    c.labels.mapping = ("Experiment_1/G1=Experiment_1", "Experiment_2/G1=Experiment_2")
    return c
