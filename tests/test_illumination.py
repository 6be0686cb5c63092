import numpy as np

from data_prep import illumination


def test_known_light_is_recovered_and_removed():
    rng = np.random.default_rng(0)
    y, x = np.meshgrid(np.linspace(-1, 1, 128), np.linspace(-1, 1, 128), indexing="ij")
    light = 1.2 - 0.3 * (x**2 + y**2) + 0.1 * x
    light /= light.mean()
    cells = [np.kron(rng.random((16, 16)) < 0.4, np.ones((8, 8))) for _ in range(300)]
    fields = [(100 + light * 2000 * c)[..., None] for c in cells]
    found = illumination.estimate(fields)
    assert np.abs(found.light[..., 0] - light).max() < 0.03
    flat = found.correct((100 + light * 1000)[..., None])
    assert flat.std() / (flat.mean() - 100) < 0.02


def test_crowded_fields_count_no_more_than_sparse_ones():
    bright_left = np.tile(np.linspace(2, 1, 64), (64, 1))[..., None]
    fields = [bright_left * 10] * 5 + [bright_left * 1000] * 5
    np.testing.assert_allclose(illumination.estimate(fields).light, illumination.estimate(fields[:1]).light, rtol=1e-4)


def test_dark_fields_leave_the_light_even():
    assert np.all(illumination.estimate([np.zeros((64, 64, 2))] * 3).light == 1)
