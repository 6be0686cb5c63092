import numpy as np
import pytest

from cellcycle_jax.explain import galleries


def test_gallery_shows_the_surest_then_the_surest_mistakes():
    sure = np.array([0.6, 0.99, 0.7, 0.95, 0.8, 0.9, 0.85, 0.97, 0.2, 0.4])
    prob, label = np.stack([sure, 1 - sure], 1), np.zeros(10, int)
    assert galleries.choose_rows(label, prob, 0).tolist() == [1, 7, 3, 5, 6, 4, 8, 9]


def test_gallery_without_mistakes_ends_with_the_least_sure():
    sure = np.linspace(0.99, 0.55, 9)
    rows = galleries.choose_rows(np.zeros(9, int), np.stack([sure, 1 - sure], 1), 0)
    assert rows.tolist() == [0, 1, 2, 3, 4, 5, 8, 7]


def test_mean_map_is_one_on_average_and_leaves_out_empty_maps():
    found = np.stack([np.full((4, 4), 3.0), np.eye(4), np.zeros((4, 4)), -np.ones((4, 4))])
    mean = galleries.mean_map(found)
    assert mean.mean() == pytest.approx(1)
    assert mean[0, 0] == pytest.approx((1 + 4) / 2)
    assert np.isnan(galleries.mean_map(np.zeros((2, 4, 4)))).all()


def test_class_names_become_file_names():
    assert [galleries.slug(name) for name in ("G1/S", "Not ciliated", "../x", "??")] == [
        "g1-s",
        "not-ciliated",
        "x",
        "class",
    ]
