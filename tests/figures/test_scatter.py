import numpy as np

from cellcycle_jax.figures import scatter


def test_the_drawn_line_ends_at_the_edges_of_the_box():
    box = ((0.0, 4.0), (0.0, 2.0))
    np.testing.assert_allclose(scatter.crossing((1.0, 1.0), -3.0, box), [[1, 2], [3, 0]])
    np.testing.assert_allclose(scatter.crossing((1.0, 0.0), -3.0, box), [[3, 0], [3, 2]])
    assert len(scatter.crossing((1.0, 1.0), 9.0, box)) == 0


def test_logarithmic_ticks_are_round_and_enough():
    assert scatter.log_ticks(0.9, 1100) == [1, 10, 100, 1000]
    assert scatter.log_ticks(0.6, 2.4) == [0.7, 1, 1.5, 2]
    assert all(4 <= len(scatter.log_ticks(low, 4 * low)) <= 8 for low in np.geomspace(0.01, 100, 40))
