"""Two files of results side by side, and what got slower.

    python bench/compare.py OLD.json NEW.json [--ratios]

Files are those that a script of bench/ wrote for `--record` or `--json`, both of the same script. A way counts as
slower or faster only where its rounds of then and of now do not overlap, and where both have more than one; scores and
counts (`exact` in the file), which do not vary, wherever they differ. "x" is how many times as fast, or as good, the
new one is, by the medians, and in brackets by the nearest rounds.

Absolute figures of different machines do not compare. Where the machines differ, or with `--ratios`, each way's ratio
to the reference of its table is compared instead, round by round.
"""

import argparse
import dataclasses
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import numpy as np

from bench.results import UnreadableResults, load
from bench.tables import markdown_table, ratios, shown, shown_range

OF_MACHINE = ("system", "processor", "cores", "memory_bytes", "gpus")
MEMORY_TOLERANCE = 0.05  # of memory; one machine reports a little more or less after a change of its kernel
WORSE = "slower"
BETTER = "faster"
SAME = "same"
UNDECIDED = "undecided"


@dataclasses.dataclass(frozen=True)
class Change:
    """What became of a way.

    Attributes:
        word: WORSE, BETTER, SAME (equal values, of an exact quantity) or UNDECIDED.
        reason: why it is undecided; else how much it changed.
    """

    word: str
    reason: str


def change_of(old, new, larger_is_better, exact: bool) -> Change:
    """What became of a way, from its values then and now, one a round.

    Args:
        old, new: lists of numbers.
        larger_is_better: None where neither is better.
        exact: whether a repetition gives the same value.
    """
    if larger_is_better is None:
        return Change(UNDECIDED, "it only describes")
    if exact and np.median(old) == np.median(new):
        return Change(SAME, "")
    if not exact and min(len(old), len(new)) < 2:
        return Change(UNDECIDED, "one round has no range")
    worse, better = (min(old) > max(new), min(new) > max(old))
    if not larger_is_better:
        worse, better = better, worse
    if not worse and not better:
        return Change(UNDECIDED, "rounds overlap")
    return Change(WORSE if worse else BETTER, _how_much(old, new, larger_is_better, worse))


def _how_much(old, new, larger_is_better, worse):
    """The medians' ratio, and that of the rounds that are nearest to each other; '' where a ratio means nothing."""
    if min(*old, *new) <= 0:
        return ""
    by_median = ratios([np.median(new)], [np.median(old)], larger_is_better)[0]
    falls = worse == larger_is_better
    nearest = (max(new), min(old)) if falls else (min(new), max(old))
    by_nearest = ratios([nearest[0]], [nearest[1]], larger_is_better)[0]
    bound = "at most" if worse else "at least"
    return f"{by_median:.2f} x ({bound} {by_nearest:.2f} x)"


def machines_differ(old, new) -> list[str]:
    """What differs between two machines, a text each."""
    differences = []
    for name in OF_MACHINE:
        then = old["machine"].get(name)
        now = new["machine"].get(name)
        if name == "memory_bytes" and then and now and abs(now / then - 1) < MEMORY_TOLERANCE:
            continue
        if then != now:
            differences.append(f"{name}: {_named(then)} then, {_named(now)} now")
    return differences


def versions_differ(old, new) -> list[str]:
    """Libraries whose versions differ, a text each; one that only one file names is no difference."""
    differences = []
    for library in old["versions"]:
        if library in new["versions"] and old["versions"][library] != new["versions"][library]:
            differences.append(f"{library}: {old['versions'][library]} then, {new['versions'][library]} now")
    return differences


def side_by_side(old, new, as_ratios: bool) -> tuple[list[str], dict[str, list[str]]]:
    """Paragraphs of Markdown, one of each table, and {word: names of ways} of what got slower and faster."""
    paragraphs = []
    changed = {WORSE: [], BETTER: []}
    tables_of_old = _by_title(old)
    tables_of_new = _by_title(new)
    for title, then in tables_of_old.items():
        if title in tables_of_new:
            text, words = _table(title, then, tables_of_new[title], as_ratios)
            paragraphs.append(text)
            for way, word in words.items():
                if word in changed:
                    changed[word].append(f"{way} ({title})")
    for name, own, other in (("old", tables_of_old, tables_of_new), ("new", tables_of_new, tables_of_old)):
        only = [title for title in own if title not in other]
        if only:
            paragraphs.append("\n".join(f"Only in the {name} file: {title}" for title in only))
    return paragraphs, changed


def _by_title(results):
    return {f"{table['section']}: {table['title']}": table for table in results["tables"]}


def _table(title, old, new, as_ratios):
    """Markdown of one table, and {way: word}."""
    reference = old["reference"] if as_ratios else ""
    larger_is_better = new["larger_is_better"]
    then = _values(old)
    now = _values(new)
    unit = old["unit"]
    if reference:
        if reference not in then or reference not in now:
            return f"{title}: {reference!r}, which ratios are taken to, is not in both files", {}
        then = _as_ratios(then, reference, larger_is_better)
        now = _as_ratios(now, reference, larger_is_better)
        larger_is_better = True
        unit = f"times as fast as {reference}"
    elif as_ratios and not old["exact"]:
        return f"{title}: left out, it has no reference that ratios could be taken to", {}
    rows = []
    words = {}
    for way in then:
        if way in now and way != reference:
            change = change_of(then[way], now[way], larger_is_better, old["exact"])
            words[way] = change.word
            rows.append(_row(way, then[way], now[way], change, old["exact"]))
    lines = [f"{title} [{_direction(unit, larger_is_better)}]"]
    if rows:
        lines += ["", markdown_table(("way", "old", "rounds", "new", "rounds", "what became of it"), rows)]
    lines += _only_in_one(old, new, then, now)
    return "\n".join(lines), words


def _values(table):
    return {way["way"]: way["values"] for way in table["ways"]}


def _as_ratios(values, reference, larger_is_better):
    return {way: ratios(own, values[reference], larger_is_better).tolist() for way, own in values.items()}


def _row(way, then, now, change, exact):
    worse, better = ("**worse**", "better") if exact else ("**slower**", "faster")
    words = {WORSE: worse, BETTER: better, SAME: "same", UNDECIDED: "-"}
    text = " ".join(part for part in (words[change.word], change.reason) if part)
    return way, shown(np.median(then)), shown_range(then), shown(np.median(now)), shown_range(now), text


def _direction(unit, larger_is_better):
    better = {True: "larger is better", False: "smaller is better", None: "neither is better"}[larger_is_better]
    return f"{unit}, {better}" if unit else better


def _only_in_one(old, new, then, now):
    lines = []
    for name, own, other, left_out in (("old", then, now, new["left_out"]), ("new", now, then, old["left_out"])):
        for way in own:
            if way not in other:
                reason = f" (left out of the other: {left_out[way]})" if way in left_out else ""
                lines.append(f"Only in the {name} file: {way}{reason}")
    return ["", *lines] if lines else []


def origin(name, results) -> str:
    """One line on where results come from."""
    commit = (results["commit"] or "no commit")[:12]
    modified = ", files modified" if results["modified"] else ""
    machine = results["machine"]
    named = [str(machine.get("processor")), f"{machine.get('cores')} cores", *(machine.get("gpus") or [])]
    return f"{name}: {results['script']} at {commit}{modified}, {results['date']}, on {', '.join(named)}"


def _named(value):
    return ", ".join(value) or "none" if isinstance(value, list) else value


def report(old, new, as_ratios: bool) -> str:
    """Everything that is printed."""
    lines = [origin("old", old), origin("new", new)]
    machines = machines_differ(old, new)
    if machines:
        as_ratios = True
        lines += [f"machines differ: {difference}" for difference in machines]
        lines.append("Absolute figures of different machines do not compare: look at the ratios to the peer within "
                     "each table, which are shown here.")
    versions = versions_differ(old, new)
    lines += [f"versions differ: {difference}" for difference in versions]
    if versions and not machines:
        lines.append("What changed may be a library's doing: look also at the ratios to the peer within each table "
                     "(--ratios).")
    if old["arguments"] != new["arguments"]:
        lines.append(f"arguments differ: {' '.join(old['arguments'])!r} then, {' '.join(new['arguments'])!r} now")
    paragraphs, changed = side_by_side(old, new, as_ratios)
    summary = []
    for word, ways in changed.items():
        summary.append(f"{word}: {'; '.join(ways) if ways else 'none beyond the range of the rounds'}")
    return "\n\n".join(["\n".join(lines), *paragraphs, "\n".join(summary)])


def main() -> int:
    """Compare and print; 1 where a file cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", metavar="OLD.json")
    parser.add_argument("new", metavar="NEW.json")
    parser.add_argument("--ratios", action="store_true", help="compare ratios to the references, not absolute figures")
    given = parser.parse_args()
    try:
        old = load(given.old)
        new = load(given.new)
        if old["script"] != new["script"]:
            raise UnreadableResults(f"{given.new}: of {new['script']}; allowed is one of {old['script']}, as the other")
    except UnreadableResults as refusal:
        print(f"compare: {refusal}", file=sys.stderr)
        return 1
    print(report(old, new, given.ratios))
    return 0


if __name__ == "__main__":
    sys.exit(main())
