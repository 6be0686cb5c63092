import numpy as np
import pytest

from cellcycle_jax import schema
from cellcycle_jax.counterfactual import measured_again, shortest_edit
from cellcycle_jax.schema import Compartment as C
from tests.drawn import PIECES, cell

CHANNELS = ("DNA", "Golgi", "EB1")


def table_of(*cells):
    images = np.stack([one.image for one in cells])
    bits = np.stack([one.compartments for one in cells])
    return measured_again.table(images, bits, CHANNELS, "DNA")


def test_a_nucleus_is_found_again_where_its_mask_is_wrong():
    one = cell(48, PIECES)
    nucleus = one.compartments & int(C.NUCLEUS) > 0
    moved = np.roll(nucleus, 3, axis=1)
    body = one.compartments & int(C.BODY) > 0
    found = measured_again.segmented_nucleus(one.image[..., 0], body, moved)
    overlap = (found & nucleus).sum() / (found | nucleus).sum()
    assert overlap > 0.85
    assert (moved & nucleus).sum() / (moved | nucleus).sum() < 0.75


def test_each_edit_shows_in_the_measurement_that_it_changes():
    one = cell(96, PIECES)
    spread = {"nuclear_area": 0.2, "dna_brightness": 0.2, "stain_area": 0.3, "stain_spread": 0.3}
    dna = schema.integrated("DNA")
    area = "Cells_AreaShape_ObjectArea_Golgi"
    far = "Cells_Distance_Spread_Golgi"
    expected = {"nuclear_area": schema.NUCLEAR_AREA, "dna_brightness": dna, "stain_area": area, "stain_spread": far}
    for name, column in expected.items():
        edited = shortest_edit.edit_together(one, {name: 1.0}, shortest_edit.Steps(spread))
        before, after = table_of(one, edited).to_dict("records")
        ratio = {other: after[other] / before[other] for other in expected.values()}
        assert ratio[column] == pytest.approx(np.exp(spread[name]), abs=0.12), name
        unmoved = [other for other in (schema.NUCLEAR_AREA, dna) if other != column]
        for other in unmoved:
            assert ratio[other] == pytest.approx(1, abs=0.05), (name, other)


def test_objects_are_counted_and_located_as_drawn():
    one = cell(48, PIECES, cytoplasm=0.0)
    measured = table_of(one).to_dict("records")[0]
    assert measured["Cells_Number_Objects_Golgi"] == len(PIECES)


def test_what_a_cell_lacks_is_missing_and_not_zero():
    one = cell(48, PIECES)
    empty = np.zeros_like(one.image)
    bits = np.full_like(one.compartments, int(C.BODY))
    measured = measured_again.table(empty[None], bits[None], CHANNELS, "DNA")
    assert schema.NUCLEAR_AREA not in measured
    assert "Cells_AreaShape_ObjectArea_Golgi" not in measured
