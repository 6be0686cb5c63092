import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.report import sentences

MAIN_SCORE = "balanced_accuracy"


def score(value, low, high):
    return {"value": value, "low": low, "high": high}


def evaluation(difference):
    return {
        "split": "validation",
        "n_cells": 1812,
        "n_fields": 18,
        "n_groups": 4,
        "group_by": "field",
        "interval_level": 0.95,
        "model": {MAIN_SCORE: score(0.9, 0.88, 0.92)},
        "differences": {"nuclear_area": {MAIN_SCORE: difference}},
        "baselines": {
            "nuclear_area": {MAIN_SCORE: score(0.8, 0.78, 0.82)},
            "integrated_dna": {MAIN_SCORE: score(0.7, 0.6, 0.8)},
        },
    }


def table():
    rows = [("f1", "train", "", "G2", "HeLa"), ("f1", "train", "", "", "HeLa"), ("f2", "test", "", "G1/S", ""),
            ("f2", "validation", "out_of_focus", "", "HeLa")]
    columns = [schema.FIELD, schema.SPLIT, schema.REJECT_REASON, schema.LABEL, schema.CELL_LINE]
    return pd.DataFrame(rows, columns=columns).assign(**{schema.GROUP: lambda cells: cells[schema.FIELD]})


@pytest.mark.parametrize(
    ("value", "shown"), [(0.93174, "0.932"), (-0.5, "\N{MINUS SIGN}0.500"), (None, "–"), (float("nan"), "–")]
)
def test_a_score_has_three_decimals_or_is_a_dash(value, shown):
    assert sentences.number(value) == shown


def test_a_result_of_other_weights_is_named_and_one_of_unknown_weights_is_not():
    assert sentences.outdated({"step": 30}, 60, "a") == (
        "Caution: this is of the weights after step 30, but the weights that the run kept are those after step 60.")
    assert sentences.outdated({"step": 60, "run_id": "b"}, 60, "a") == "Caution: this was made in another run (b)."
    for made, best in (({"step": 60, "run_id": "a"}, 60), ({"step": 60}, None), ({}, 60), (None, 60)):
        assert sentences.outdated(made, best, "a") is None


def test_an_interval_stands_in_brackets_unless_there_is_none():
    assert sentences.interval_words(score(0.9, 0.88, 0.92)) == "0.900 (0.880 to 0.920)"
    assert sentences.interval_words(score(0.9, 0.88, 0.92), 0.95) == "0.900 (95 % interval 0.880 to 0.920)"
    assert sentences.interval_words(score(0.9, None, None)) == "0.900 (too few groups for an interval)"


@pytest.mark.parametrize(
    ("gap", "verdict"),
    [(score(0.1, 0.05, 0.2), "the network is better"), (score(-0.1, -0.2, -0.05), "the network is worse"),
     (score(0.1, 0.05, 0.2) | {"p": 0.06}, "the two cannot be distinguished once all comparisons with "
                                           "baselines count (p = 0.06)"),
     (score(0.1, -0.1, 0.2), "the two cannot be distinguished (a difference of 0.215 would be seen in four of five "
                             "such experiments)")],
)
def test_the_verdict_is_what_the_interval_of_the_difference_allows(gap, verdict):
    sentence = sentences.summary(evaluation(gap), None, None)[0]
    assert "On 1,812 cells from 18 fields of the validation split" in sentence
    assert "the best baseline (Nuclear area) reaches 0.800 (0.780 to 0.820)" in sentence
    assert sentence.endswith(f"says that {verdict}.")


def test_what_is_not_known_yet_is_said_to_be_so():
    assert [sentence.split()[-1] for sentence in sentences.summary(None, None, None)] == ["yet."] * 3


def test_groups_are_named_where_they_are_not_the_fields():
    assert sentences.counts(evaluation(None)) == "1,812 cells from 18 fields"
    assert sentences.counts({**evaluation(None), "group_by": "well"}) == "1,812 cells from 18 fields (4 groups: well)"


def test_cells_are_counted_by_class_line_and_split():
    found = sentences.cell_tables(table(), quarantined=2)
    assert [found[name] for name in ("objects", "fields", "used", "labelled", "excluded")] == [4, 2, 3, 2, 2]
    assert found["classes"]["columns"] == ["Class", "train", "test", "all"]
    assert found["classes"]["rows"] == [("G1/S", 0, 1, 1), ("G2", 1, 0, 1), (sentences.ABSTAINED, 1, 0, 1)]
    assert found["lines"]["rows"] == [("HeLa", 2, 0, 2), ("not named", 0, 1, 1)]
    assert found["rejected"] == [("out of focus", 1, "25.0 %")]


def test_the_title_of_training_counts_labelled_cells_of_the_splits_it_uses():
    assert sentences.training_title(table()) == "Train: 1 labelled cells in 1 groups"


def test_a_feature_row_has_a_readable_name_and_unit():
    row = {"feature": schema.NUCLEAR_AREA, "cut": 151.31, "unit": "um^2", "higher_in": "G2", "n_validation": 8,
           "validation_auroc": 0.9, "low": 0.8, "high": float("nan"), "validation_balanced_accuracy": 0.7}
    shown = sentences.feature_row(row)
    assert (shown["name"], shown["cut"], shown["n"]) == (schema.readable(schema.NUCLEAR_AREA), "151.3 µm²", 8)
    assert shown["auroc"] == {"value": 0.9, "low": 0.8, "high": None}
    assert sentences.feature_row({"feature": schema.NUCLEAR_AREA})["cut"] == "–"


def test_a_pair_row_keeps_both_names_and_both_scores():
    row = {"feature_x": schema.NUCLEAR_AREA, "feature_y": "Cells_AreaShape_ObjectArea_Golgi", "abs_spearman": 0.2,
           "validation_auroc": 0.9, "auroc_low": 0.8, "auroc_high": 0.95, f"validation_{MAIN_SCORE}": 0.7,
           f"{MAIN_SCORE}_low": 0.6, f"{MAIN_SCORE}_high": 0.8}
    shown = sentences.pair_row(row)
    assert shown["y"] == "Golgi area" and shown["spearman"] == 0.2
    assert shown["auroc"] == score(0.9, 0.8, 0.95) and shown["accuracy"] == score(0.7, 0.6, 0.8)


def test_baselines_that_are_the_label_itself_are_not_the_rival():
    whole = evaluation(score(0.1, 0.05, 0.15))
    whole["baselines"]["integrated_dna"] = {MAIN_SCORE: score(1.0, 1.0, 1.0)}
    assert "1.000" in sentences.summary(whole, None, None)[0]
    said = sentences.summary(whole | {"circular": ["integrated_dna"]}, None, None)[0]
    assert "1.000" not in said and "0.800" in said and "not counted" in said


def test_of_the_passport_the_first_three_sentences_are_told():
    verdict = ["Trust it.", "It looks there.", "It follows size.", "A hint.", "A flaw."]
    said = sentences.summary(None, {"verdict": verdict}, None)
    assert said[1] == "Trust it. It looks there. It follows size."
    assert sentences.summary(None, {"verdict": ["Nothing to explain."]}, None)[1] == "Nothing to explain."


def test_without_an_interval_the_answer_begins_with_that_and_compares_nothing():
    few = evaluation(score(-0.4, None, None)) | {"n_groups": 3}
    few["model"] = {MAIN_SCORE: score(0.5, None, None)}
    sentence = sentences.summary(few, None, None)[0]
    assert sentence.startswith("Too few groups to say how good the network is. On 1,812 cells")
    assert "baseline" not in sentence and "better" not in sentence and "worse" not in sentence


@pytest.mark.parametrize(("source", "shown", "scale", "warned"), [
    ("DNA", ["DNA", "Golgi"], "reference", True), ("DNA", ["Golgi"], "reference", False),
    ("DNA", ["DNA"], "nucleus_max", False), ("", ["DNA"], "reference", False)])
def test_labels_made_of_a_brightness_that_the_network_sees_are_said_first(source, shown, scale, warned):
    record = {"channels": shown, "training": {"data": {"scale": scale}}}
    said = sentences.warnings({"sizes": ["Small."], "labels_are_intensity_of": source}, record)
    assert said[0] == "Small." and (len(said) == 2) == warned
    assert not warned or "made from the brightness of DNA" in said[1]


def test_doubts_of_the_labels_are_said_before_any_score():
    record = {"channels": ["DNA"], "training": {"data": {"scale": "reference"}}}
    said = sentences.warnings({"sizes": ["Small."], "label_doubts": ["Plate P has one hump."]}, record)
    assert said == ["Small.", "The labels are in doubt: Plate P has one hump."]


def test_without_a_data_set_nothing_is_warned_of():
    assert sentences.warnings({}, {"channels": ["DNA"], "training": {"data": {"scale": "reference"}}}) == []
