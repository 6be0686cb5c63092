"""What `prepare` doubts of the labels costs an explanation its trust."""

import pytest

from cellcycle_jax import files
from cellcycle_jax.explain.checks import labels_in_doubt
from cellcycle_jax.explain.checks.check import Answer


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


def test_the_doubts_of_a_data_set_reach_evaluation_and_passport(trained):
    run, data = trained
    expected = files.read_json(data / "provenance.json")["label_doubts"]
    assert expected  # the few cells of the data set for tests
    evaluation = files.read_json(run / "evaluation_validation.json")
    assert evaluation["label_doubts"] == expected
    assert [note for note in evaluation["notes"] if note.startswith("Labels are in doubt: ")] == [
        f"Labels are in doubt: {doubt}" for doubt in expected
    ]
