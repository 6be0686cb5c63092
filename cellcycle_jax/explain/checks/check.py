"""What a check of an explanation is: a question to the network, and a judgement of the results.

A file of this room holds a question, what it computes, and the checks that judge the results; `all_checks.CHECKS` lists
them. Several checks may judge the results of one question, which is asked once.
"""

import dataclasses
from collections.abc import Callable

from cellcycle_jax.explain.regions.explained_cells import ExplainedCells
from cellcycle_jax.runs import trained_run


@dataclasses.dataclass(frozen=True)
class Question:
    """What the network is asked.

    Attributes:
        key: name of the results in RUN/explain/checks.json.
        ask: `Evidence` -> the results, which `files.to_json` can write.
    """

    key: str
    ask: Callable


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What the results say of an explanation.

    Attributes:
        passed: None where it cannot be said.
        sentence: why, for a reader.
        alarm: whether it is certain that the network can predict the class from something that is not the cell.
        asked: whether the question could be asked at all.
    """

    passed: bool | None
    sentence: str
    alarm: bool = False
    asked: bool = True


@dataclasses.dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: what is true of an explanation that passes.
        question: whose results are judged.
        judge: (results, what `passport.make_passport` calls about) -> `Judgement`.
        needed: whether the verdict is "caution" unless this check is passed.
    """

    name: str
    question: Question
    judge: Callable
    needed: bool = False


class Evidence:
    """What checks stand on: the explained cells, other runs to compare with, and the results so far."""

    def __init__(self, cells: ExplainedCells, others: tuple[trained_run.Run, ...] = ()):
        """Nothing is asked yet; `others` differ from the run of the cells in seed or permuted labels only."""
        self.cells = cells
        self.others = tuple(others)
        self._results = {}

    def results(self, question: Question) -> dict:
        """The results of a question, which is asked when they are wanted for the first time."""
        if question.key not in self._results:
            self._results[question.key] = question.ask(self)
        return self._results[question.key]
