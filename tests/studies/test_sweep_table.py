"""The table and the figures of a study, from predictions whose scores are known."""

import dataclasses

import matplotlib.text
import numpy as np
import pytest

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.scoring.intervals import Resampling
from cellcycle_jax.studies import sweep_figures, sweep_scores, sweep_table
from tests import tiny
from tests.study_runs import planted_predictions


def result_of(tested, scores, **options):
    names = {row: of for row, of in tested.rows.items()}
    found = sweep_scores.score(tested, {n: [n] for of in names.values() for n in of}, scores, Resampling(0.95, 0))
    return {"split": "validation", "rows": "trained on", "scores": scores, "reference": tested.reference,
            "interval_level": 0.95, "classes": tiny.CLASSES, "group_by": "field", "results": found, "members": names,
            "diverged": {}, "notes": ["a note"], "seconds": 7.0} | options


def test_a_matrix_says_which_line_was_trained_on():
    tested = planted_predictions({"HeLa": ["b"], "good": ["a"]})
    result = result_of(tested, ("auroc",), columns="cell lines",
                       trained_on={"HeLa": ["HeLa"], "good": ["HeLa", "RPE1"]})
    text = sweep_table.markdown("mine", result)
    assert "| HeLa | 1.000 (0.476 to 1.000), 1.000 to 1.000 | 0.000 (0.000 to 0.524), 0.000 to 0.000 * |" in text
    assert text.count(" * |") == 1 and "tested on RPE1 (12 cells, 6 groups)" in text
    figure = sweep_figures.draw(result)["auroc"]
    said = [t.get_text() for t in figure.axes[0].texts]
    assert said[:2] == ["1.000\n0.476–1.000", "0.000\n0.000–0.524"] and len(figure.axes[0].patches) == 1


def test_a_matrix_of_too_few_groups_promises_no_interval():
    tested = planted_predictions({"HeLa": ["b"], "good": ["a"]})
    few = np.isin(tested.crops.group_id, np.unique(tested.crops.group_id)[:3])
    tested = dataclasses.replace(tested, crops=crop_arrays.take(tested.crops, np.flatnonzero(few)),
                                 probs={name: prob[few] for name, prob in tested.probs.items()})
    for cells, promised in ((tested, False), (planted_predictions({"HeLa": ["b"], "good": ["a"]}), True)):
        result = result_of(cells, ("auroc",), columns="cell lines",
                           trained_on={"HeLa": ["HeLa"], "good": ["HeLa", "RPE1"]})
        said = " ".join(text.get_text() for text in sweep_figures.draw(result)["auroc"].findobj(matplotlib.text.Text))
        assert ("95 % interval" in said) == promised


def test_a_line_without_a_class_has_a_dash_and_is_named():
    tested = planted_predictions({"HeLa": ["b"], "good": ["a"]})
    kept = np.flatnonzero((tested.crops.cell_line == "HeLa") | (tested.crops.label == 0))
    tested = dataclasses.replace(tested, crops=crop_arrays.take(tested.crops, kept),
                                 probs={name: prob[kept] for name, prob in tested.probs.items()})
    for columns, said in (("cell lines", True), ("scores", False)):
        result = result_of(tested, ("auroc",), columns=columns, trained_on={"HeLa": ["HeLa"], "good": ["HeLa", "RPE1"]})
        text = sweep_table.markdown("mine", result)
        assert ("RPE1 without G2. A score" in text) == said and "nan" not in text and "not known" not in text
        assert ("to 1.000 | - * |" in text and "to 1.000 | - |" in text) == said
        sweep_figures.draw(result)


def test_a_table_of_scores_has_seeds_and_differences():
    tested = planted_predictions({"mixed": ["a", "b"], "good": ["a"]})
    result = result_of(tested, ("auroc",), columns="scores", trained_on={"mixed": ["HeLa"], "good": ["HeLa"]},
                       diverged={"x": 3})
    text = sweep_table.markdown("mine", result)
    assert "| mixed | 2 | 0.750 (" in text
    assert "0.500 to 1.000 | -0.250 |" in text  # the same without any group, so it has no interval
    assert "x (step 3)" in text
    figure = sweep_figures.draw(result)["scores"]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["mixed", "good"] and len(figure.axes) == 2


@pytest.mark.parametrize(
    ("p", "words"),
    [(0.0213, "+0.100 (+0.050 to +0.150), p = 0.021"), (0.0004, "+0.100 (+0.050 to +0.150), p < 0.001"),
     (None, "+0.100 (+0.050 to +0.150)")],
)
def test_a_difference_says_how_probable_it_is_by_chance(p, words):
    assert sweep_table._difference({"value": 0.1, "low": 0.05, "high": 0.15, "p": p}) == words


def test_a_score_whose_chance_is_zero_is_not_drawn_as_a_difference():
    tested = planted_predictions({"mixed": ["a", "b"], "good": ["a"]})
    result = result_of(tested, ("mcc",), columns="scores", trained_on={"mixed": ["HeLa"], "good": ["HeLa"]})
    own, lead = sweep_figures.draw(result)["scores"].axes
    assert "dotted: chance" in own.get_xlabel() and "1.000" in [text.get_text() for text in own.texts]
    assert "dotted: no difference" in lead.get_xlabel()
