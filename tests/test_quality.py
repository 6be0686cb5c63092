import pandas as pd
import pytest

from cellcycle_jax import schema
from configs import base
from data_prep import quality

NORMAL = {schema.PLATE: "p", schema.FIELD: "f", schema.NUCLEAR_AREA: 200.0,
          "Nuclei_Intensity_MeanIntensity_DNA": 100.0, "Nuclei_Texture_EdgeSharpness_DNA": 0.2,
          "Nuclei_AreaShape_Solidity": 0.97, "_border": False, "_saturated": 0.0}


@pytest.mark.parametrize("change, reason", [
    ({}, ""),
    ({"_border": True}, "border"),
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
    assert set(schema.REJECTIONS) == {"border", "small", "large", "ragged", "out_of_focus", "saturated", "mitotic"}
