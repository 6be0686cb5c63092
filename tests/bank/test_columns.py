"""Measurements of the bank as columns of the table, of fields that are drawn."""

import numpy as np
import pytest

from cellcycle_jax import schema
from cellcycle_jax.bank import bank, columns
from cellcycle_jax.errors import UsageError
from cellcycle_jax.features.families import family
from data_prep.measurement.measure import LabelledField, cell_bodies, measure_cells

NAME = "Nuclei_Side_TowardsGolgi_DNA"


@pytest.fixture(scope="module")
def field():
    """Two nuclei, a Golgi to the right of each; the first is brighter to the right, the second to the left."""
    rows, across = np.indices((100, 180)).astype(float)
    image = np.zeros((100, 180, 2), np.float32)
    labels = np.zeros((100, 180), np.int32)
    for number, (column, slope) in enumerate(((50, 0.03), (130, -0.03)), start=2):
        inside = np.hypot(rows - 50, across - column) <= 10
        labels[inside] = number
        image[..., 0] += inside * (1 + slope * (across - column))
        image[..., 1] += np.exp(-((rows - 50) ** 2 + (across - column - 16) ** 2) / 18)
    bodies = cell_bodies(labels, 20)
    return LabelledField(image, labels, bodies, ("DNA", "Golgi"), "DNA", {}, 0.5)


def test_a_column_is_what_the_bank_measures_of_each_nucleus(field):
    values = measure_cells(field, (f"cellcycle_jax.bank.columns:{NAME}",))[NAME]
    # The mean of x weighted by 1 + a x over a disc of radius R is a R^2 / 4.
    assert values == pytest.approx([0.03 * 10 / 4, -0.03 * 10 / 4], rel=0.08)


def test_a_measurement_that_is_not_there_is_refused_by_name(field):
    with pytest.raises(UsageError, match="Nuclei_Side_TowardsMars_DNA"):
        measure_cells(field, ("cellcycle_jax.bank.columns:Nuclei_Side_TowardsMars_DNA",))


def test_columns_of_the_bank_have_a_family_and_words(field):
    with np.errstate(all="ignore"):
        measured = bank.measure(columns.cells_of_field(field))
    for one in measured:
        assert "unknown" not in family(one.name, ("DNA", "Golgi")).name, one.name
    assert family(NAME, ("DNA", "Golgi")).name == "brighter side of the nucleus in DNA"
    assert schema.readable(NAME) == "Nuclear DNA side towards golgi"
