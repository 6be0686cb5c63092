"""Studies and the data set that they are tried on, and predictions whose scores are known."""

import numpy as np
import pandas as pd

import launch
from cellcycle_jax import files, schema
from cellcycle_jax.studies import sweep_scores
from tests import tiny

STUDY = """
from cellcycle_jax.studies.study import Table
from configs import base

TABLE = Table({table})


def get_config():
    c = base.training()
    c.update_from_flattened_dict({{"model.name": "nagao2020", "model.filters": 4, "model.depth": 1,
                                   "train.batch_size": 8, "train.steps": 12, "train.eval_every": 3,
                                   "train.checkpoint_every": 4}})
    return c


def sweep(data):
    {sweep}
"""
CHANNELS = ("return [{'data.channels': chosen, 'seed': seed} for chosen in (('DNA',), ('Golgi',), data.channels) "
            "for seed in (0, 1)]")


def write_study(folder, sweep_body=CHANNELS, table="rows='channels shown', compare_with_last=True", name="mine"):
    """FOLDER/NAME.py, a study with that body of `sweep`; by default three choices of channels with two seeds each."""
    path = folder / f"{name}.py"
    path.write_text(STUDY.format(sweep=sweep_body, table=table))
    return path


def write_data(folder):
    """The tiny data set with the table and the record that scores need."""
    tiny.write_data(folder, validation=32, test=16, unlabelled=2)
    rows = [row for split, n in (("train", 32), ("validation", 32), ("test", 16))
            for row in ({**e, "split": split} for e in tiny.examples(split, n, unlabelled=2))]
    rng = np.random.default_rng(0)
    label = np.array([row["label"] for row in rows])
    size = rng.normal(100 + 20 * label, 15)
    files.write_table(pd.DataFrame({
        schema.CELL_ID: [r["cell_id"] for r in rows], schema.FIELD: [r["field_id"] for r in rows],
        schema.GROUP: [r["group_id"] for r in rows], schema.CELL_LINE: [r["cell_line"] for r in rows],
        schema.SPLIT: [r["split"] for r in rows], schema.REJECT_REASON: "",
        schema.LABEL: np.where(label < 0, "", np.array(tiny.CLASSES)[label]),
        **{schema.reference_column(channel): 1.0 for channel in tiny.CHANNELS},
        schema.NUCLEAR_AREA: size, schema.integrated("DNA"): size * rng.normal(1, 0.2, len(rows)),
    }), folder / "cells.parquet")
    tiny.write_provenance(folder, "simulated")
    return folder


def command(capsys, *arguments):
    """The exit code of `launch.py sweep` in this process, as on an accelerator, and what it printed."""
    try:
        code = launch.main(["sweep", "--workers=1", *map(str, arguments)])
    except SystemExit as stop:
        code = stop.code
    return code, capsys.readouterr()


def planted_predictions(rows):
    """Predictions with known scores: cells of two lines and six fields, each with both classes."""
    crops = tiny.crops(24, "validation")
    sure = np.where(crops.label == 1, 0.75, 0.25)  # of which 1 minus each is exact
    wrong = np.where(crops.cell_line == "HeLa", sure, 1 - sure)
    half = np.where(np.arange(24) < 12, sure, 0.5)
    probs = {name: np.stack([1 - p, p], 1) for name, p in (("a", sure), ("b", wrong), ("c", half))}
    return sweep_scores.Tested("validation", crops, probs, rows, "good")
