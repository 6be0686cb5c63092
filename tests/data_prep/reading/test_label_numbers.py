import numpy as np
import pytest

from data_prep.reading import label_numbers


@pytest.mark.parametrize("numbers, dtype", [([0], "u1"), ([0, 7], "u1"), ([0, 3, 250], "u1"), ([0, 70000], "u4"),
                                            ([0, 4_000_000_000, 3], "u4"), ([0, 2**64 - 1, 2**64 - 2], "u8"),
                                            ([5_000_000, 1], "i8"), ([0, 1_000_000], "i4")])
def test_every_label_stands_for_its_number(numbers, dtype):
    labels = np.resize(np.array(numbers, dtype), (4, 6))
    small, meant = label_numbers.small(labels)
    assert small.dtype == np.int32 and meant[0] == 0 and len(meant) == small.max() + 1 <= label_numbers.HIGHEST + 1
    assert meant[small].tolist() == labels.tolist()


def test_numbers_that_can_be_worked_with_stay_and_others_keep_their_order():
    assert label_numbers.small(np.array([[0, 7], [70000, 3]]))[0].tolist() == [[0, 7], [70000, 3]]
    assert label_numbers.small(np.array([[0, 9_000_007], [9_070_000, 3]]))[0].tolist() == [[0, 2], [3, 1]]
