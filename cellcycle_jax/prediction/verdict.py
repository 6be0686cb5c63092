"""What is known of the worth of a trained network, said again with every prediction.

It comes from the passport that `explain` makes and from the scores of `evaluate`. Of a network that is at chance, or
that predicts the class from something that is not the cell, no prediction is a decision unless the user insists.
"""

import dataclasses
import math

from cellcycle_jax.scoring.intervals import Interval

CHANCE = "chance"
SHORTCUT = "shortcut"
NOT_EXPLAINED = "not explained"
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
        "status": passport["status"],
        "sentence": passport["verdict"][0],
        "score": score["sentence"],
        "step": passport["step"],
        "run_id": passport["run_id"],
    }


def verdict_of(explained: dict | None, validation: dict, classes) -> Verdict:
    """The verdict on a predictor.

    Args:
        explained: what `summary_of` kept, None where the run was not explained, or other weights of it were.
        validation: its scores on fields that it was not trained on.
        classes: names of the P classes.
    """
    score = Interval.of(validation["balanced_accuracy"])
    n_cells = validation["n_cells"]
    n_groups = validation["n_groups"]
    chance = 1 / len(classes)
    if math.isnan(score.value):
        return Verdict(CHANCE, "Its accuracy is not known, since no validation cell has a label.", True)
    accuracy = f"Balanced accuracy {score.value:.2f} on {n_cells:,} validation cells"
    if explained and explained["status"] in (CHANCE, SHORTCUT):
        return Verdict(explained["status"], f"{explained['sentence']} {accuracy}.", True)
    doubt = ""
    if not score.is_known:
        # No interval at all: even that of independent cells, the narrowest there could be, has to exclude chance.
        if not score.value - _widest_error(n_cells) > chance:
            words = "which cannot be distinguished from chance, not even if each cell counted by itself"
            return Verdict(CHANCE, f"{accuracy}, of {n_groups} groups, {words}.", True)
        doubt = f", of {n_groups} groups: too few to distinguish it from chance"
    elif score.low <= chance:
        bounds = f"({score.low:.2f} to {score.high:.2f})"
        return Verdict(CHANCE, f"{accuracy} {bounds}, which cannot be distinguished from chance.", True)
    if explained is None:
        words = "Whether it uses the cell was not tested (`launch.py explain`)."
        return Verdict(NOT_EXPLAINED, f"{words} {accuracy}{doubt}.", False)
    return Verdict(explained["status"], f"{explained['sentence']} {accuracy}{doubt}.", False)


def _widest_error(n_cells: int) -> float:
    """Half of the widest 95 % interval that a share of so many independent cells can have."""
    return 1.96 * 0.5 / math.sqrt(n_cells) if n_cells else math.inf
