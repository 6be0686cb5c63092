"""Folders with a file per channel, recognised by the names of the files where no pattern is given."""

import collections
import dataclasses
import itertools
import re

MOST_CHANNELS = 8  # more different tokens than this are sites, wells or times
LEAST_SHARE = 0.8  # of the files have to belong together
_STAINS = (
    r"dapi|hoechst\d*|draq5|dna|e?gfp|yfp|cfp|rfp|bfp|m?cherry|tdtomato|dsred|tritc|fitc|cy[2-7]|alexa ?\d{3}|"
    r"af\d{3}|texas ?red|txred|rna|er|agp|mito|actin|phalloidin|tubulin|golgi|lamin|far ?red|red|green|blue|"
    r"bright ?field|bf|dic|phase|trans"
)
# Kinds of tokens, the least ambiguous first. A number ends a token; column 2 in r01c02 is no channel.
_KINDS = (
    rf"(?<![a-z])(?:{_STAINS})(?![a-z0-9])",
    r"(?<![a-z])(?:channel|chan|ch|wv)[ _-]?\d{1,3}(?!\d)",
    r"(?<![a-z])w\d{1,2}(?!\d)",
    r"(?<![a-z])(?<!r\d)(?<!r\d\d)[cd]\d{1,2}(?!\d)",
)


@dataclasses.dataclass(frozen=True)
class PerChannel:
    """What names say of a folder with a file per channel.

    tokens: those in which names of files of one field differ, sorted.
    example: the names of one field's files.
    fields: how many fields that makes.
    pattern: for config.name_pattern, "" where none was found that works.
    """

    tokens: tuple[str, ...]
    example: tuple[str, ...]
    fields: int
    pattern: str


def find(names: list[str]) -> PerChannel | None:
    """Whether the files seem to hold one channel each.

    They do where most of them differ from others in one token only, which is called as stains and channels are.

    Args:
        names: paths of the files below their folder, "/" between folders.
    """
    for kind, last in itertools.product(_KINDS, (True, False)):  # last: of several tokens in a name
        fields = _fields(names, re.compile(kind, re.IGNORECASE), last)
        tokens = sorted(set().union(*fields))
        share = sum(map(len, fields)) / max(len(names), 1)
        enough = len(fields) > 1 or kind is _KINDS[0]  # two files may differ in a number for any reason
        if enough and 1 < len(tokens) <= MOST_CHANNELS and share >= LEAST_SHARE:
            example = tuple(fields[0][token] for token in sorted(fields[0]))
            return PerChannel(tuple(tokens), example, len(fields), _pattern(names, fields, tokens))
    return None


def _fields(names, kind, last):
    """[{token: name}] of the names that are equal but for a token, where there are several."""
    groups = collections.defaultdict(dict)
    for name in names:
        matches = list(kind.finditer(name))
        if matches:
            match = matches[-1] if last else matches[0]
            before = name[: match.start()]
            after, _, _ = name[match.end():].rpartition(".")
            groups[before, after][match[0]] = name
    return [group for group in groups.values() if len(group) > 1]


def _pattern(names, fields, tokens):
    """A regular expression by which the files are these fields, "" where none of those tried does it."""
    longest_first = sorted(tokens, key=len, reverse=True)
    either = "|".join(map(re.escape, longest_first))
    channel = rf"(?<![A-Za-z])(?P<channel>{either})(?![0-9])"
    wanted = {frozenset(field.values()) for field in fields}
    for well in ("[^/]*?", "[^/]*"):
        in_name = rf"^(?:(?P<plate>.+)/)?(?P<well>{well})[^A-Za-z0-9/]*{channel}(?P<site>[^/]*)\.[^./]+$"
        in_folder = rf"^(?:(?P<plate>.+)/)?(?P<site>{well})[^A-Za-z0-9/]*{channel}[^/]*/(?P<well>.+)\.[^./]+$"
        for pattern in (in_name, in_folder):
            if wanted <= _sets(names, re.compile(pattern)):
                return pattern
    return ""


def _sets(names, pattern):
    """The sets of names that are one field by a pattern."""
    sets = collections.defaultdict(set)
    for name in names:
        if match := pattern.search(name):
            sets[match["plate"], match["well"], match["site"]].add(name)
    return set(map(frozenset, sets.values()))
