
import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.prediction import novelty

CHANNELS = ("DNA", "Golgi")
SHARPNESS = "Nuclei_Texture_EdgeSharpness_DNA"


def objects(n=400, fields=20, seed=0, **columns):
    """A table of `n` usable cells whose measurements are spread by 15 % about 200 um^2 and half the reference."""
    rng = np.random.default_rng(seed)
    spread = lambda middle: middle * np.exp(rng.normal(0, 0.15, n))  # noqa: E731
    field = np.arange(n) % fields
    strength = np.exp(rng.normal(0, 0.2, fields))[field]
    rows = {schema.CELL_ID: [f"c{i}" for i in range(n)], schema.FIELD: [f"f{i:02}" for i in field],
            schema.CELL_LINE: "HeLa", schema.REJECT_REASON: "", schema.PIXEL_SIZE: 0.5,
            schema.NUCLEAR_AREA: spread(200), "Nuclei_AreaShape_Solidity": 1 - spread(0.03), SHARPNESS: spread(0.3)}
    for channel in CHANNELS:
        rows[schema.reference_column(channel)] = 100 * strength
        rows[f"Metadata_Background_{channel}"] = 50.0
        rows[f"Nuclei_Intensity_MeanIntensity_{channel}"] = spread(50) * strength
    return pd.DataFrame({**rows, **columns})


def embedding(n, seed, dimensions=8):
    """Two classes 6 standard deviations apart along the first axis."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    return {"last": rng.normal(size=(n, dimensions)) + 6 * label[:, None] * np.eye(dimensions)[0]}, label


@pytest.fixture(scope="module")
def known():
    own, label = embedding(400, 0)
    return novelty.fit_cells(own, label, embedding(200, 1)[0], objects(), CHANNELS, "DNA")


def test_the_distance_is_that_of_mahalanobis_to_the_nearest_class():
    means = np.array([[0.0, 0.0], [10.0, 0.0]])
    covariance = np.array([[4.0, 2.0], [2.0, 5.0]])
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    points = np.array([[1.0, 2.0], [9.0, 0.0], [np.nan, 0.0]])
    # inverse of the covariance: [[5, -2], [-2, 4]] / 16
    assert novelty.distance(points, means, whitening) == pytest.approx([(5 - 8 + 16) / 16, 5 / 16, np.inf])


def test_about_one_fresh_cell_in_a_hundred_is_unlike(known):
    found = novelty.judge_cells(known, embedding(4000, 2)[0], objects(4000, seed=3))
    assert 0.003 < (found["novelty"] > 1).mean() < 0.03


def test_a_cell_far_from_both_classes_is_unlike_to_the_network(known):
    between, far = np.zeros((2, 8)), np.zeros((2, 8))
    between[:, 0], far[:, 3] = (0.5, 5.5), 9.0
    points = {"last": np.concatenate([between, far])}
    found = novelty.judge_cells(known, points, objects(4, fields=1, **{SHARPNESS: 0.3}))
    assert found["cause"].tolist() == ["", "", novelty.NETWORK, novelty.NETWORK]
    assert found["why"].iloc[3].startswith("the network's view is ")


def test_activations_that_do_not_vary_can_be_fitted():
    flat = {"last": np.ones((20, 4))}
    found = novelty.fit_cells(flat, np.arange(20) % 2, flat, objects(20), CHANNELS, "DNA")
    assert (novelty.judge_cells(found, flat, objects(20))["novelty"] <= 1).all()
    assert (novelty.judge_cells(found, {"last": flat["last"] + 1}, objects(20))["cause"] == novelty.NETWORK).all()


def test_thresholds_hold_for_all_layers_together():
    def layers(n, seed):
        return {f"layer{i}": embedding(n, (seed, i))[0]["last"] for i in range(5)}

    found = novelty.fit_layers(layers(2000, 0), np.arange(2000) % 2, layers(2000, 1))
    for seed in (0, 1, 2):  # two that were fitted to, and one that was not
        far = np.max([novelty.distance(e, found[n].means, found[n].whitening) / found[n].threshold
                      for n, e in layers(2000, seed).items()], axis=0)
        assert np.mean(far > 1) == pytest.approx(0.01, abs=0.006)


@pytest.mark.parametrize("column, factor, words", [
    (schema.NUCLEAR_AREA, 2.6, "nuclear area 2.6 times the training median"),
    (SHARPNESS, 0.3, "nuclear DNA edge sharpness 0.3 times the training median"),
    ("Nuclei_Intensity_MeanIntensity_Golgi", 4, "nuclear Golgi mean intensity 4 times the training median"),
    ("Nuclei_Intensity_MeanIntensity_Golgi", -1, "nuclear Golgi mean intensity -1 times the training median"),
])
def test_what_is_unlike_about_a_cell_is_named(known, column, factor, words):
    rows = objects(1, fields=1, **{schema.reference_column("Golgi"): 100.0})
    median = next(m.median for m in known.measurements if m.column == column)
    rows[column] = factor * median * (100 if "Intensity" in column else 1)
    found = novelty.judge_cells(known, embedding(1, 0)[0], rows).iloc[0]
    assert found["why"] == words and found["novelty"] > 1 and words.startswith(found["cause"])


def test_the_limit_follows_training_where_it_has_long_tails():
    values = np.exp(0.1 * np.random.default_rng(0).standard_t(2, 2000))
    found = novelty.fit_cells(*embedding(2000, 0), embedding(9, 1)[0],
                              objects(2000, **{SHARPNESS: values}), CHANNELS, "DNA").measurements[2]
    assert found.column == SHARPNESS and found.logarithmic and found.limit > novelty.DEVIATION
    assert np.sum(np.abs(np.log(values / found.median)) > found.limit * found.scale) == 2  # of 2000: 0.999


def test_areas_in_px_are_not_compared_with_areas_in_um(known):
    rows = objects(3, **{schema.NUCLEAR_AREA: 800.0})
    assert (novelty.judge_cells(known, embedding(3, 0)[0], rows)["cause"] == "nuclear area").all()
    rows[schema.PIXEL_SIZE] = np.nan
    assert (novelty.judge_cells(known, embedding(3, 0)[0], rows)["cause"] == "").all()


def test_only_shown_channels_are_judged():
    own, label = embedding(100, 0)
    found = novelty.fit_cells(own, label, own, objects(100), ("Golgi",), "DNA")
    assert not [m for m in found.measurements if "DNA" in m.column]
