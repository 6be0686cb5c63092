"""How complex maps are: entropies that are known."""

import numpy as np
import pytest

from cellcycle_jax.explain.checks import map_complexity
from tests.explain.checks.test_map_similarity import GROUPS, INTERVALS, SHAPE, noise


def test_the_entropy_is_that_of_the_values():
    flat = np.full((1, 4, 4, 1), 3.0)
    halves = np.zeros((1, 4, 4, 1))
    halves[0, :2] = 1
    quarters = np.arange(4.0).repeat(4).reshape(1, 4, 4, 1)
    found = map_complexity.complexity(np.concatenate([flat, halves, quarters]))
    np.testing.assert_allclose(found, np.log([1, 2, 4]), atol=1e-12)


def test_neither_scale_nor_channels_nor_rounding_matter():
    maps = noise(0)
    np.testing.assert_allclose(map_complexity.complexity(1e-6 * maps), map_complexity.complexity(maps), atol=1e-12)
    wide = maps.reshape(len(maps), SHAPE[0], -1, 1)
    np.testing.assert_array_equal(map_complexity.complexity(wide), map_complexity.complexity(maps))


def test_noise_is_more_complex_than_a_spot_and_a_spot_less_than_noise():
    spot = np.zeros((len(GROUPS), *SHAPE))
    spot[:, 2, 2] = 1
    rise = map_complexity.rise(spot, [noise(0), noise(1)], GROUPS, INTERVALS)
    expected = map_complexity.complexity(np.concatenate([noise(0), noise(1)])).mean()
    of_spot = map_complexity.complexity(spot[:1])[0]
    assert rise.value == pytest.approx(expected / of_spot - 1) and rise.low > 1
    fall = map_complexity.rise(noise(0), [spot], GROUPS, INTERVALS)
    assert fall.high < -0.5


def test_cells_whose_map_is_flat_are_left_out():
    maps = noise(0)
    maps[0] = 0
    assert map_complexity.rise(maps, [noise(1)], GROUPS, INTERVALS).n_cells == len(GROUPS) - 1
