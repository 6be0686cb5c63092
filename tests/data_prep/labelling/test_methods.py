import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import files, schema
from cellcycle_jax.errors import InputRefused, UsageError
from configs import base
from data_prep.labelling import methods
from data_prep.pictures import drawing


def settings(method):
    config = base.preparation()
    config.channels.markers = ("CENPF",)
    config.labels.method = method
    return config


def marker_table(n=400, plates=("p1", "p2"), gain=(1.0, 8.0), apart=2.5):
    rng = np.random.default_rng(0)
    parts, truth = [], []
    for plate, g in zip(plates, gain, strict=True):
        high = rng.random(n) < 0.25
        value = g * 100 * 2 ** (apart * high + rng.normal(0, 0.4, n))
        parts.append(pd.DataFrame({schema.PLATE: plate, "Nuclei_Intensity_MeanIntensity_CENPF": value}))
        truth.append(high)
    return pd.concat(parts, ignore_index=True), np.concatenate(truth)


def test_two_humps_are_told_apart_on_each_plate_by_its_own_cut():
    table, truth = marker_table()
    config = settings("marker")
    found = methods.label_cells(table, config.channels, config.labels)
    known = found.label != schema.NO_LABEL
    assert np.mean(found.label[known] == truth[known]) > 0.995
    assert 0 < 1 - known.mean() < 0.05
    assert found.cuts["p2"]["cut"] - found.cuts["p1"]["cut"] == pytest.approx(3, abs=0.2)  # gain 8 is 3 in log2


@pytest.mark.parametrize("unit", [1e-4, 1e4])
def test_labels_do_not_depend_on_the_unit_of_the_camera(unit):
    table, _ = marker_table()
    scaled = table.assign(Nuclei_Intensity_MeanIntensity_CENPF=table["Nuclei_Intensity_MeanIntensity_CENPF"] * unit)
    config = settings("marker")
    one, two = (methods.label_cells(t, config.channels, config.labels) for t in (table, scaled))
    np.testing.assert_array_equal(one.label, two.label)
    np.testing.assert_allclose(two.value - one.value, np.log2(unit))


def test_cells_without_any_marker_are_of_the_low_class():
    table, truth = marker_table(plates=("p1",), gain=(1.0,))
    none = np.flatnonzero(~truth)[:40]
    table.loc[none, "Nuclei_Intensity_MeanIntensity_CENPF"] = -3.0
    config = settings("marker")
    found = methods.label_cells(table, config.channels, config.labels)
    assert set(found.label[none]) == {0} and np.isfinite(found.value).all()


def test_too_few_cells_on_a_plate_are_refused_by_name():
    config = settings("marker")
    with pytest.raises(InputRefused, match="p1.*10 usable"):
        methods.label_cells(marker_table(10)[0], config.channels, config.labels)


def test_marker_method_needs_a_marker():
    config = base.preparation()
    with pytest.raises(UsageError, match="channels.markers"):
        methods.label_cells(marker_table()[0], config.channels, config.labels)


def fucci_table(n=60):
    """Cells with the first marker alone, both, the second alone, and none, in turn."""
    rng = np.random.default_rng(0)
    low, high = (2.0 ** rng.normal(level, 0.2, n) for level in (4, 9))
    first = np.stack([high, high, low, low], axis=1).ravel()
    second = np.stack([low, high[::-1], high, low[::-1]], axis=1).ravel()
    return pd.DataFrame({schema.PLATE: "p1", "Nuclei_Intensity_MeanIntensity_Cdt1": first,
                         "Nuclei_Intensity_MeanIntensity_Geminin": second})


@pytest.mark.parametrize(("classes", "expected"), [(("G1", "S/G2/M"), [0, -1, 1, -1]),
                                                   (("G1", "G1/S", "S/G2/M"), [0, 1, 2, -1])])
def test_two_markers_take_turns(classes, expected):
    config = settings("two_markers")
    config.channels.markers, config.labels.classes = ("Cdt1", "Geminin"), classes
    found = methods.label_cells(fucci_table(), config.channels, config.labels)
    assert (found.label.reshape(-1, 4) == expected).mean() > 0.97
    assert found.pair.shape == (240, 2) and 6 < found.cuts["p1"]["Cdt1_cut"] < 7
    assert found.cuts["p1"]["separation"] == min(found.cuts["p1"][f"{m}_separation"] for m in ("Cdt1", "Geminin"))


def test_two_markers_need_two():
    config = settings("two_markers")
    with pytest.raises(UsageError, match="two marker channels, that of the first class first"):
        methods.label_cells(fucci_table(), config.channels, config.labels)


def test_a_column_says_the_class_and_other_values_say_nothing():
    config = settings("column")
    config.labels.column, config.labels.mapping = "Stage", ("Prophase=G2",)
    table = pd.DataFrame({"Metadata_Stage": ["G1/S", "G2", "Prophase", "Telophase", None]})
    found = methods.label_cells(table, config.channels, config.labels)
    assert found.label.tolist() == [0, 1, 1, -1, -1] and found.words.tolist()[-1] == ""
    with pytest.raises(UsageError, match="'Phase': no such column; found: Stage"):
        config.labels.column = "Phase"
        methods.label_cells(table, config.channels, config.labels)


def test_the_folder_says_the_class():
    config = settings("folder")
    table = pd.DataFrame({schema.FIELD_LABEL: ["G2", "G1/S", "", "G2"]})
    assert methods.label_cells(table, config.channels, config.labels).label.tolist() == [1, 0, -1, 1]


@pytest.mark.parametrize("entry", ["Prophase", "Prophase=M"])
def test_values_must_name_a_class(entry):
    config = settings("folder")
    config.labels.mapping = (entry,)
    with pytest.raises(UsageError, match=f"'{entry}'; allowed: 'value=class' with a class of G1/S, G2"):
        methods.label_cells(pd.DataFrame({schema.FIELD_LABEL: ["G2"]}), config.channels, config.labels)


def test_a_rare_marker_is_found_among_cells_whose_values_are_noise_around_zero():
    rng = np.random.default_rng(0)
    raw = np.concatenate([rng.normal(0.2, 0.4, 280), rng.uniform(20, 150, 20)])
    table = pd.DataFrame({schema.PLATE: "p", "Nuclei_Intensity_MeanIntensity_CENPF": raw})
    found = methods.label_cells(table, settings("marker").channels, settings("marker").labels)
    assert found.label.tolist()[280:] == [1] * 20 and (found.label[:280] == 0).mean() > 0.98


def test_whole_numbers_beside_empty_cells_are_still_the_class_names():
    config = settings("column")
    config.labels.column, config.labels.classes = "Score", ("1", "2")
    table = pd.DataFrame({"Metadata_Score": [1.0, 2.0, np.nan]})
    assert methods.label_cells(table, config.channels, config.labels).label.tolist() == [0, 1, -1]


def test_numbers_are_the_classes_however_they_are_written():
    config = settings("column")
    config.labels.column, config.labels.classes, config.labels.mapping = "Dose", ("0.50", "1.0"), ("1e-3=0.50",)
    table = pd.DataFrame({"Metadata_Dose": [0.5, 1.0, 0.001, 5.0, np.nan]})
    found = methods.label_cells(table, config.channels, config.labels)
    assert found.label.tolist() == [0, 1, 0, -1, -1]
    assert found.words.tolist() == ["0.50", "1.0", "1e-3", "5", ""]


def test_true_and_false_are_words():
    config = settings("column")
    config.labels.column, config.labels.classes = "Alive", ("False", "True")
    table = pd.DataFrame({"Metadata_Alive": [True, False]})
    assert methods.label_cells(table, config.channels, config.labels).label.tolist() == [1, 0]


def test_a_dead_marker_labels_no_cell_and_is_noted_and_drawn(tmp_path):
    table, _ = marker_table()
    table.loc[table[schema.PLATE] == "p2", "Nuclei_Intensity_MeanIntensity_CENPF"] = 3.0
    found = methods.label_cells(table, settings("marker").channels, settings("marker").labels)
    dead = (table[schema.PLATE] == "p2").to_numpy()
    assert set(found.label[dead]) == {schema.NO_LABEL} and set(found.label[~dead]) >= {0, 1}
    assert found.cuts["p2"]["separation"] == 0 and found.cuts["p2"]["cut"] == pytest.approx(np.log2(3), abs=1e-3)
    assert found.notes == ("CENPF of plate 'p2' is the same in all cells: none of its 400 cells has a label.",)
    assert found.doubts == ()
    files.write_json(tmp_path / "cuts.json", found.cuts)
    assert files.read_json(tmp_path / "cuts.json")["p2"]["low"] is None
    names = np.array(["G1/S", "G2", ""])
    for shown in (table, table[dead]):
        keep = shown.index.to_numpy()
        drawn = shown.assign(**{schema.LABEL_SCORE: found.value[keep], schema.LABEL: names[found.label[keep]]})
        drawing.labelling(drawn, found, names[:2], tmp_path / "cuts.png")


def test_of_two_markers_a_dead_one_labels_nothing_and_is_drawn(tmp_path):
    table = fucci_table().assign(Nuclei_Intensity_MeanIntensity_Geminin=0.0)
    config = settings("two_markers")
    config.channels.markers, config.labels.classes = ("Cdt1", "Geminin"), ("G1", "S/G2/M")
    found = methods.label_cells(table, config.channels, config.labels)
    assert set(found.label) == {schema.NO_LABEL} and found.cuts["p1"]["separation"] == 0
    drawn = table.assign(**{schema.LABEL: "", "_first": found.pair[:, 0], "_second": found.pair[:, 1]})
    drawing.labelling(drawn, found, config.labels.classes, tmp_path / "cuts.png")


def one_hump_table(n=400):
    """Plate p1 with two humps, plate p2 with one."""
    table, _ = marker_table(n, gain=(1.0, 1.0))
    rng = np.random.default_rng(1)
    table.loc[table[schema.PLATE] == "p2", "Nuclei_Intensity_MeanIntensity_CENPF"] = 100 * 2 ** rng.normal(0, 0.6, n)
    return table


def test_a_plate_whose_marker_shows_one_hump_has_no_labels():
    config = settings("marker")
    table = one_hump_table()
    found = methods.label_cells(table, config.channels, config.labels)
    is_second = (table[schema.PLATE] == "p2").to_numpy()
    assert set(found.label[is_second]) == {schema.NO_LABEL} and set(found.label[~is_second]) >= {0, 1}
    [note] = found.notes
    assert note.startswith("CENPF of plate 'p2' shows no two humps (at the emptiest place between them are ")
    assert note.endswith("as many cells as in the smaller one): none of its 400 cells has a label.")
    assert found.doubts == ()


def test_who_knows_better_has_labels_and_a_doubt():
    config = settings("marker")
    config.labels.one_hump = "label"
    table = one_hump_table()
    found = methods.label_cells(table, config.channels, config.labels)
    assert set(found.label[(table[schema.PLATE] == "p2").to_numpy()]) >= {0, 1}
    [doubt] = found.doubts
    assert doubt.startswith("CENPF of plate 'p2' shows no two humps")
    assert doubt.endswith("its 400 cells are labelled all the same.")
    assert found.notes == ()


def test_labels_of_too_few_cells_to_be_sure_of_two_humps_are_in_doubt():
    config = settings("marker")
    table, _ = marker_table(40, plates=("p1",), gain=(1.0,))
    above = np.where(np.arange(40) < 4, 2.5, np.linspace(-0.6, 0.6, 40))
    table["Nuclei_Intensity_MeanIntensity_CENPF"] = 100 * 2**above
    found = methods.label_cells(table, config.channels, config.labels)
    assert found.label[:4].tolist() == [1] * 4
    [doubt] = found.doubts
    assert "is not certain to show two humps (at the emptiest place between them are 0% as many cells" in doubt


def test_of_two_markers_each_must_show_two_humps():
    rng = np.random.default_rng(1)
    table = fucci_table().assign(Nuclei_Intensity_MeanIntensity_Geminin=2.0 ** rng.normal(6, 0.5, 240))
    config = settings("two_markers")
    config.channels.markers, config.labels.classes = ("Cdt1", "Geminin"), ("G1", "S/G2/M")
    found = methods.label_cells(table, config.channels, config.labels)
    assert set(found.label) == {schema.NO_LABEL}
    assert [note.split(" (")[0] for note in found.notes] == ["Geminin of plate 'p1' shows no two humps"]
