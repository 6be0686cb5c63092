"""A property of each channel of a cell, relative to its field."""

import numpy as np

from cellcycle_jax.explain.checks import middle_channel


def test_what_a_whole_field_shares_is_taken_off():
    values = np.array([[1.0], [2.0], [3.0], [11.0], [12.0], [13.0]])
    relative = middle_channel.relative_to_field(values, np.repeat(["a", "b"], 3))
    np.testing.assert_allclose(relative[:3], relative[3:])
    np.testing.assert_allclose(relative[:, 0], np.array([-1, 0, 1, -1, 0, 1]) / middle_channel.SPREAD)
    np.testing.assert_array_equal(middle_channel.relative_to_field(np.ones((4, 1)), np.array(["a"] * 4)), 0)
