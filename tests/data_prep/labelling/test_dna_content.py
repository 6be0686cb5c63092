"""Labels by DNA content, on nuclei whose phase is known, and on fields whose G1 peak is in doubt."""

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.errors import UsageError
from configs import base
from data_prep.intensity import scaling
from data_prep.labelling import dna_content

USUAL = (0.65, 0.20, 0.15)  # shares in G1, S and G2
ARRESTED = (0.0, 0.05, 0.95)


def settings():
    config = base.preparation()
    config.labels.method = "dna_content"
    return config


def labelled(table):
    config = settings()
    return dna_content.by_dna_content(table, config.channels, config.labels)


def dna_table(content, field="f"):
    n = len(content)
    return pd.DataFrame({schema.PLATE: "p", schema.FIELD: field, "_area_px": 100.0,
                         schema.integrated("DNA"): np.array(content) * 500.0,
                         schema.reference_column("DNA"): [5.0] * n, "Nuclei_AreaShape_Solidity": 0.95})


def field(name, shares, stain=1.0, n=60, seed=0):
    """Nuclei of a field as `prepare` measures them, its reference from its own G1 peak."""
    rng = np.random.default_rng((seed, len(name), *name.encode()))
    phase = rng.choice(3, n, p=shares)
    content = np.choose(phase, [np.ones(n), rng.uniform(1, 2, n), np.full(n, 2.0)])
    integrated = stain * content * np.exp(rng.normal(0, 0.1, n))
    return pd.DataFrame({schema.PLATE: "p", schema.FIELD: name, "_area_px": 100.0,
                         schema.integrated("DNA"): integrated, "phase": phase, "Nuclei_AreaShape_Solidity": 0.95,
                         schema.reference_column("DNA"): scaling.g1_peak(integrated) / 100})


def plate(*fields):
    return pd.concat(fields, ignore_index=True)


def usual_fields(count):
    return [field(f"usual{index}", USUAL) for index in range(count)]


def fields_with_labels(table):
    found = labelled(table)
    return set(table.loc[found.label != schema.NO_LABEL, schema.FIELD]), found


def test_dna_content_by_hand():
    found = labelled(dna_table([0.5, 0.9, 1.1, 1.5, 1.8, 2.2, 2.6] * 10))
    assert found.label[:7].tolist() == [-1, 0, 0, -1, 1, 1, -1]
    np.testing.assert_allclose(found.value[:7], [0.5, 0.9, 1.1, 1.5, 1.8, 2.2, 2.6])


def test_small_fields_get_no_dna_labels():
    table = pd.concat([dna_table([1.0, 2.0] * 30, "many"), dna_table([1.0, 2.0] * 10, "few")], ignore_index=True)
    found = labelled(table)
    assert set(found.label[60:]) == {schema.NO_LABEL} and set(found.label[:60]) == {0, 1}


def test_ranges_that_overlap_are_refused():
    config = settings()
    config.labels.low_range = (0.8, 1.9)
    with pytest.raises(UsageError, match="overlap; low must end where high has not begun"):
        dna_content.by_dna_content(dna_table([1.0] * 50), config.channels, config.labels)


def test_fields_all_in_g2_are_found_by_their_plate():
    table = plate(*usual_fields(8), field("arrested", ARRESTED))
    with_labels, found = fields_with_labels(table)
    assert with_labels == {f"usual{index}" for index in range(8)}
    assert found.notes == (
        "Fields without labels: the G1 peak is at twice that of the plate, so they may all be in G2: arrested.",
    )
    assert found.doubts == ()
    assert (table["phase"][found.label == 0] != 2).all()


def test_a_field_stained_twice_as_much_keeps_its_labels():
    table = plate(*usual_fields(8), field("bright", USUAL, stain=2.0))
    with_labels, found = fields_with_labels(table)
    assert "bright" in with_labels and found.notes == ()


def test_the_lower_peaks_are_g1_even_where_most_fields_are_arrested_and_that_is_doubted():
    table = plate(*usual_fields(4), *[field(f"arrested{index}", ARRESTED) for index in range(8)])
    with_labels, found = fields_with_labels(table)
    assert with_labels == {f"usual{index}" for index in range(4)}
    [doubt] = found.doubts
    assert doubt.startswith("The G1 peaks of 8 of 12 fields of plate 'p' are at twice that of the others")


def two_heights(n_low):
    """A field of 60 nuclei, `n_low` of them with one times and the others with two times a content of DNA."""
    rng = np.random.default_rng(0)
    content = np.repeat([1.0, 2.0], [n_low, 60 - n_low]) * np.exp(rng.normal(0, 0.1, 60))
    return pd.DataFrame({schema.PLATE: "p", schema.FIELD: "alone", "_area_px": 100.0,
                         "Nuclei_AreaShape_Solidity": 0.95, schema.integrated("DNA"): content,
                         schema.reference_column("DNA"): scaling.g1_peak(content) / 100})


@pytest.mark.parametrize(("n_low", "is_open"), [(30, False), (7, True), (2, False)])
def test_where_half_or_twice_the_peak_is_nearly_as_likely_a_field_has_no_labels(n_low, is_open):
    found = labelled(two_heights(n_low))
    assert (set(found.label) == {schema.NO_LABEL}) == is_open
    note = "Fields without labels: a G1 peak half or twice as high is nearly as likely: alone."
    assert found.notes == ((note,) if is_open else ())


@pytest.mark.parametrize("g1", [0.25, 0.45, 0.65])
def test_usual_fields_are_never_in_doubt(g1):
    for seed in range(20):
        table = field("alone", (g1, 0.85 - g1, 0.15), n=50, seed=seed)
        assert labelled(table).notes == ()


def test_nuclei_with_twice_the_dna_and_a_waist_have_no_label():
    table = dna_table([1.0] * 40 + [2.0] * 10)
    table["Nuclei_AreaShape_Solidity"] = [*np.linspace(0.92, 0.98, 40), 0.90, *[0.97] * 9]
    found = labelled(table)
    assert found.label[40:].tolist() == [schema.NO_LABEL] + [1] * 9
    assert found.notes == (
        "1 of 10 nuclei with the DNA of G2 have no label: they are less convex than 95% of G1/S nuclei, as two that "
        "touch.",
    )


def test_of_the_first_class_no_nucleus_is_left_out_for_its_shape():
    table = dna_table([1.0] * 40 + [2.0] * 10)
    table["Nuclei_AreaShape_Solidity"] = [*np.linspace(0.90, 0.98, 40), *[0.97] * 10]
    assert (labelled(table).label[:40] == 0).all()
