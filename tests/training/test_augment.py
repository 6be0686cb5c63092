import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from cellcycle_jax.training.augment import MATRIX_BITS, PIXEL_BITS, augment, random_affine, warp

OFF = {"flip": False, "rotate_deg": 0.0, "shift": 0.0, "scale": 0.0, "intensity": 0.0, "channels": (0, 1, 2),
       "stored": 3}


@pytest.fixture(scope="module")
def image():
    return jax.random.normal(jax.random.key(0), (16, 12, 12, 3))


def test_all_off_changes_nothing(image):
    np.testing.assert_array_equal(augment(jax.random.key(1), image, **OFF), image)


def test_identity_map_changes_nothing(image):
    matrix, offset = random_affine(jax.random.key(1), 16, 12, False, 0.0, 0.0, 0.0)
    np.testing.assert_array_equal(jax.jit(warp)(image, matrix, offset), image)


def test_flip_draws_exactly_the_eight_symmetries(image):
    same = jnp.broadcast_to(image[:1], (256, *image.shape[1:]))
    found = np.asarray(jax.jit(lambda k: augment(k, same, **{**OFF, "flip": True}))(jax.random.key(2)))
    crop = np.asarray(image[0])
    symmetries = [np.rot90(side, turns) for side in (crop, crop[:, ::-1]) for turns in range(4)]
    drawn = [next(i for i, s in enumerate(symmetries) if np.array_equal(s, one)) for one in found]
    assert set(drawn) == set(range(8))


def test_quarter_turn_is_rot90(image):
    matrix = jnp.broadcast_to(jnp.array([[0, 1], [-1, 0]]) << MATRIX_BITS, (16, 2, 2))
    found = warp(image, matrix, jnp.zeros((16, 2), jnp.int32))
    np.testing.assert_array_equal(found, np.rot90(image, axes=(1, 2)))


@pytest.mark.parametrize("compiled", [True, False])
def test_equals_scipy_for_random_maps(compiled):
    image = jax.random.normal(jax.random.key(0), (64, 32, 32, 2))
    matrix, offset = random_affine(jax.random.key(3), 64, 32, True, 180.0, 0.3, 0.2)
    found = np.asarray((jax.jit(warp) if compiled else warp)(image, matrix, offset))
    grid = np.indices((32, 32)) - 15.5
    for cell in range(64):
        at = np.einsum("ij,jyx->iyx", np.asarray(matrix[cell]) / 2**MATRIX_BITS, grid)
        at += np.asarray(offset[cell])[:, None, None] / 2**PIXEL_BITS + 15.5
        for k in range(2):
            crop = np.asarray(image[cell, ..., k], np.float64)
            want = ndimage.map_coordinates(crop, at, order=1, mode="grid-constant")
            np.testing.assert_allclose(found[cell, ..., k], want, atol=2e-6)


def test_what_is_drawn_lies_in_the_stated_range():
    matrix, offset = random_affine(jax.random.key(4), 4000, 64, False, 20.0, 0.1, 0.25)
    matrix, offset = np.asarray(matrix) / 2**MATRIX_BITS, np.asarray(offset) / 2**PIXEL_BITS
    angle = np.rad2deg(np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0]))
    zoom = 1 / np.hypot(matrix[:, 1, 0], matrix[:, 0, 0])
    for drawn, low, high in ((angle, -20, 20), (zoom, 0.75, 1.25), (offset, -6.4, 6.4)):
        assert low - 1e-3 <= drawn.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < drawn.max() <= high + 1e-3


def test_cells_are_drawn_independently_and_by_key(image):
    same = jnp.broadcast_to(image[:1], image.shape)
    options = {**OFF, "flip": True, "rotate_deg": 20.0, "shift": 0.05, "scale": 0.1, "intensity": 0.1}
    first, again, other = (np.asarray(augment(jax.random.key(k), same, **options)) for k in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first.reshape(16, -1), axis=0)) == 16
    assert not np.array_equal(first, other)


def test_gain_is_lognormal_per_cell_and_channel():
    options = {**OFF, "intensity": 0.2, "channels": (2, 0)}
    found = np.asarray(augment(jax.random.key(7), jnp.ones((4000, 2, 2, 2)), **options))
    alone = augment(jax.random.key(7), jnp.ones((4000, 2, 2, 1)), **{**options, "channels": (0,)})
    np.testing.assert_array_equal(found[..., 1:], alone)  # of a channel the same is drawn whichever others are seen
    logs = np.log(found)
    np.testing.assert_allclose(np.ptp(logs, axis=(1, 2)), 0, atol=1e-6)
    assert abs(logs[:, 0, 0].std() - 0.2) < 0.01 and abs(np.corrcoef(logs[:, 0, 0].T)[0, 1]) < 0.05
