"""What a study is: runs that differ in a few config fields, what they are called, and how their result is read."""

import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Callable

from cellcycle_jax.errors import UsageError
from cellcycle_jax.scoring import metrics

COLUMNS = ("scores", "cell lines")
LONGEST = 80  # characters of a run's name; of a longer one the rest becomes a hash


@dataclasses.dataclass(frozen=True)
class Data:
    """What a study can choose from: what the data set holds, or the part of it that the config names."""

    channels: tuple[str, ...]  # that may be shown to a model
    cell_lines: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """How the result of a study is read. Runs that differ in nothing but their seed are one row."""

    rows: str  # what a row is, in words
    columns: str = "scores"  # 'scores', beside the baselines; 'cell lines': a column for each line that is tested on
    scores: tuple[str, ...] = ("auroc", "balanced_accuracy")  # names of metrics.METRICS, the most important one first
    compare_with_last: bool = False  # also show each row minus the last one

    def __post_init__(self):
        if self.columns not in COLUMNS:
            raise ValueError(f"columns={self.columns!r}: allowed: {', '.join(COLUMNS)}")
        if unknown := [name for name in self.scores if name not in metrics.METRICS]:
            raise ValueError(f"scores: {unknown[0]!r} is no score; allowed: {', '.join(metrics.METRICS)}")


@dataclasses.dataclass(frozen=True)
class Study:
    """A study file, read."""

    path: pathlib.Path
    config: object  # the training config that all runs share
    table: Table
    choose: Callable  # Data -> [(changes {field: value}, training config)], one for each run

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.path.stem


@dataclasses.dataclass(frozen=True)
class Member:
    """One run of a study."""

    name: str  # also that of its folder
    row: str  # what it is called in the table, without its seed
    changes: dict  # config field -> value
    config: object  # its training config


def members(study: Study, data: Data) -> list[Member]:
    """The runs of a study on a data set, in the order of the study.

    Raises:
        UsageError: there is none.
    """
    chosen = study.choose(data)
    if not chosen:
        raise UsageError(f"--config={study.path}: sweep(data) gives no run for channels {', '.join(data.channels)} and "
                         f"cell lines {', '.join(data.cell_lines)}")
    texts = [json.dumps(config.to_dict(), sort_keys=True) for _, config in chosen]
    names = _unique([words(changes, data, "_") for changes, _ in chosen], texts)
    rows = [words({field: v for field, v in changes.items() if field != "seed"}, data, ", ") for changes, _ in chosen]
    return [Member(name, row or "as configured", *pair) for name, row, pair in zip(names, rows, chosen, strict=True)]


def words(changes: dict, data: Data, between: str) -> str:
    """What differs, e.g. DNA+Golgi_seed0."""
    return between.join(_word(field, value, data) for field, value in changes.items())


def _word(field, value, data):
    if field == "data.channels":
        return "+".join(value or data.channels)
    if field == "data.cell_lines":
        left_out = [line for line in data.cell_lines if value and line not in value]
        if len(data.cell_lines) > 1 and not left_out:
            return "all"
        if len(data.cell_lines) > 2 and len(left_out) == 1:
            return f"all but {left_out[0]}"
        return "+".join(value or data.cell_lines)
    if field == "seed":
        return f"seed{value}"
    shown = "+".join(map(str, value)) if isinstance(value, (tuple, list)) else value
    return f"{field.rpartition('.')[2]}={shown}"


def _unique(names, texts) -> list[str]:
    """Names as a folder may have them; those that would be equal, also to a disk blind to case, end in a hash."""
    short = [re.sub(r"^[.-]", "_", re.sub(r"[^\w+.=-]", "-", name)) or "as-configured" for name in names]
    folded = [name.casefold() for name in short]
    return [f"{name[:LONGEST - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
            if folded.count(name.casefold()) > 1 or len(name) > LONGEST else name
            for name, text in zip(short, texts, strict=True)]
