"""How alike two maps are."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks import map_similarity
from cellcycle_jax.scoring.intervals import Resampling

INTERVALS = Resampling(0.95, 0)
SHAPE = (16, 16, 2)
GROUPS = [str(n // 4) for n in range(40)]


def noise(seed, size=8, channels=2):
    return np.random.default_rng(seed).normal(size=(len(GROUPS), size, size, channels)).astype(np.float32)


def by_measure(rows):
    return {row["measure"]: row for row in rows}


def test_similarity_with_itself_its_negative_and_noise():
    maps = noise(0)
    own = by_measure(map_similarity.similarity(maps, 3 * maps, GROUPS, INTERVALS))
    assert [own[m]["value"] for m in ("spearman", "strength", "ssim")] == pytest.approx([1, 1, 1])
    assert own["spearman"]["n_cells"] == 40
    negative = by_measure(map_similarity.similarity(maps, -maps, GROUPS, INTERVALS))
    assert [negative[m]["value"] for m in ("spearman", "strength")] == pytest.approx([-1, 1])
    assert negative["ssim"]["value"] < -0.5
    other = by_measure(map_similarity.similarity(maps, noise(1), GROUPS, INTERVALS))
    assert other["spearman"]["low"] < 0 < other["spearman"]["high"]
    # Of n independent pixels the mean strength is that of a normal number, sqrt(2 / (pi n)).
    assert other["strength"]["value"] == pytest.approx(np.sqrt(2 / np.pi / 128), rel=0.4)
    assert abs(other["ssim"]["value"]) < 0.1


def test_half_of_the_order_kept_is_known():
    # The ranks of a map and of one whose lower half is mirrored in itself: 1 - 6 sum d^2 / (n (n^2 - 1)).
    values = np.arange(64.0)
    mirrored = np.concatenate([values[:32][::-1], values[32:]])
    rho = 1 - 6 * ((values - mirrored) ** 2).sum() / (64 * (64**2 - 1))
    found = map_similarity.map_similarity(values.reshape(1, 8, 8, 1) ** 3, mirrored.reshape(1, 8, 8, 1))
    assert found["spearman"][0] == pytest.approx(rho)


def test_maps_of_other_size_or_channels_can_be_compared():
    small = noise(0, size=4)
    large = np.asarray(methods.resized(small, 16))
    assert by_measure(map_similarity.similarity(small, large, GROUPS, INTERVALS))["spearman"][
        "value"
    ] == pytest.approx(1)
    summed = large.sum(-1, keepdims=True)
    found = by_measure(map_similarity.similarity(summed, small, GROUPS, INTERVALS))
    assert [found[m]["value"] for m in ("spearman", "ssim")] == pytest.approx([1, 1], abs=1e-4)


def test_flat_maps_are_left_out_and_counted():
    maps = noise(0)
    other = -maps
    other[:10] = 0.3 + 1e-8 * noise(1)[:10]
    found = map_similarity.similarity(maps, other, GROUPS, INTERVALS)
    assert [row["n_cells"] for row in found] == [30, 30, 30]
    assert by_measure(found)["spearman"]["value"] == pytest.approx(-1)


def test_repeatability_is_the_mean_over_pairs():
    maps = noise(0)
    found = by_measure(map_similarity.repeatability([maps, 2 * maps, -maps], GROUPS, INTERVALS))
    assert found["spearman"]["value"] == pytest.approx(-1 / 3)
    assert found["strength"]["value"] == pytest.approx(1)


def test_edges_are_the_slope_of_the_summed_channels():
    y, x = np.mgrid[:16, :16].astype(np.float32)
    one = np.stack([3 * x, 4 * y], axis=-1)
    found = map_similarity.edges(np.stack([one, 0 * one, 2 * one]))[:, 1:-1, 1:-1, 0]
    for cell, slope in zip(found, (5, 0, 10), strict=True):  # Sobel weights add up to 8 times the slope, (3, 4)
        np.testing.assert_allclose(cell, 8 * slope, rtol=1e-5)
    assert not map_similarity.edges(np.ones((2, *SHAPE), np.float32)).any()


def test_intensity_and_centre():
    images = noise(0, size=16)
    np.testing.assert_allclose(map_similarity.intensity(images)[..., 0], images[..., 0] + images[..., 1], atol=1e-6)
    middle = map_similarity.centre(images)
    assert middle.shape == (40, 16, 16, 1)
    assert middle[3, 7, 8, 0] == middle.max()
    np.testing.assert_allclose(middle, middle[:, ::-1, ::-1])
    assert middle[0, 7, 5, 0] / middle[0, 7, 7, 0] == pytest.approx(np.exp(-(2.5**2 - 0.5**2) / 2 / 2**2))
    assert set(map_similarity.TRIVIAL) == {"edges", "intensity", "centre"}


@pytest.mark.parametrize("size", [4, 8, 16])
def test_structural_similarity_is_that_of_scikit_image(size):
    maps = noise(0, size)
    other = maps + 0.5 * noise(1, size)
    found = map_similarity.map_similarity(maps, other)["ssim"]
    scaled = [map_similarity.without_rounding(m) * map_similarity.TIE / 2 + 0.5 for m in (maps, other)]
    window = min(7, size - 1 + size % 2)
    for n in range(len(maps)):
        wanted = structural_similarity(scaled[0][n], scaled[1][n], win_size=window, data_range=1, channel_axis=-1)
        assert found[n] == pytest.approx(wanted, rel=1e-9)
