import doctest

import pytest

from cellcycle_jax import schema

CHANNELS = ("DNA", "Golgi", "EB1")


@pytest.mark.parametrize("column, words", [
    ("Nuclei_AreaShape_Area", "Nuclear area"),
    ("Nuclei_AreaShape_MajorAxisLength", "Nuclear major axis length"),
    ("Nuclei_Texture_EdgeSharpness_DNA", "Nuclear DNA edge sharpness"),
    (schema.integrated("DNA"), "Nuclear DNA integrated intensity"),
    ("Cells_Intensity_MeanIntensity_EB1", "Cell EB1 mean intensity"),
    ("Cells_AreaShape_ObjectArea_Golgi", "Golgi area"),
    ("Cells_Intensity_ObjectIntensity_Golgi", "Golgi object intensity"),
    ("Cells_Distance_FromNucleus_Golgi", "Golgi distance from nucleus"),
    ("Cells_Number_Objects_Golgi", "Golgi object count"),
    ("Cells_Number_SpotDensity_EB1", "EB1 spot density"),
])
def test_columns_read_as_words(column, words):
    assert schema.readable(column) == words


@pytest.mark.parametrize("column, in_um, in_px", [
    ("Nuclei_AreaShape_Area", "um^2", "px^2"),
    ("Cells_AreaShape_ObjectArea_Golgi", "um^2", "px^2"),
    ("Nuclei_AreaShape_Perimeter", "um", "px"),
    ("Nuclei_AreaShape_MajorAxisLength", "um", "px"),
    ("Nuclei_AreaShape_EquivalentDiameter", "um", "px"),
    ("Cells_Distance_FromNucleus_Golgi", "um", "px"),
    ("Cells_Distance_Spread_Golgi", "um", "px"),
    ("Cells_Number_SpotDensity_EB1", "1/um^2", "1/px^2"),
    ("Cells_Number_Spots_EB1", "", ""),
    ("Nuclei_AreaShape_Eccentricity", "", ""),
    ("Nuclei_Texture_Contrast_DNA", "", ""),
    (schema.integrated("DNA"), "a.u.", "a.u."),
])
def test_units_follow_the_pixel_size(column, in_um, in_px):
    assert schema.unit(column, pixel_size_known=True) == in_um
    assert schema.unit(column, pixel_size_known=False) == in_px


def test_labels_bookkeeping_and_truth_are_no_measurements():
    kept = ["Nuclei_AreaShape_Area", "Cells_Distance_FromNucleus_Golgi"]
    left_out = [schema.CELL_ID, schema.LABEL, schema.LABEL_SCORE, schema.TRUE_PHASE, schema.reference_column("DNA"),
                "Truth_age"]
    assert schema.feature_columns([left_out[0], kept[0], *left_out[1:], kept[1]]) == kept


@pytest.mark.parametrize("column, channel", [
    ("Nuclei_AreaShape_Area", None),
    (schema.integrated("DNA"), "DNA"),
    ("Nuclei_Texture_Contrast_Golgi", "Golgi"),
    ("Cells_Intensity_MeanIntensity_EB1", "EB1"),
    ("Cells_Number_SpotDensity_EB1", "EB1"),
    ("Cells_Distance_FromNucleus_Golgi", "Golgi"),
    ("Cells_Intensity_ObjectIntensity_Golgi", "Golgi"),
    ("Nuclei_Texture_Contrast_CENPF", None),  # not among the channels asked about
])
def test_channel_of_a_measurement(column, channel):
    assert schema.feature_channel(column, CHANNELS) == channel


def test_examples_in_the_docstrings_hold():
    failed, tried = doctest.testmod(schema)
    assert tried and not failed


@pytest.mark.parametrize(("column", "channel"), [
    ("Nuclei_Intensity_MeanIntensity_DAPI_405", "DAPI_405"),
    ("Nuclei_Intensity_MeanIntensity_w1_DNA", "w1_DNA"),
    ("Nuclei_Intensity_MeanIntensity_DNA", "DNA"),
    ("DAPI_405_AreaShape_Area", "DAPI_405"),
    ("Nuclei_AreaShape_Area", None),
])
def test_channel_names_may_hold_underscores(column, channel):
    assert schema.feature_channel(column, ("DNA", "w1_DNA", "DAPI_405")) == channel


@pytest.mark.parametrize("channel, reserved", [("Nuclei", True), ("nuclei", True), ("CELLS", True), ("Image_2", True),
                                               ("Truth", True), ("Metadata", True), ("Cytoplasm", True),
                                               ("DNA", False), ("Nucleus", False), ("NucleiStain", False),
                                               ("DNA_Cells", False)])
def test_channels_that_are_called_as_our_columns_begin(channel, reserved):
    assert schema.is_reserved(channel) is reserved
