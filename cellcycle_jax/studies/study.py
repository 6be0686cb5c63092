"""What a study is: runs that differ in a few config fields, what they are called, and how their result is read."""

import collections
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
    """Channels and cell lines that a study may use: those of the data set, or those of them that the config names."""

    channels: tuple[str, ...]  # that may be shown to a model
    cell_lines: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """How the result of a study is shown. Runs that differ only in their seed are averaged in one row."""

    rows: str  # what a row is, in words
    columns: str = "scores"  # 'scores', beside the baselines; 'cell lines': a column for each line that is tested on
    scores: tuple[str, ...] = ("auroc", "balanced_accuracy")  # names of metrics.METRICS, the most important one first
    compare_with_last: bool = False  # also show each row minus the last one

    def __post_init__(self):
        if self.columns not in COLUMNS:
            raise ValueError(f"columns={self.columns!r}: allowed: {', '.join(COLUMNS)}")
        for name in self.scores:
            if name not in metrics.METRICS:
                raise ValueError(f"scores: {name!r} is no score; allowed: {', '.join(metrics.METRICS)}")


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
        raise UsageError(f"--config={study.path}: sweep(data) gives no run for channels "
                         f"{', '.join(data.channels)} and cell lines {', '.join(data.cell_lines)}")
    names = _folder_names(chosen, data)
    runs = []
    for name, (changes, config) in zip(names, chosen, strict=True):
        without_seed = dict(changes)
        without_seed.pop("seed", None)
        row = words(without_seed, data, ", ") or "as configured"
        runs.append(Member(name, row, changes, config))
    return runs


def words(changes: dict, data: Data, between: str) -> str:
    """What differs, e.g. DNA+Golgi_seed0."""
    return between.join(_word(field, value, data) for field, value in changes.items())


def _word(field, value, data):
    if field == "data.channels":
        return "+".join(value or data.channels)
    if field == "data.cell_lines":
        return _word_for_lines(value or data.cell_lines, data.cell_lines)
    if field == "seed":
        return f"seed{value}"
    last_part = field.rpartition(".")[2]
    return f"{last_part}={value_text(value, '+')}"


def _word_for_lines(lines, all_lines):
    """Some cell lines in as few words as possible."""
    left_out = set(all_lines).difference(lines)
    if len(all_lines) > 1 and not left_out:
        return "all"
    if len(all_lines) > 2 and len(left_out) == 1:
        return f"all but {left_out.pop()}"
    return "+".join(lines)


def value_text(value, between: str) -> str:
    """The value of a config field as text, the elements of a tuple with `between` between them."""
    if isinstance(value, (tuple, list)):
        return between.join(str(element) for element in value)
    return str(value)


def _folder_names(chosen, data) -> list[str]:
    """A folder name for each run of a study.

    Equal names (upper and lower case count as equal, as on some disks) and long ones end in a hash of their config.
    """
    names = []
    count = collections.Counter()
    for changes, _ in chosen:
        safe = re.sub(r"[^\w+.=-]", "-", words(changes, data, "_"))
        safe = re.sub(r"^[.-]", "_", safe) or "as-configured"
        names.append(safe)
        count[safe.casefold()] += 1
    unique = []
    for name, (_, config) in zip(names, chosen, strict=True):
        if count[name.casefold()] > 1 or len(name) > LONGEST:
            text = json.dumps(config.to_dict(), sort_keys=True)
            digest = hashlib.sha256(text.encode()).hexdigest()
            name = f"{name[: LONGEST - 9]}-{digest[:8]}"
        unique.append(name)
    return unique
