import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.explain.regions import localisation
from cellcycle_jax.features.families import Family, families, family
from data_prep.measurement import measure

CHANNELS, STAINS = ("DNA", "Golgi", "EB1", "CENPF"), ("Golgi", "EB1")
WHOLE_CELL = ("cell body", "organelle", "organelle outline", "nuclear rim", "nucleus")


@pytest.fixture(scope="module")
def measured():
    """Columns that `measure_cells` gives of a field with two nuclei, and their families."""
    labels = np.zeros((40, 80), np.int32)
    labels[5:35, 5:35], labels[5:35, 45:75] = 1, 2
    image = np.random.default_rng(0).random((40, 80, 4)).astype(np.float32)
    masks = {stain: image[..., CHANNELS.index(stain)] > 0.5 for stain in STAINS}
    bodies = measure.cell_bodies(labels, 4)
    field = measure.LabelledField(image, labels, bodies, CHANNELS, "DNA", masks, 0.5)
    return families(measure.measure_cells(field), CHANNELS, STAINS)


def test_every_measurement_has_a_family_with_a_region(measured):
    assert len(measured) == 72
    assert all(found.regions and set(found.regions) <= set(localisation.COMPARTMENTS) for found in measured.values())
    names = pd.Series({column: found.name for column, found in measured.items()})
    sizes = names.value_counts()
    assert len(sizes) == 23 and sizes["size of the nucleus"] == 5 and sizes["shape of the nucleus"] == 4
    assert "unknown" not in " ".join(names)


def test_every_measurement_is_one_that_pycytominer_keeps_by_default(measured):
    compartments = ("Nuclei_", "Cells_", "Cytoplasm_")  # of `pycytominer.cyto_utils.infer_cp_features`
    assert all(column.startswith(compartments) for column in measured)


def test_a_family_is_read_in_one_channel_in_the_same_regions(measured):
    by_name = {}
    for found in measured.values():
        assert by_name.setdefault(found.name, found) == found


@pytest.mark.parametrize(("column", "name", "channel", "regions"), [
    ("Nuclei_AreaShape_MajorAxisLength", "size of the nucleus", None, ("nuclear rim", "nucleus")),
    ("Nuclei_AreaShape_FormFactor", "shape of the nucleus", None, ("nuclear rim",)),
    (schema.integrated("DNA"), "brightness of the nucleus in DNA", "DNA", ("nucleus",)),
    ("Nuclei_Texture_Contrast_Golgi", "texture of the nucleus in Golgi", "Golgi", ("nucleus",)),
    ("Nuclei_Texture_EdgeSharpness_DNA", "sharpness of the nuclear outline in DNA", "DNA", ("nuclear rim",)),
    ("Cells_Intensity_MeanIntensity_EB1", "brightness of the cell in EB1", "EB1", WHOLE_CELL),
    ("Cells_AreaShape_ObjectArea_Golgi", "amount of Golgi", "Golgi", ("organelle", "organelle outline")),
    ("Cells_Intensity_ObjectIntensity_Golgi", "amount of Golgi", "Golgi", ("organelle", "organelle outline")),
    ("Cells_Distance_FromNucleus_Golgi", "spread of Golgi", "Golgi", ("organelle", "organelle outline")),
    ("Cells_Number_Objects_Golgi", "number of Golgi objects", "Golgi", ("organelle", "organelle outline")),
    ("Cells_Number_SpotDensity_EB1", "frequency of EB1 spots", "EB1", ("cell body", "organelle", "organelle outline")),
    ("Cells_AreaShape_ObjectArea_EB1", "amount of EB1", "EB1", ("cell body", "organelle", "organelle outline")),
])
def test_families_in_words_with_their_regions(column, name, channel, regions):
    assert family(column, CHANNELS, STAINS) == Family(name, channel, regions)


@pytest.mark.parametrize(("column", "name", "channel"), [
    ("Nuclei_Texture_RimToCentre_DNA", "texture of the nucleus in DNA", "DNA"),
    ("Cells_AreaShape_Area", "size of the cell", None),
    ("Cells_Number_Vesicles_Golgi", "counts in the cell in Golgi", "Golgi"),
    ("Cells_AreaShape_Solidity_Golgi", "shape of the cell in Golgi", "Golgi"),
    ("Cells_Distance_ToEdge_EB1", "distances in the cell in EB1", "EB1"),
])
def test_a_new_measurement_has_a_family_by_its_name(column, name, channel):
    found = family(column, CHANNELS, STAINS)
    assert (found.name, found.channel) == (name, channel) and found.regions


@pytest.mark.parametrize("column", ["Wobble_DNA", "Nuclei_Wobble_Area_DNA", "Mito_AreaShape_Area", "Nuclei_Texture"])
def test_a_name_off_the_scheme_is_a_family_of_its_own_that_says_where_to_read(column):
    found = family(column, CHANNELS, STAINS)
    assert "docs/extending.md" in found.name and found.regions == ()
    assert found.name != family(f"{column}2", CHANNELS, STAINS).name


def test_channel_names_may_hold_underscores_and_begin_alike():
    channels = ("DNA", "DNA_405", "w1_DNA")
    assert family("Cells_AreaShape_ObjectArea_DNA_405", channels).name == "amount of DNA_405"
    assert family("Nuclei_Intensity_MeanIntensity_w1_DNA", channels).name == "brightness of the nucleus in w1_DNA"
    assert family("Cells_Intensity_ObjectIntensity_DNA_405", channels).name == "amount of DNA_405"


def test_an_outline_is_read_in_every_channel_and_a_blind_map_reads_all():
    size = family(schema.NUCLEAR_AREA, CHANNELS, STAINS)
    golgi = family("Cells_AreaShape_ObjectArea_Golgi", CHANNELS, STAINS)
    assert size.is_read_at("EB1", "nuclear rim") and not size.is_read_at("EB1", "cell body")
    assert golgi.is_read_at("Golgi", "organelle") and golgi.is_read_at(None, "organelle")
    assert golgi.is_read_at("", "organelle") and not golgi.is_read_at("", "nucleus")
    assert not golgi.is_read_at("DNA", "organelle") and not golgi.is_read_at("Golgi", "nucleus")
