"""What a script found: printed as Markdown, recorded in RESULTS.md, and kept as JSON that can be compared over time.

A file of JSON holds

    schema      SCHEMA, the version of this list
    script      bench/NAME.py
    arguments   what it was given, without --record and --json
    commit      hash, or null outside a repository
    modified    whether files of the repository differed from that commit
    date        when it was written, UTC, ISO 8601
    machine     system, processor, cores, memory_bytes, gpus: what `surroundings.machine` returns
    versions    {library: version}
    tables      a list, of each section, title, unit, larger_is_better (null: neither), exact (true: a score or a count,
                not measured), reference (the way that others are held against, or ""), left_out {way: reason} and ways:
                a list of way, on (its device), values (one a round) and median
"""

import dataclasses
import datetime
import json
import os
import pathlib
import re
import sys

from bench import command_line, surroundings

SCHEMA = 1
FOLDER = pathlib.Path(__file__).parent
RESULTS = FOLDER / "RESULTS.md"
RECORDED = FOLDER / "results"
WALL_CLOCK = "wall-clock time"
CPU_TIME = "CPU time of one thread"
ALLOWED = "allowed is a file that a script of bench/ wrote for --record or --json"
OF_FILE = ("schema", "script", "arguments", "commit", "modified", "date", "machine", "versions", "tables")
OF_TABLE = ("section", "title", "unit", "larger_is_better", "exact", "reference", "left_out", "ways")
OF_WAY = ("way", "values", "median")


class UnreadableResults(Exception):
    """A file does not hold what a script wrote; the message is one line: the file, what is wrong, what is allowed."""


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of RESULTS.md.

    Attributes:
        heading: its title, equal from run to run.
        parts: `tables.Table`, `tables.Grid` and `tables.Text`, in order.
        versions: {library: version}.
        timed: which time was measured.
    """

    heading: str
    parts: list
    versions: dict[str, str]
    timed: str = WALL_CLOCK

    def markdown(self) -> str:
        """Heading, the command that was typed, the machine in words, and all parts."""
        command = command_line.in_words(sys.argv[0], sys.argv[1:])
        made_by = f"`{command}` on {surroundings.in_words(self.versions, self.timed)}."
        return "\n\n".join([f"## {self.heading}", made_by, *(part.markdown() for part in self.parts)]) + "\n"


def publish(given, *sections) -> None:
    """Print sections, and write them where the command line says: `--record`, `--json FILE`, both or neither.

    Args:
        given: what `command_line.script_parser` parsed.
        *sections: of `Section`.
    """
    for section in sections:
        print(section.markdown())
    write(given, *sections)


def write(given, *sections) -> None:
    """`publish` without printing."""
    if given.record:
        for section in sections:
            record(section.markdown(), RESULTS)
    for path in destinations(given):
        save(path, sections)


def destinations(given) -> list[pathlib.Path]:
    """Files that JSON goes to."""
    paths = []
    if given.record:
        RECORDED.mkdir(exist_ok=True)
        paths.append(RECORDED / f"{_name()}.json")
    if given.json:
        paths.append(given.json)
    return paths


def _name():
    """Of the file that `--record` writes; a GPU has its own, as it has its own section."""
    name = pathlib.Path(sys.argv[0]).stem
    return f"{name}-gpu" if surroundings.on_gpu() and name != "gpu" else name


def document(sections) -> dict:
    """What stands in a file of JSON."""
    versions = {}
    tables = []
    for section in sections:
        versions |= section.versions
        for part in section.parts:
            tables += [{"section": section.heading} | table for table in part.records()]
    return {
        "schema": SCHEMA,
        "script": f"bench/{pathlib.Path(sys.argv[0]).name}",
        "arguments": command_line.without_destination(sys.argv[1:]),
        **surroundings.commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": surroundings.machine(),
        "versions": versions,
        "tables": tables,
    }


def save(path, sections) -> None:
    """Write JSON, all of it or nothing."""
    path = pathlib.Path(path)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(document(sections), indent=1) + "\n")
    os.replace(partial, path)


def load(path) -> dict:
    """What a file of JSON holds.

    Raises:
        UnreadableResults: there is no such file, or it is not one of ours.
    """
    try:
        found = json.loads(pathlib.Path(path).read_text())
    except OSError as error:
        raise UnreadableResults(f"{path}: {error.strerror}; {ALLOWED}") from None
    except ValueError as error:
        raise UnreadableResults(f"{path}: not JSON ({error}); {ALLOWED}") from None
    if not isinstance(found, dict) or "schema" not in found:
        raise UnreadableResults(f"{path}: no field 'schema'; {ALLOWED}")
    if found["schema"] != SCHEMA:
        raise UnreadableResults(f"{path}: schema {found['schema']!r}; allowed is {SCHEMA}; run its script again")
    _require(path, "the file", found, OF_FILE)
    for table in found["tables"]:
        _require(path, "a table", table, OF_TABLE)
        for way in table["ways"]:
            _require(path, f"a way of {table['title']!r}", way, OF_WAY)
            if not way["values"]:
                raise UnreadableResults(f"{path}: {way['way']!r} of {table['title']!r} has no values; allowed is one "
                                        "or more")
    return found


def _require(path, what, found, fields):
    missing = [field for field in fields if not isinstance(found, dict) or field not in found]
    if missing:
        raise UnreadableResults(f"{path}: {what} lacks {', '.join(missing)}; run the script that wrote it again")


def record(text, path) -> None:
    """Put `text`, which begins with a heading, in the place of that section of the file, or at its end."""
    before = path.read_text() if path.exists() else "# Results\n"
    heading = text.split("\n", 1)[0]
    section = re.compile(rf"{re.escape(heading)}\n.*?(?=\n## |\Z)", re.DOTALL)
    text = f"{text.rstrip()}\n"
    after = f"{before.rstrip()}\n\n{text}"
    if section.search(before):
        after = section.sub(lambda _: text, before)
    path.write_text(after)
