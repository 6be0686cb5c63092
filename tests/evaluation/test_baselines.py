import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.evaluation import baselines
from cellcycle_jax.scoring import metrics

CLASSES = ("G1/S", "G2")


def make_rows(n=600, seed=0, lines=("HeLa",), area_effect=0.4, dna_effect=0.7, truth=False):
    """Cells of which G2 have larger nuclei and more DNA; every field is stained to a strength of its own."""
    rng = np.random.default_rng(seed)
    g2, field, line = rng.integers(0, 2, n), rng.integers(0, 20, n), rng.integers(0, len(lines), n)
    stain = np.exp(rng.normal(scale=0.6, size=20))[field]
    area = 100 * 2.0**line * np.exp(area_effect * g2 + rng.normal(scale=0.15, size=n))
    dna = 80 * np.exp(dna_effect * g2 + rng.normal(scale=0.1, size=n))
    label = np.array(CLASSES)[g2].astype(object)
    rows = pd.DataFrame({
        schema.CELL_ID: [f"c{i}" for i in range(n)], schema.GROUP: [f"f{k}" for k in field],
        schema.CELL_LINE: np.array(lines)[line], schema.LABEL: label, schema.TRUE_PHASE: label,
        "Metadata_Reference_DNA": stain, "Metadata_Reference_CENPF": 1.0, "Metadata_Reference_Golgi": 1.0,
        schema.NUCLEAR_AREA: area, schema.integrated("DNA"): dna * stain,
        "Cells_AreaShape_ObjectArea_Golgi": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
    })
    if truth:
        rows["Truth_dna_stain"] = dna
        rows["Truth_nuclear_area_um2"] = area
        rows["Truth_age"], rows["Truth_marker"], rows["Truth_dna_content"] = g2 + 0.0, g2 + 0.0, g2 + 0.0
        rows["Truth_phase"], rows["Truth_stain_DNA"], rows["Truth_site"] = label, 1.0 + g2, g2
    return rows, g2


def score(prob, label):
    return metrics.balanced_accuracy(label, prob)[0]


def fit(rows, channels=("DNA", "Golgi"), markers=("CENPF",), **options):
    return baselines.fit_baselines(rows, channels, "DNA", CLASSES, markers, **options)


def test_the_four_baselines_return_probabilities_and_name_their_features():
    fitted = fit(make_rows()[0])
    rows, label = make_rows(seed=1)
    found = fitted.predict(rows)
    assert tuple(found) == baselines.BASELINES
    for prob in found.values():
        assert prob.shape == (len(rows), 2)
        np.testing.assert_allclose(prob.sum(1), 1)
    assert score(found["integrated_dna"], label) > 0.98
    assert 0.85 < score(found["nuclear_area"], label) < 0.95
    assert fitted.features["nuclear_area"] == [schema.NUCLEAR_AREA]
    every = [schema.NUCLEAR_AREA, schema.integrated("DNA"), "Cells_AreaShape_ObjectArea_Golgi"]
    assert fitted.features["all_features"] == every


def test_staining_of_a_field_does_not_matter():
    fitted, (rows, _) = fit(make_rows()[0]), make_rows(seed=1)
    brighter = rows.assign(**{c: rows[c] * 7 for c in (schema.integrated("DNA"), "Metadata_Reference_DNA")})
    for name, prob in fitted.predict(brighter).items():
        np.testing.assert_allclose(prob, fitted.predict(rows)[name], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("channels", [("DNA", "Golgi"), ("DNA", "Golgi", "CENPF")])
def test_a_perfect_marker_measurement_changes_nothing(channels):
    rows, label = make_rows()
    leaky = rows.assign(**{
        "Nuclei_Intensity_MeanIntensity_CENPF": label + 0.0, "Cells_AreaShape_ObjectArea_CENPF": label + 0.0,
        "Nuclei_Correlation_Correlation_CENPF_DNA": label + 0.0, "Metadata_LabelScore": label + 0.0,
    })
    clean, found = fit(rows).predict(rows), fit(leaky, channels).predict(leaky)
    for name in baselines.BASELINES:
        np.testing.assert_array_equal(found[name], clean[name])


def test_pooled_lines_do_not_handicap_the_area():
    lines = ("HeLa", "RPE1")  # the second has nuclei twice as large
    rows, _ = make_rows(1200, lines=lines)
    held_out, label = make_rows(1200, seed=1, lines=lines)
    alone, alone_label = make_rows(1200, seed=1)
    pooled = score(fit(rows).predict(held_out)["nuclear_area"], label)
    assert pooled == pytest.approx(score(fit(make_rows(1200)[0]).predict(alone)["nuclear_area"], alone_label), abs=0.03)


def test_an_unknown_line_and_missing_values_still_get_probabilities():
    fitted, (rows, _) = fit(make_rows()[0]), make_rows(seed=1)
    rows[schema.CELL_LINE] = "U2OS"
    rows.loc[:4, [schema.NUCLEAR_AREA, "Metadata_Reference_DNA"]] = np.nan
    for prob in fitted.predict(rows).values():
        assert np.isfinite(prob).all()


def test_a_model_without_the_nuclear_channel_keeps_the_dna_baselines():
    fitted = fit(make_rows()[0], channels=("Golgi",))
    assert fitted.features["all_features"] == ["Cells_AreaShape_ObjectArea_Golgi"]
    assert fitted.features["integrated_dna"] == [schema.integrated("DNA")]


def test_a_mask_that_shows_the_outline_gives_all_features_the_shape():
    fitted = fit(make_rows()[0], ("Golgi",), shape_shown=True)
    assert fitted.features["all_features"] == [schema.NUCLEAR_AREA, "Cells_AreaShape_ObjectArea_Golgi"]


def test_rows_without_a_label_are_left_out_and_an_absent_class_is_refused():
    rows, _ = make_rows()
    abstained = pd.concat([rows, rows.assign(**{schema.LABEL: "", schema.NUCLEAR_AREA: 1e6})])
    np.testing.assert_array_equal(fit(abstained).predict(rows)["nuclear_area"], fit(rows).predict(rows)["nuclear_area"])
    with pytest.raises(InputRefused, match="G2"):
        fit(rows[rows[schema.LABEL] == "G1/S"])


def test_fitting_twice_gives_the_same():
    rows, _ = make_rows()
    np.testing.assert_array_equal(fit(rows).predict(rows)["all_features"], fit(rows).predict(rows)["all_features"])


def test_the_oracle_sees_the_true_cues_and_not_the_answer():
    rows, _ = make_rows(truth=True, dna_effect=0.1)
    oracle = baselines.fit_oracle(rows, CLASSES)
    assert list(oracle.inputs.features) == ["Truth_dna_stain", "Truth_nuclear_area_um2"]
    held_out, label = make_rows(seed=1, truth=True, dna_effect=0.1)
    # Two independent cues 0.4/0.15 and 0.1/0.1 sd apart: d = 2.85, so the best rule is right for Phi(d / 2) = 0.923.
    assert score(oracle.predict(held_out), label) == pytest.approx(0.923, abs=0.025)


def test_measured_data_have_no_oracle():
    assert baselines.fit_oracle(make_rows()[0], CLASSES) is None


def test_classes_that_are_no_phases_have_no_oracle():
    rows = make_rows(truth=True)[0]
    assert baselines.fit_oracle(rows, ("G0", "G2")) is None and baselines.fit_oracle(rows, ("low", "high")) is None
