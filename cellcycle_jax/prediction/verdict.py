"""What is known of the worth of a trained network, said again with every prediction.

It comes from the passport that `explain` makes and from the scores of `evaluate`. Of a network that is at chance, or
that tells the classes by something that is not the cell, no prediction is a decision unless the user insists.
"""

import dataclasses
import math

CHANCE, SHORTCUT, NOT_EXPLAINED = "chance", "shortcut", "not explained"
WITHHELD = "not relied on"  # why a cell gets no decision
INSIST = "--decide_anyway"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the passport says, or that there is none, and whether predictions are decisions."""

    status: str  # of the passport, or 'not explained'
    sentence: str
    withhold: bool  # whether no prediction is a decision

    @property
    def words(self) -> str:
        """The verdict as a line on the terminal."""
        return f"verdict on this network: {self.status.replace('_', ' ')}. {self.sentence}"


def summary_of(passport: dict) -> dict:
    """What a predictor keeps of a passport."""
    score = next(check for check in passport["checks"] if check["name"].startswith("score"))
    return {
        "status": passport["status"], "sentence": passport["verdict"][0], "score": score["sentence"],
        "step": passport["step"], "run_id": passport["run_id"],
    }  # fmt: skip


def verdict_of(explained: dict | None, validation: dict, classes) -> Verdict:
    """The verdict on a predictor.

    Args:
        explained: what `summary_of` kept, None where the run was not explained, or other weights of it were.
        validation: its scores on fields that it was not trained on.
        classes: names of the P classes.
    """
    score = validation["balanced_accuracy"]
    low, chance = score.get("low"), 1 / len(classes)
    known = f"Balanced accuracy {score['value']:.2f} on {validation['n_cells']:,} validation cells"
    if explained and explained["status"] in (CHANCE, SHORTCUT):
        return Verdict(explained["status"], f"{explained['sentence']} {known}.", True)
    if low is not None and low <= chance:
        return Verdict(CHANCE, f"{known} ({low:.2f} to {score['high']:.2f}), which cannot be told from chance.", True)
    if low is None and score["value"] - _widest_error(validation["n_cells"]) <= chance:
        return Verdict(CHANCE, f"{known}, of {validation['n_groups']} groups, which cannot be told from chance, not "
                       "even if each cell counted by itself.", True)
    doubt = "" if low is not None else f", of {validation['n_groups']} groups: too few to tell it from chance"
    if explained is None:
        return Verdict(NOT_EXPLAINED, f"Whether it reads the cell was not asked (`launch.py explain`). {known}{doubt}.",
                       False)  # fmt: skip
    return Verdict(explained["status"], f"{explained['sentence']} {known}{doubt}.", False)


def _widest_error(n_cells: int) -> float:
    """Half of the widest 95 % interval that a share of so many independent cells can have."""
    return 1.96 * 0.5 / math.sqrt(n_cells) if n_cells else math.inf
