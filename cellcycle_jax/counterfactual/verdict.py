"""What is said of cells that were moved across to another class."""

import dataclasses
import enum

from cellcycle_jax.counterfactual.changes import Changed, in_words
from cellcycle_jax.scoring.intervals import Interval

LEAST_CROSSING = 0.5  # share of the cells that edits must move across
SIDE_EFFECT = 1.0  # standard deviations, from which it is said
CHANCE = 0.5  # area under the ROC curve of a network that tells nothing


class Verdict(enum.StrEnum):
    """What was found."""

    SHOWN = "shown"
    NOTHING = "nothing to show"


@dataclasses.dataclass(frozen=True)
class Found:
    """What is known of the cells of a class that were moved across.

    Attributes:
        auroc: of the network's margin on labelled validation cells.
        crossing: share of the rightly called cells that an edit moves across.
        changed: what changed in each family of measurements, in the order of `changes.compare`.
        n_cells, n_groups: how many cells were edited, and their groups.
        level: of the intervals.
    """

    auroc: Interval
    crossing: Interval
    changed: list[Changed]
    n_cells: int
    n_groups: int
    level: float

    @property
    def certain(self) -> list[Changed]:
        """Families in which the classes differ and the edited cells changed alike, for certain."""
        return [one for one in self.changed if one.is_certain(self.level)]

    @property
    def why_nothing(self) -> str:
        """Why there is nothing to show; "" where there is something."""
        if not self.auroc.low > CHANCE:
            return f"the network does not certainly tell the classes (AUROC {self.auroc.text()})"
        if not self.crossing.value >= LEAST_CROSSING:
            return (
                f"edits of the nucleus and the organelle move {self.crossing.percent()} of the cells across, so what "
                "the network reads is something else"
            )
        if not self.certain:
            return "what the edits changed is nothing in which the classes certainly differ"
        return ""

    @property
    def has_something(self) -> bool:
        """Whether there is something to show."""
        return not self.why_nothing

    @property
    def verdict(self) -> Verdict:
        """In a word."""
        return Verdict.SHOWN if self.has_something else Verdict.NOTHING


def sentence(found: Found, class_name: str) -> str:
    """What was found, for a reader."""
    counts = f"{found.n_cells} rightly called cells ({found.n_groups} groups)"
    if not found.has_something:
        return f"{class_name}: nothing to show for {counts}: {found.why_nothing}."
    most = found.certain[0]
    higher = "more" if most.scale.sign > 0 else "less"
    return (
        f"{class_name}: of {counts}, {found.crossing.percent()} are called otherwise after the shortest edit. Measured "
        f"again, it changes the {most.scale.family} most ({in_words(most.scale)}, {higher} of it in {class_name}): by "
        f"{most.edited.text()} standard deviations, where the classes differ by {most.class_difference.text()}; the "
        f"nearest real cells of the other class differ by {most.nearest.text()}.{_side_effect(found.changed)}"
    )


def _side_effect(changed: list[Changed]) -> str:
    """What the edits change most beyond what the classes differ by, if that is much."""
    worst = max(changed, key=lambda one: one.side_effect if one.edited.is_known else 0.0)
    if not worst.edited.is_known or worst.side_effect < SIDE_EFFECT:
        return ""
    return (
        f" A side effect: the {worst.scale.family} changes by {worst.edited.text()}, where the classes differ by "
        f"{worst.class_difference.text()}; no real cell need look like that."
    )
