import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from configs import base
from data_prep.cells import quality

NORMAL = {schema.PLATE: "p", schema.FIELD: "f", schema.NUCLEAR_AREA: 200.0,
          "Nuclei_Intensity_MeanIntensity_DNA": 100.0, "Nuclei_Texture_EdgeSharpness_DNA": 0.2,
          "Nuclei_AreaShape_Solidity": 0.97, "_listed": True, "_border": False, "_saturated": 0.0}


@pytest.mark.parametrize("change, reason", [
    ({}, ""),
    ({"_border": True}, "border"),
    ({"_listed": False, "_border": True}, "unlisted"),
    ({schema.NUCLEAR_AREA: 40.0}, "small"),
    ({schema.NUCLEAR_AREA: 900.0}, "large"),
    ({"Nuclei_AreaShape_Solidity": 0.8}, "ragged"),
    ({"Nuclei_Texture_EdgeSharpness_DNA": 0.05}, "out_of_focus"),
    ({"_saturated": 0.2}, "saturated"),
    ({"Nuclei_Intensity_MeanIntensity_DNA": 350.0, schema.NUCLEAR_AREA: 70.0}, "mitotic"),
    ({"Nuclei_Intensity_MeanIntensity_DNA": 350.0, schema.NUCLEAR_AREA: 3.0}, "small"),
    ({"_border": True, schema.NUCLEAR_AREA: 40.0}, "border"),
])
def test_one_odd_object_among_normal_ones(change, reason):
    table = pd.DataFrame([NORMAL] * 9 + [NORMAL | change])
    found = quality.rejections(table, "DNA", base.preparation().quality)
    assert found.tolist() == [""] * 9 + [reason]


def test_limits_are_relative_to_the_plate():
    small = [NORMAL | {schema.PLATE: "10x", schema.FIELD: "g", schema.NUCLEAR_AREA: 20.0}] * 9
    found = quality.rejections(pd.DataFrame([NORMAL] * 9 + small), "DNA", base.preparation().quality)
    assert set(found) == {""}


def test_reasons_are_the_promised_words():
    assert set(schema.REJECTIONS) == {"unlisted", "border",
                                      "small", "large", "ragged", "out_of_focus", "saturated", "mitotic"}


def bright(limit):
    """A field whose brightest tenth would pass `limit`, as the camera stores it: f64 [100, 100]."""
    return np.minimum(np.random.default_rng(0).uniform(0, limit / 0.9, (100, 100)).round(), limit)


@pytest.mark.parametrize("limit", [255, 1023, 4000, 4095, 16383, 65535])
def test_each_channel_is_judged_by_its_own_limit(limit):
    clipped = bright(limit)
    other = np.full((100, 100), 20000.0)
    other[:50] = np.arange(5000).reshape(50, 100)
    image = np.stack([other, clipped], axis=-1).astype(np.uint16)
    np.testing.assert_array_equal(quality.saturated(image), clipped == limit)


def test_a_highest_value_that_few_pixels_have_or_that_lies_low_is_no_limit():
    few = bright(4095)
    few[few == 4095] = 4000
    few[0, :19] = 4095
    low = bright(2500)
    assert not quality.saturated(np.stack([few, low], axis=-1).astype(np.uint16)).any()


def test_flat_tops_of_nuclei_in_few_grey_levels_are_no_limit():
    levels = np.repeat(np.arange(200, 231), 100)[:3000].reshape(50, 60)  # as many pixels at the top as below it
    assert not quality.saturated(levels[..., None].astype(np.uint16)).any()


def test_a_field_of_specks_does_not_outvote_the_others():
    fields = [NORMAL | {schema.FIELD: name} for name in ("a", "b") for _ in range(5)]
    specks = [NORMAL | {schema.FIELD: "specks", schema.NUCLEAR_AREA: 2.0}] * 40
    found = quality.rejections(pd.DataFrame(fields + specks), "DNA", base.preparation().quality)
    assert set(found[:10]) == {""} and set(found[10:]) == {"small"}
