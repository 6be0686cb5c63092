"""The data set of the worked example, small."""

import sys

import numpy as np

from cellcycle_jax.bank import bank
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.runs.open_data import OpenData
from experiments import unnamed_example


def test_dna_is_shifted_towards_the_golgi_in_one_class_and_away_in_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["unnamed_example", f"--out={tmp_path}", "--fields=8"])
    unnamed_example.main()
    data = OpenData(tmp_path / "data")
    crops = data.crops("train")
    crops = crop_arrays.take(crops, crops.label >= 0)
    _, measured = bank.measure_crops(crops, ("DNA", "Golgi", "EB1"))
    shift = measured["Nuclei_Side_TowardsGolgi_DNA"].to_numpy()
    of_second = crops.label == 1
    assert np.nanmedian(shift[of_second]) > 0 > np.nanmedian(shift[~of_second])
