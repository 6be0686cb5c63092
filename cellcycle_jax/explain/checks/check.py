"""What a check of an explanation is: a question to the network, and a judgement of the results.

A file of this room holds a question, what it computes, and the checks that judge the results; `all_checks.CHECKS` lists
them. Several checks may judge the results of one question, which is asked once.
"""

import dataclasses
import enum
import functools
from collections.abc import Callable

from cellcycle_jax.explain.checks import compared_cells
from cellcycle_jax.explain.regions.explained_cells import ExplainedCells
from cellcycle_jax.runs import trained_run


class Answer(enum.StrEnum):
    """What a check answers."""

    PASSED = "passed"  # by evidence: what is bad is certainly less than its limit
    FAILED = "failed"
    UNKNOWN = "unknown"  # too few cells to tell, or something is missing that it takes to ask
    IMPOSSIBLE = "impossible"  # what is asked about cannot arise in these data

    @classmethod
    def of(cls, passed: bool | None) -> "Answer":
        """PASSED of True, FAILED of False, UNKNOWN of None."""
        if passed is None:
            return cls.UNKNOWN
        return cls.PASSED if passed else cls.FAILED


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
        answer: of the four.
        sentence: why, for a reader.
        alarm: whether it is certain that the network can predict the class from something that is not the cell.
        remedy: of what is not known, a sentence: which data would tell; "" where none can be named.
    """

    answer: Answer
    sentence: str
    alarm: bool = False
    remedy: str = ""


@dataclasses.dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: what is true of an explanation that passes.
        question: whose results are judged.
        judge: (results, what `passport.make_passport` calls about) -> `Judgement`.
        needed: whether the verdict is "caution" where the answer is not known.
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

    @functools.cached_property
    def compared(self) -> compared_cells.ComparedCells:
        """Labelled validation cells with the network's margins, more of them than are explained."""
        return compared_cells.compare(self.cells.run)

    def results(self, question: Question) -> dict:
        """The results of a question, which is asked when they are wanted for the first time."""
        if question.key not in self._results:
            self._results[question.key] = question.ask(self)
        return self._results[question.key]
