import json

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.features import rule
from cellcycle_jax.features.feature_axes import FeatureAxis
from cellcycle_jax.scoring.intervals import Resampling

AREA = "Nuclei_AreaShape_Area"
SPOTS = "Cells_Number_Spots_Golgi"
AXES = {
    AREA: FeatureAxis(AREA, True, False, {}, 100.0, "um^2"),
    SPOTS: FeatureAxis(SPOTS, False, False, {}, 5.0, ""),
}
RESAMPLING = Resampling(0.95, 0)


def make(n=800, seed=0):
    """Cells of class b where the area is above 120 and there are more than 5 spots; nothing else counts."""
    rng = np.random.default_rng(seed)
    shown = pd.DataFrame({
        AREA: rng.uniform(80, 160, n),
        SPOTS: rng.integers(0, 11, n).astype(float),
        "Nuclei_Texture_Noise": rng.normal(size=n),
    })
    label = np.where((shown[AREA] > 120) & (shown[SPOTS] > 5), "b", "a")
    groups = np.array([f"w{k}" for k in rng.integers(0, 12, n)])
    return shown, label, groups


def test_a_planted_rule_of_two_cuts_is_found_with_its_values():
    shown, label, _ = make()
    found = rule.grow(shown, label, 2)
    cuts = {cut.measurement: cut.value for cut in found.first.cuts}
    assert set(cuts) == {AREA, SPOTS}
    assert cuts[AREA] == pytest.approx(120, abs=1)
    assert cuts[SPOTS] == pytest.approx(5.5)


def test_calls_follow_the_sentences_by_hand():
    found = rule.grow(*make()[:2], 2)
    cells = pd.DataFrame({AREA: [130.0, 130.0, 90.0, np.nan], SPOTS: [9.0, 2.0, 9.0, 9.0]})
    # The median area, that the last cell is taken to have, lies near 120.
    assert found.calls(cells)[:3].tolist() == ["b", "a", "a"]
    filled = cells.fillna({AREA: found.medians[AREA]})
    assert found.calls(cells)[3] == found.calls(filled)[3]
    ways = found.sentences(AXES)
    assert len(ways) == 3
    positive = [way for way in ways if way.startswith("b where")]
    assert len(positive) == 1
    assert "Nuclear area > 1" in positive[0] and "um^2" in positive[0]
    assert "Golgi spot count > 5.5" in positive[0]


def test_the_shortest_rule_that_keeps_enough_is_chosen():
    shown, label, groups = make()
    rules = rule.grow_all(shown, label)
    new, new_label, new_groups = make(seed=1)
    compared = [rule.compare(one.calls(new), new_label, new_label, new_groups, RESAMPLING) for one in rules]
    chosen = rule.choose(rules, compared)
    assert chosen.is_enough
    assert len(chosen.rule.first.cuts) == 2
    assert compared[0].kept.value < rule.KEPT
    assert "A rule of 2 cuts keeps" in rule.describe(chosen)


def test_where_no_rule_is_enough_its_cost_is_said():
    shown, label, groups = make()
    # A diagonal that no four cuts follow.
    label = np.where(shown[AREA] / 80 + shown[SPOTS] / 10 + shown["Nuclei_Texture_Noise"] > 2, "b", "a")
    rules = rule.grow_all(shown, label)
    compared = [rule.compare(one.calls(shown), label, label, groups, RESAMPLING) for one in rules]
    chosen = rule.choose(rules, compared)
    assert not chosen.is_enough
    assert chosen.number == int(np.argmax([one.kept.value for one in compared]))
    cost = round(100 * (1 - compared[chosen.number].accuracy.value))
    assert f"costs {cost} points" in rule.describe(chosen)


def test_accuracies_and_their_quotient_are_those_known_by_hand():
    label = np.array(["a"] * 8 + ["b"] * 4)
    called = np.array(["a"] * 6 + ["b"] * 2 + ["b"] * 4)  # (6/8 + 1) / 2 = 0.875
    predicted = np.array(["a"] * 8 + ["b"] * 2 + ["a"] * 2)  # (1 + 2/4) / 2 = 0.75
    compared = rule.compare(called, predicted, label, np.arange(12).astype(str), RESAMPLING)
    assert compared.accuracy.value == pytest.approx(0.875)
    assert compared.of_network.value == pytest.approx(0.75)
    assert compared.kept.value == pytest.approx(0.875 / 0.75)
    assert (compared.n_cells, compared.n_groups) == (12, 12)


def test_a_cut_whose_sides_are_called_alike_is_none():
    rng = np.random.default_rng(0)
    shown = pd.DataFrame({AREA: rng.uniform(80, 160, 400)})
    label = np.where(shown[AREA] > 120, "b", "a")
    for found in rule.grow_all(shown, label):
        assert len(found.first.cuts) == 1


def test_nothing_is_found_where_one_class_is_called_everywhere():
    shown = pd.DataFrame({AREA: np.full(100, 1.0)})
    assert rule.grow_all(shown, np.array(["a", "b"] * 50)) == []


def test_three_classes_are_told_by_two_cuts():
    rng = np.random.default_rng(0)
    shown = pd.DataFrame({AREA: rng.uniform(80, 160, 600)})
    label = np.array(["a", "b", "c"])[np.digitize(shown[AREA], [100, 140])]
    found = rule.grow(shown, label, 2)
    assert sorted(cut.value for cut in found.first.cuts) == [pytest.approx(100, abs=1), pytest.approx(140, abs=1)]
    assert found.calls(pd.DataFrame({AREA: [90.0, 120.0, 150.0]})).tolist() == ["a", "b", "c"]


def test_files_say_the_same_as_the_rule(tmp_path):
    shown, label, groups = make()
    rules = [rule.grow(shown, label, 2)]
    compared = [rule.compare(rules[0].calls(shown), label, label, groups, RESAMPLING)]
    chosen = rule.choose(rules, compared)
    rows = pd.DataFrame({
        schema.CELL_ID: [f"c{k}" for k in range(len(shown))],
        schema.FIELD: groups,
        schema.CENTRE_Y: 1.0,
        schema.CENTRE_X: 2.0,
        schema.SPLIT: "train",
        schema.LABEL: label,
    })
    cells = rule.columns(chosen.rule, rows, shown, ("a", "b"))
    rule.write(chosen, AXES, cells, None, tmp_path, {"step": 7})
    written = pd.read_csv(tmp_path / "rule_cells.csv")
    is_b = (written[f"Rule_{AREA}"] > 120) & (written[f"Rule_{SPOTS}"] > 5)
    assert (written["Rule_Is_b"] == is_b.astype(int)).mean() > 0.99
    assert (written[rule.RULE_CLASS] == "b").tolist() == (written["Rule_Is_b"] == 1).tolist()
    record = json.loads((tmp_path / "rule.json").read_text())
    assert record["step"] == 7
    assert record["test"] is None
    node = record["rule"]
    called = []
    for cell in shown.to_dict("records"):
        at = node
        while "class" not in at:
            at = at["above"] if cell[at["measurement"]] > at["cut"] else at["otherwise"]
        called.append(at["class"])
    assert called == chosen.rule.calls(shown).tolist()
    text = (tmp_path / "rule.txt").read_text()
    assert all(sentence in text for sentence in record["sentences"])
