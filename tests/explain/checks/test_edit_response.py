"""Shares of channels that edits are compared with."""

import numpy as np
import pandas as pd

from cellcycle_jax.explain.checks import channel_importance, edit_response
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.explain.regions import class_difference
from tests.weighed_network import UPPER, make_cells, make_run


def test_nine_channels_are_too_many_for_shapley_but_not_for_the_rest():
    network = make_run(UPPER, channel=4, channels=9)
    found = channel_importance.ask(Evidence(make_cells(network, np.arange(24) % 2, channel=4)))
    assert found["shapley"] is None and "9 channels" in found["why"]
    assert np.argmax(found["occlusion"]["shuffle"]["auroc"]) == 4 and len(found["occlusion"]["mean"]["margin"]) == 9
    assert edit_response.channel_shares(pd.DataFrame(columns=list(class_difference.COLUMNS)), found, "class1") == {}


def test_cells_of_one_class_have_no_difference_to_share_out():
    cells = make_cells(make_run(UPPER), np.ones(12, int))
    table, found = cells.class_differences, channel_importance.ask(Evidence(cells))
    assert table.empty and list(table.columns) == list(class_difference.COLUMNS)
    assert np.isnan(found["shapley"]["auroc"]["value"]).all()
    assert edit_response.channel_shares(table, found, "class1") == {}  # not a number leads no channel


def test_shares_are_those_of_the_class_that_is_asked_for():
    table = pd.DataFrame({"class": ["a", "a", "b", "b", "b"], "channel": ["DNA", "Golgi", "DNA", "Golgi", "DNA"],
                          "share": [0.9, 0.1, 0.25, 0.25, 0.5]})
    assert edit_response.channel_shares(table, {}, "b") == {"DNA": 0.75, "Golgi": 0.25}
    assert edit_response.channel_shares(table, {}, "c") == {}  # those of another class would say nothing of it
    found = {"channels": ["DNA", "Golgi"], "shapley": {"auroc": {"value": [0.1, 0.3]}}}
    assert edit_response.channel_shares(table.iloc[:0], found, "b") == {"DNA": 0.1, "Golgi": 0.3}
