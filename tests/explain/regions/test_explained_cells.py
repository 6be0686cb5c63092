"""The cells that are explained."""

import numpy as np
import pytest

from cellcycle_jax import schema
from cellcycle_jax.explain.regions import class_difference
from cellcycle_jax.explain.regions.explained_cells import MOST_TESTED, explained_classes, sample_per_class
from tests.weighed_network import NUCLEUS, SIDE, UPPER, make_cells, make_run


def test_cells_are_drawn_per_class_and_repeatably():
    label = np.array([0] * 50 + [1] * 3 + [schema.NO_LABEL] * 9)
    rows = sample_per_class(label, 2, 10, np.random.default_rng(1))
    assert np.bincount(label[rows]).tolist() == [10, 3] and (np.diff(rows) > 0).all()
    assert rows.tolist() == sample_per_class(label, 2, 10, np.random.default_rng(1)).tolist()
    assert rows.tolist() != sample_per_class(label, 2, 10, np.random.default_rng(2)).tolist()


def test_the_few_are_balanced_and_no_class_is_left_out():
    network = make_run(UPPER, classes=3)
    cells = make_cells(network, [0] * 70 + [1] * 25 + [2] * 5)
    few = cells.few
    assert sorted(np.bincount(few.crops.label).tolist()) == [5, 17, 18]
    assert len(few.crops) == MOST_TESTED and len(set(few.crops.cell_id)) == MOST_TESTED
    at = [cells.crops.cell_id.tolist().index(name) for name in few.crops.cell_id]
    np.testing.assert_array_equal(few.images, cells.images[at])
    np.testing.assert_array_equal(few.logits, cells.logits[at])
    assert max(at[: few.crops.label.tolist().index(1)]) > 30  # not the first of each class


def test_fewer_cells_than_are_tested_are_all_taken():
    cells = make_cells(make_run(UPPER), [0, 1] * 4)
    assert cells.few is cells


def test_of_two_classes_the_last_is_explained_and_of_more_each():
    assert explained_classes(("G1/S", "G2")) == [1]
    assert explained_classes(("G1", "S", "G2")) == [0, 1, 2]


@pytest.mark.parametrize("classes", [2, 3])
def test_what_one_channel_tells_in_one_half_is_found_there_alone(classes):
    cells = make_cells(make_run(UPPER, classes=classes), np.arange(48) % classes)
    table = cells.class_differences
    told = {f"class{p}" for p in explained_classes(range(classes))}
    assert told - ({"class1"} if classes == 3 else set()) <= set(table["class"]) <= told
    assert set(table["channel"]) == {"DNA", "Golgi"} and list(table.columns) == list(class_difference.COLUMNS)
    for name, part in table.groupby("class"):
        if classes == 3 and name == "class1":
            continue  # its margin is that of no weight: 1 less the mean of 0 and 2
        assert part["share"].sum() == pytest.approx(1)
        assert part["area_share"].sum() == pytest.approx(1)
        golgi = part[part["channel"] == "Golgi"].set_index("compartment")["share"]
        assert golgi["background"] == pytest.approx(0, abs=1e-6)  # the lower half
        assert golgi[["nucleus", "nuclear rim", "cell body"]].sum() == pytest.approx(1)
        assert part[part["channel"] == "DNA"]["share"].abs().max() < 1e-6


def test_the_network_and_not_the_picture_says_where_it_is_read():
    label = np.arange(48) % 2
    network = make_run(NUCLEUS, channel=0)
    table = make_cells(network, label, np.ones((SIDE, SIDE), bool), channel=0).class_differences  # bright all over
    dna = table[table["channel"] == "DNA"].set_index("compartment")["share"]
    assert dna["background"] == pytest.approx(0, abs=1e-6) and dna["cell body"] == pytest.approx(0, abs=1e-6)
    assert dna["nucleus"] + dna["nuclear rim"] == pytest.approx(1)
