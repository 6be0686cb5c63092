import numpy as np

from data_prep.intensity import illumination


def estimate(images):
    """The light of fields, as `prepare` estimates it."""
    return illumination.estimate([illumination.block_means(image) for image in images], *images[0].shape[:2])


def true_light():
    y, x = np.meshgrid(np.linspace(-1, 1, 128), np.linspace(-1, 1, 128), indexing="ij")
    light = 1.2 - 0.3 * (x**2 + y**2) + 0.1 * x
    return light / light.mean()


def fields(share, n=60, seed=0):
    """Cells of 16 px; `share` [8, 8] is how often a place holds one; brightness differs between cells and fields."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        cells = (rng.random((8, 8)) < share) * np.exp(rng.normal(0, 0.2, (8, 8))) * np.exp(rng.normal(0, 0.5))
        made.append((100 + true_light() * 2000 * np.kron(cells, np.ones((16, 16))))[..., None])
    return made


def test_known_light_is_recovered_and_removed():
    found = estimate(fields(np.full((8, 8), 0.4)))
    assert np.abs(found.light[..., 0] / true_light() - 1).max() < 0.06
    flat = found.correct((100 + true_light() * 1000)[..., None])
    assert flat.std() / (flat.mean() - 100) < 0.02


def test_where_cells_gather_does_not_matter():
    share = np.full((8, 8), 0.5)
    share[0], share[-1], share[:, 0] = 0.1, 0.1, 0.1  # few cells at three edges, as if the light were dim there
    found = estimate(fields(share, n=120))
    assert np.abs(found.light[..., 0] / true_light() - 1).std() < 0.02


def test_even_light_is_found_even():
    flat = [100 + (f - 100) / true_light()[..., None] for f in fields(np.full((8, 8), 0.4))]
    assert np.abs(estimate(flat).light - 1).max() < 0.06


def test_dark_fields_leave_the_light_even():
    assert np.all(estimate([np.zeros((64, 64, 2))] * 3).light == 1)
