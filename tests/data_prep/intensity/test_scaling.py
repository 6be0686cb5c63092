import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from data_prep.intensity import scaling


def population(n, g1, rng):
    content = np.where(rng.random(n) < 0.6, 1.0, np.where(rng.random(n) < 0.5, 2.0, rng.uniform(1, 2, n)))
    return g1 * content * np.exp(rng.normal(0, 0.1, n))


def test_g1_peak_of_a_known_population():
    rng = np.random.default_rng(0)
    found = [scaling.g1_peak(population(30, 5000.0, rng)) for _ in range(50)]
    assert np.median(found) == pytest.approx(5000, rel=0.02)
    assert np.std(found) / 5000 < 0.06


def test_g1_peak_is_not_fooled_by_debris_or_by_many_g2_cells():
    rng = np.random.default_rng(1)
    g1, g2 = (5000 * k * np.exp(rng.normal(0, 0.08, n)) for k, n in ((1, 25), (2, 35)))
    assert scaling.g1_peak(np.concatenate([g1, g2, [300.0, 500.0, 40000.0]])) == pytest.approx(5000, rel=0.06)


def test_background_is_what_lies_far_from_nuclei():
    image = np.full((60, 60, 2), (100.0, 40.0), np.float32)
    bodies = np.zeros((60, 60), np.int32)
    bodies[14:46, 14:46] = 1
    image[16:44, 16:44] += 50  # haze around the nucleus
    np.testing.assert_allclose(scaling.field_background(image, bodies), (100, 40))


def two_fields(unit=1.0, golgi=(1.0, 3.0)):
    """200 cells in each of two fields of one plate; the second is stained three times as strongly."""
    rng = np.random.default_rng(2)
    rows = []
    for field, stain, other in zip("ab", (1.0, 3.0), golgi, strict=True):
        dna = population(200, 400.0, rng) * 100 * stain
        rows.append(pd.DataFrame({schema.FIELD: field, schema.PLATE: "p", "_area_px": 400.0,
                                  schema.integrated("DNA"): dna * unit,
                                  "Cells_Intensity_MeanIntensity_DNA": unit, "Cells_Intensity_StdIntensity_DNA": unit,
                                  "Cells_Intensity_MeanIntensity_Golgi": 3 * other * unit,
                                  "Cells_Intensity_StdIntensity_Golgi": 4 * abs(other) * unit}))
    return pd.concat(rows)


def test_reference_makes_a_typical_g1_nucleus_one():
    found = scaling.references(two_fields(), ("DNA", "Golgi"), "DNA", "field", True)
    assert found["a"]["DNA"] == pytest.approx(100, rel=0.03)
    assert found["b"]["DNA"] == pytest.approx(300, rel=0.03)
    assert found["b"]["Golgi"] == pytest.approx(15)  # three times 5, the root mean square of mean 3 and sd 4


def test_references_follow_the_unit_of_the_camera():
    one, small = (scaling.references(two_fields(u), ("DNA", "Golgi"), "DNA", "field", True) for u in (1.0, 1e-6))
    for field in "ab":
        assert small[field] == pytest.approx({c: v * 1e-6 for c, v in one[field].items()}, rel=1e-6)


def test_a_field_darker_than_its_background_gets_a_small_share_of_the_plates_reference():
    found = scaling.references(two_fields(golgi=(1.0, -1.0)), ("DNA", "Golgi"), "DNA", "field", True)
    assert found["b"]["Golgi"] == pytest.approx(scaling.FLOOR * found["a"]["Golgi"])


def test_a_field_without_dna_gets_a_small_share_of_the_plates_reference():
    table = two_fields()
    table.loc[table[schema.FIELD] == "b", schema.integrated("DNA")] = 0.0
    found = scaling.references(table, ("DNA", "Golgi"), "DNA", "field", True)
    assert found["b"]["DNA"] == pytest.approx(scaling.FLOOR * found["a"]["DNA"])


def test_references_of_a_plate_keep_what_tells_its_fields_apart():
    table = two_fields()
    found = scaling.references(table, ("DNA", "Golgi"), "DNA", "plate", True)
    assert len({tuple(r.values()) for r in found.values()}) == 1 and set(found) == set(table[schema.FIELD])


def test_a_nuclear_channel_without_dna_is_referred_to_like_any_other():
    found = scaling.references(two_fields(), ("DNA", "Golgi"), "DNA", "field", False)
    own = two_fields().groupby(schema.FIELD)["Cells_Intensity_MeanIntensity_DNA"].median()
    ratio = [found[f]["DNA"] / own[f] for f in found]
    assert ratio[0] == pytest.approx(ratio[1])


def test_bright_field_is_referred_to_by_how_far_it_departs_from_its_background():
    table = two_fields()
    table["Cells_Intensity_MeanIntensity_Golgi"], table["Cells_Intensity_StdIntensity_Golgi"] = -3.0, 4.0
    found = scaling.references(table, ("DNA", "Golgi"), "DNA", "plate", True)
    assert {r["Golgi"] for r in found.values()} == {5.0}  # root of 3 squared and 4 squared
