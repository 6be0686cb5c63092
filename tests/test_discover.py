import json

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import discover, files, schema
from cellcycle_jax.errors import InputRefused, StoredStateRefused
from cellcycle_jax.report import scatter

CLASSES = ("G1/S", "G2")
DNA, GOLGI = schema.integrated("DNA"), "Golgi_AreaShape_Area"
UNITS = {GOLGI: "um^2", schema.NUCLEAR_AREA: "um^2", "Nuclei_AreaShape_Perimeter": "um"}


def make_cells(n=900, seed=0, lines=("HeLa",)):
    """Cells of which DNA and Golgi area tell the phase together; nuclear area a little, all else not at all."""
    rng = np.random.default_rng(seed)
    g2, field, line = rng.integers(0, 2, n), rng.integers(0, 30, n), rng.integers(0, len(lines), n)
    scale = np.array([1.0, 3.0, 0.4])[line]
    stain = np.exp(rng.normal(scale=0.5, size=30))[field]
    area = 120 * scale * np.exp(0.15 * g2 + rng.normal(scale=0.15, size=n))
    marker = np.exp(5.0 * g2)
    return pd.DataFrame({
        schema.CELL_ID: [f"c{i}" for i in range(n)], schema.FIELD: [f"f{k}" for k in field],
        schema.GROUP: [f"f{k}" for k in field], schema.CELL_LINE: np.array(lines)[line],
        schema.SPLIT: np.array(["train"] * 15 + ["validation"] * 9 + ["test"] * 6)[field],
        schema.LABEL: np.array(CLASSES)[g2], schema.REJECT: "",
        "Metadata_Reference_DNA": stain, "Metadata_Reference_CENPF": 1.0, "Metadata_Reference_Golgi": 1.0,
        DNA: 250 * scale * stain * np.exp(0.6 * g2 + rng.normal(scale=0.3, size=n)),
        GOLGI: 30 * scale * np.exp(0.5 * g2 + rng.normal(scale=0.28, size=n)),
        schema.NUCLEAR_AREA: area,
        "Nuclei_AreaShape_Perimeter": 3.5 * np.sqrt(area),
        "Nuclei_AreaShape_Orientation": rng.normal(size=n),
        "Golgi_Number_Pieces": rng.poisson(3, n),
        "Nuclei_AreaShape_EulerNumber": 1.0,
        "EB1_AreaShape_Area": marker, "Metadata_Reference_EB1": 1.0,
        "Nuclei_Intensity_MeanIntensity_CENPF": marker, "Truth_age": g2, "Metadata_Marker": g2,
    })  # fmt: skip


def split(cells, name):
    return cells[cells[schema.SPLIT] == name]


def sureness(cells):
    """Confidence that rises with the distance from the middle of the two classes in the plane of DNA and Golgi."""
    u = np.log(cells[DNA] / cells["Metadata_Reference_DNA"] / 250) - 0.3
    v = np.log(cells[GOLGI] / 30) - 0.25
    z = 0.6 / 0.09 * u + 0.5 / 0.0784 * v
    return pd.Series((1 / (1 + np.exp(-z.abs()))).to_numpy(), index=cells[schema.CELL_ID])


def run(out, cells, **changes):
    given = {
        "channels": ("DNA", "Golgi"), "marker": "CENPF", "classes": CLASSES, "out_dir": out, "candidates": 4,
        "confidence": sureness(split(cells, "validation")), "bootstraps": 200, "seed": 0, "units": UNITS,
    }  # fmt: skip
    return discover.discover(split(cells, "train"), split(cells, "validation"), **{**given, **changes})


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    out = tmp_path_factory.mktemp("features")
    run(out, make_cells())
    return pd.read_csv(out / "ranking.csv"), pd.read_csv(out / "pairs.csv"), files.read_json(out / "pair.json"), out


def test_the_planted_measurement_ranks_first(found):
    ranking = found[0]
    assert ranking["feature"][0] == DNA
    assert ranking["name"][0] == "Nuclear DNA integrated intensity"
    # 0.6 / 0.3 sd apart: AUROC Phi(2 / sqrt 2) = 0.921, best balanced accuracy Phi(1) = 0.841 at a cut of 250 e^0.3.
    assert ranking["train_auroc"][0] == pytest.approx(0.921, abs=0.03)
    assert ranking["low"][0] < 0.921 < ranking["high"][0]
    assert ranking["balanced_accuracy_low"][0] < 0.841 < ranking["balanced_accuracy_high"][0]
    assert ranking["cut"][0] == pytest.approx(250 * np.exp(0.3), rel=0.15)
    assert ranking["higher_in"][0] == "G2"


def test_the_planted_pair_ranks_first(found):
    pairs = found[1]
    assert {pairs["feature_x"][0], pairs["feature_y"][0]} == {DNA, GOLGI}
    # d^2 = 2^2 + (0.5 / 0.28)^2, so the best rule is right for Phi(2.68 / 2) = 0.910.
    assert pairs["train_held_out_balanced_accuracy"][0] == pytest.approx(0.910, abs=0.03)
    assert not pairs["near_duplicate"][0]


def test_the_marker_the_truth_and_constants_never_appear(found):
    ranking, pairs = found[:2]
    used = " ".join([*ranking["feature"], *pairs["feature_x"], *pairs["feature_y"]])
    for word in ("CENPF", "Truth", "Metadata", "EulerNumber", "EB1"):
        assert word not in used


def test_repeats_of_a_measurement_do_not_take_a_candidates_place():
    alike = pd.DataFrame(np.eye(4), list("abcd"), list("abcd"))
    alike.loc["a", "b"] = alike.loc["b", "a"] = 0.95
    assert discover.pick_candidates(list("abcd"), alike, 3) == ["a", "c", "d"]
    assert discover.pick_candidates(list("abcd"), alike, 4) == ["a", "c", "d", "b"]


def test_near_duplicates_are_marked_and_come_last(found):
    alike = discover.rank_correlations(make_cells()[[schema.NUCLEAR_AREA, "Nuclei_AreaShape_Perimeter", GOLGI]])
    assert alike.iloc[0, 1] == pytest.approx(1)
    assert alike.iloc[0, 2] < 0.5
    assert found[1]["near_duplicate"].is_monotonic_increasing


def test_the_line_is_the_one_known_by_hand(found):
    pair = found[2]
    axes = {pair[k]["feature"]: pair[k] for k in "xy"}
    # Normal logs of equal spread: log odds = sum over both of shift / sd^2 * (log x - midpoint).
    expected = {DNA: 0.6 / 0.3**2, GOLGI: 0.5 / 0.28**2}
    for feature, slope in expected.items():
        assert axes[feature]["scale"] == "log"
        assert axes[feature]["coefficient"] == pytest.approx(slope, rel=0.3)
    at_middle = (pair["intercept"] + axes[DNA]["coefficient"] * (np.log(250) + 0.3)
                 + axes[GOLGI]["coefficient"] * (np.log(30) + 0.25))  # fmt: skip
    assert abs(at_middle) < 0.6


def test_the_line_and_distance_of_four_points_by_hand():
    points = np.array([[0.0, 0.0], [0.0, 1.0], [2.0, 0.0], [2.0, 1.0]])
    line = discover.Line.fit(points, np.array([False, False, True, True]))
    assert line.coefficients[1] == pytest.approx(0, abs=1e-9)
    assert -line.intercept / line.coefficients[0] == pytest.approx(1)
    np.testing.assert_allclose(line.distance(np.array([[1.0, 5.0], [3.0, 0.0]])), [0, 2], atol=1e-9)  # sd of u is 1


def test_confidence_that_is_distance_correlates_fully_and_its_opposite_inversely(tmp_path, found):
    assert found[2]["spearman"]["value"] > 0.95
    assert "less sure the nearer" in found[2]["sentence"]
    cells = make_cells()
    summary = run(tmp_path, cells, confidence=1 - sureness(split(cells, "validation")))
    assert summary["spearman"]["value"] == pytest.approx(-found[2]["spearman"]["value"])
    assert "is surer the nearer" in summary["sentence"]


def test_unrelated_confidence_is_said_to_be_unrelated(tmp_path):
    cells = make_cells()
    noise = pd.Series(np.random.default_rng(1).random(len(cells)), index=cells[schema.CELL_ID])
    summary = run(tmp_path, cells, confidence=noise)
    assert summary["spearman"]["low"] < 0 < summary["spearman"]["high"]
    assert "does not clearly depend" in summary["sentence"]


def test_several_lines_share_one_line_relative_to_their_medians(tmp_path):
    cells = make_cells(2400, lines=("HeLa", "RPE1", "NIH3T3"))
    summary = run(tmp_path, cells)
    assert {summary["x"]["feature"], summary["y"]["feature"]} == {DNA, GOLGI}
    assert summary["balanced_accuracy"]["value"] == pytest.approx(0.910, abs=0.04)
    assert summary["x"]["label"].endswith("(relative to line median)")
    medians = {axis["feature"]: axis["line_medians"] for axis in (summary["x"], summary["y"])}[GOLGI]
    assert medians["RPE1"] / medians["HeLa"] == pytest.approx(3, rel=0.15)


def test_one_line_is_shown_in_physical_units(found):
    labels = {found[2][k]["feature"]: found[2][k]["label"] for k in "xy"}
    assert labels[GOLGI] == "Golgi area (µm²)"
    assert labels[DNA] == "Nuclear DNA integrated intensity (relative to field)"


def test_the_best_cut_lies_midway():
    assert discover.best_cut(np.array([4.0, 1.0, 2.0, 8.0]), np.array([True, False, False, True])) == 3.0


def test_a_measurement_that_falls_is_cut_the_other_way(tmp_path):
    cells = make_cells()
    cells["Golgi_AreaShape_Falling"] = -cells[GOLGI]
    run(tmp_path, cells)
    ranking = pd.read_csv(tmp_path / "ranking.csv").set_index("feature")
    rising, falling = ranking.loc[GOLGI], ranking.loc["Golgi_AreaShape_Falling"]
    assert falling["higher_in"] == "G1/S"
    assert falling["cut"] == pytest.approx(-rising["cut"])
    assert falling["validation_auroc"] == pytest.approx(rising["validation_auroc"])


def test_test_cells_are_turned_away(tmp_path):
    cells = make_cells()
    with pytest.raises(ValueError, match="train split"):
        discover.discover(cells, cells, ("DNA",), "CENPF", CLASSES, sureness(cells), tmp_path, 4, 10, 0, UNITS)


def test_one_class_alone_is_refused(tmp_path):
    cells = make_cells()
    with pytest.raises(InputRefused, match="both classes"):
        run(tmp_path, cells[(cells[schema.LABEL] == "G2") | (cells[schema.SPLIT] == "validation")])


def test_the_picture_is_wide_enough_to_read(found):
    header = (found[3] / "pair.png").read_bytes()[:24]
    width, height = int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")
    assert width > 1500 and height > 600


def test_the_drawn_line_ends_at_the_edges_of_the_box():
    box = ((0.0, 4.0), (0.0, 2.0))
    np.testing.assert_allclose(scatter.crossing((1.0, 1.0), -3.0, box), [[1, 2], [3, 0]])
    np.testing.assert_allclose(scatter.crossing((1.0, 0.0), -3.0, box), [[3, 0], [3, 2]])
    assert len(scatter.crossing((1.0, 1.0), 9.0, box)) == 0


def test_logarithmic_ticks_are_round_and_enough():
    assert scatter.log_ticks(0.9, 1100) == [1, 10, 100, 1000]
    assert scatter.log_ticks(0.6, 2.4) == [0.7, 1, 1.5, 2]
    assert all(4 <= len(scatter.log_ticks(low, 4 * low)) <= 8 for low in np.geomspace(0.01, 100, 40))


@pytest.fixture
def run_folder(tmp_path):
    cells = make_cells()
    files.write_table(cells, tmp_path / "data" / "cells.parquet", UNITS)
    training = {"seed": 0, "data": {"channels": ["DNA", "Golgi"], "cell_lines": []}, "discover": {"candidates": 3},
                "evaluate": {"bootstraps": 50, "confidence": 0.9}}  # fmt: skip
    config = {"training": training, "data_dir": str(tmp_path / "data"), "channels": ["DNA", "Golgi", "CENPF"],
              "classes": CLASSES, "marker": "CENPF"}  # fmt: skip
    files.write_json(tmp_path / "run" / "config.json", config)
    sure = sureness(split(cells, "validation")).rename("calibrated").rename_axis(schema.CELL_ID).reset_index()
    files.write_table(sure, tmp_path / "run" / "predictions_validation.parquet")
    return tmp_path / "run"


def test_a_run_folder_gets_its_features(run_folder):
    summary = discover.run_discover(run_folder)
    assert summary["confidence"] == 0.9
    for name in ("ranking.csv", "pairs.csv", "pair.png", "pair.json"):
        assert (run_folder / "features" / name).is_file()
    assert json.loads((run_folder / "features" / "pair.json").read_text())["sentence"] == summary["sentence"]


@pytest.mark.parametrize(
    ("name", "advice"), [("predictions_validation.parquet", "run evaluate"), ("config.json", "train")]
)
@pytest.mark.parametrize("content", [None, b"damaged"])
def test_a_run_folder_that_lacks_something_says_what_to_do(run_folder, name, advice, content):
    (run_folder / name).unlink()
    if content:
        (run_folder / name).write_bytes(content)
    with pytest.raises(StoredStateRefused, match=advice) as refused:
        discover.run_discover(run_folder)
    assert "\n" not in str(refused.value)


def test_predictions_of_other_cells_are_refused(run_folder):
    other = pd.DataFrame({schema.CELL_ID: ["x"], "calibrated": [0.9]})
    files.write_table(other, run_folder / "predictions_validation.parquet")
    with pytest.raises(StoredStateRefused, match="evaluate again"):
        discover.run_discover(run_folder)
