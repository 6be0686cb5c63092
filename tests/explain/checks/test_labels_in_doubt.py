"""What `prepare` doubts of the labels costs an explanation its trust."""

import types

import pytest

from cellcycle_jax.explain.checks import labels_in_doubt
from cellcycle_jax.explain.checks.check import Answer, Evidence
from tests import tiny


def judged(method, doubts):
    return labels_in_doubt.judge({"method": method, "doubts": doubts}, {})


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("marker", "The marker of each plate with labels shows two humps"),
        ("two_markers", "Both markers of each plate"),
        ("dna_content", "The G1 peak of each field"),
    ],
)
def test_labels_that_prepare_made_and_did_not_doubt_pass(method, words):
    judgement = judged(method, [])
    assert judgement.answer is Answer.PASSED and judgement.sentence.startswith(words) and not judgement.alarm


@pytest.mark.parametrize("method", ["column", "folder", "my_labels:by_hand"])
def test_labels_that_were_given_cannot_be_doubted(method):
    assert judged(method, []).answer is Answer.IMPOSSIBLE


@pytest.mark.parametrize("method", ["marker", "folder"])
def test_each_doubt_is_named_and_none_is_an_alarm(method):
    judgement = judged(method, ["Plate A has one hump.", "Few cells of B."])
    assert judgement.answer is Answer.UNKNOWN and not judgement.alarm
    assert judgement.sentence == "Plate A has one hump. Few cells of B."
    assert judgement.remedy == "Cells whose labels are beyond that doubt would tell."


def test_data_of_an_earlier_version_are_not_taken_for_sound():
    judgement = judged("marker", None)
    assert judgement.answer is Answer.UNKNOWN and judgement.remedy.endswith("`launch.py prepare`.")
    assert labels_in_doubt.CHECK.needed


def test_it_asks_the_data_set_of_the_run(tmp_path):
    tiny.write_provenance(tmp_path, label_doubts=["Few cells of G2."])
    cells = types.SimpleNamespace(run=types.SimpleNamespace(data_dir=tmp_path))
    assert labels_in_doubt.ask(Evidence(cells)) == {"method": "marker", "doubts": ["Few cells of G2."]}
