"""Are the labels, by which everything else is judged, in doubt themselves?

`prepare` asks that of the labels that it makes, and writes its doubts into provenance.json.
"""

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question

# What holds of labels without a doubt, by how they were made; labels made otherwise were given, not worked out.
SOUND = {
    "marker": "The marker of each plate with labels shows two humps",
    "two_markers": "Both markers of each plate with labels show two humps",
    "dna_content": "The G1 peak of each field with labels is the only likely one, and fits those of its plate",
}


def ask(evidence: Evidence) -> dict:
    """What `prepare` said of the labels: method, and doubts, None of a data set of an earlier version."""
    made = crop_arrays.provenance(evidence.cells.run.data_dir)
    return {"method": made["config"]["labels"]["method"], "doubts": made["label_doubts"]}


def judge(results: dict, about: dict) -> Judgement:
    """Passed where `prepare` doubted no label that it made."""
    doubts = results["doubts"]
    if doubts is None:
        return Judgement(
            Answer.UNKNOWN,
            "An earlier version prepared the cells, and did not ask whether their labels are in doubt.",
            remedy="Prepare the data set again with `launch.py prepare`.",
        )
    if doubts:
        return Judgement(
            Answer.UNKNOWN,
            " ".join(doubts),
            remedy="Cells whose labels are beyond that doubt would tell.",
        )
    if results["method"] not in SOUND:
        return Judgement(Answer.IMPOSSIBLE, "The labels were given, not worked out from intensities.")
    return Judgement(Answer.PASSED, f"{SOUND[results['method']]}, and no split has few cells of a class.")


QUESTION = Question("labels", ask)
CHECK = Check("the labels are not in doubt", QUESTION, judge, needed=True)
