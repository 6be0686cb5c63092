"""What the page shows of what has no name and of counterfactuals."""

from cellcycle_jax.report import explanations


def interval(value):
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


CONCEPT = {
    "network": 2,
    "channel": "DNA",
    "region": "nucleus",
    "share": interval(0.9),
    "stability": interval(0.66),
    "removal": interval(-0.17),
    "nearest": "shift towards the Golgi",
    "follows": interval(0.73),
}


def test_each_concept_has_a_row_with_its_numbers_in_words(tmp_path):
    result = {"sentence": "So much.", "cell_lines": {}, "proposals": [], "figures": "b", "concepts": [CONCEPT]}
    (section,) = explanations.unnamed(tmp_path, {"results": [result]})
    (row,) = section["concepts"]
    assert row["share"] == "90 % (85 to 95)"
    assert row["removal"] == "-0.17 (-0.22 to -0.12)"
    assert row["place"] == "DNA, nucleus" and row["network"] == 2
    assert row["picture"] is None


def test_results_of_before_there_were_concepts_are_shown(tmp_path):
    result = {"sentence": "So much.", "cell_lines": {}, "proposals": [], "figures": "b"}
    (section,) = explanations.unnamed(tmp_path, {"results": [result]})
    assert section["concepts"] == []


def test_other_networks_are_told_in_per_cent(tmp_path):
    result = {"sentence": "So much.", "figures": "b", "crossing_of_others": [interval(0.9), {"value": None}]}
    (section,) = explanations.counterfactual(tmp_path, {"results": [result]})
    assert section["others"][0] == "90 % (85 to 95)"
    assert section["others"][1] == "an unknown share"
    assert section["cells"] is None


def test_nothing_is_shown_where_nothing_was_asked(tmp_path):
    assert explanations.unnamed(tmp_path, None) == explanations.counterfactual(tmp_path, None) == []
