import numpy as np
import pytest

from data_prep.measurement.regions import Regions


@pytest.fixture
def regions():
    """Label 2 in two pieces, one of them over the end of a row and the start of the next; label 5; no label else."""
    return Regions.of(np.array([[2, 0, 5, 5, 2],
                                [2, 0, 5, 0, 2],
                                [0, 0, 0, 0, 2]], np.int32))


def test_pixels_stand_sorted_by_label(regions):
    assert regions.numbers.tolist() == [2, 5]
    assert regions.count.tolist() == [5, 3]
    assert regions.pixels.tolist() == [0, 4, 5, 9, 14, 2, 3, 7]
    assert regions.owner.tolist() == [0] * 5 + [1] * 3


def test_a_run_ends_with_its_row(regions):
    runs = regions.runs
    found = list(zip(runs.index.tolist(), runs.row.tolist(), runs.first.tolist(), runs.last.tolist(), strict=True))
    assert found == [(0, 0, 0, 0), (0, 0, 4, 4), (0, 1, 0, 0), (0, 1, 4, 4), (0, 2, 4, 4), (1, 0, 2, 3), (1, 1, 2, 2)]


def test_sums_and_tops_of_each_label(regions):
    values = np.array([1, 2, 3, 4, 5, 10, 30, 20])
    assert regions.sum(values).tolist() == [15, 60]
    assert regions.max(values).tolist() == [5, 30]
    assert regions.spread(np.array([7, 8])).tolist() == [7] * 5 + [8] * 3


def test_neighbours_are_of_the_same_label_and_inside_the_field(regions):
    assert regions.neighbour(1, 0).tolist() == [2, 3, -1, 4, -1, 7, -1, -1]
    assert regions.neighbour(0, 1).tolist() == [-1, -1, -1, -1, -1, 6, -1, -1]  # a row's end has no right neighbour
    assert regions.neighbour(1, -1, np.array([6, 7])).tolist() == [7, -1]


def test_each_pair_of_touching_pixels_stands_once():
    labels = np.random.default_rng(0).integers(0, 3, (9, 11))
    regions = Regions.of(labels)
    found = sum(int((there >= 0).sum()) for there in regions.forward)
    steps = [(labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:]), (labels[:-1, :-1], labels[1:, 1:]),
             (labels[:-1, 1:], labels[1:, :-1])]
    assert found == sum(int(((a == b) & (a > 0)).sum()) for a, b in steps)


def test_a_field_without_labels_has_no_regions():
    regions = Regions.of(np.zeros((4, 5), np.int32))
    assert len(regions.count) == len(regions.pixels) == len(regions.runs.row) == len(regions.sum(np.zeros(0))) == 0
