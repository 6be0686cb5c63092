"""What file names say: which files are one field, and where it is from."""

import collections
import dataclasses
import hashlib
import operator
import re
import unicodedata
from typing import NamedTuple

from cellcycle_jax.errors import InputRefused, UsageError
from data_prep.reading import ome_sets
from data_prep.reading.field import FieldFile
from data_prep.reading.formats import TIFF, stem
from data_prep.reading.listing import text_of

PLACES = ("line", "label", "plate", "well", "site", "time")  # groups in which fields differ
GROUPS = {*PLACES, "channel", "z"}
MAX_NAME = 180  # bytes of a field_id; file systems take 255, and endings are added
KEPT = 160  # bytes of a longer one
_place = operator.itemgetter(*PLACES)  # of the texts of all groups


class Named(NamedTuple):
    """A field as far as its name says, and the plate and well that it gets where nothing else gives them."""

    file: FieldFile
    plate: str
    well: str


def compile_pattern(text: str) -> re.Pattern | None:
    """The regular expression of config.name_pattern, None for "".

    Raises:
        UsageError: no regular expression, unknown groups, or channels or planes and nothing that tells fields apart.
    """
    if not text:
        return None
    try:
        pattern = re.compile(unicodedata.normalize("NFC", text))
    except re.error as error:
        raise UsageError(f"config.name_pattern={text!r}: not a regular expression ({error})") from None
    if unknown := set(pattern.groupindex) - GROUPS:
        allowed = ", ".join(sorted(GROUPS))
        raise UsageError(f"config.name_pattern: unknown group {sorted(unknown)[0]!r}; allowed: {allowed}")
    if _several(pattern) and not set(pattern.groupindex) & set(PLACES):
        raise UsageError(f"config.name_pattern: groups channel and z need one of {', '.join(PLACES)}, "
                         "so that fields can be distinguished")
    return pattern


def of_files(paths, folder, pattern, codes) -> list[Named]:
    """The fields that the files hold.

    Args:
        paths: the files; those that do not fit the pattern are not among them.
        folder: the folder of fields.
        pattern: of `compile_pattern`.
        codes: {what group channel matches: name of the channel}; {}: what it matches is the name.

    Raises:
        InputRefused: two files for the same channel and plane of a field.
    """
    if pattern is not None and _several(pattern):
        return _grouped(paths, folder, pattern, codes)
    tiffs = [path for path in paths if path.suffix.lower() in TIFF]
    pictures = ome_sets.pictures_of(tiffs)
    whole_file = [ome_sets.Picture()]
    fields = []
    for path in paths:
        fields += _in_file(path, folder, pattern, pictures.get(path, whole_file))
    return fields


def fits(relative: str, pattern, codes) -> str:
    """Why a file is left out, "pattern" or "code"; "" for one that is used."""
    if pattern is None:
        return ""
    match = pattern.search(relative)
    if match is None:
        return "pattern"
    if "channel" not in pattern.groupindex:
        return ""
    if not match["channel"]:
        return "pattern"
    return "code" if codes and match["channel"] not in codes else ""


def _several(pattern):
    """Whether a field lies in several files."""
    return bool({"channel", "z"} & set(pattern.groupindex))


def _in_file(path, folder, pattern, pictures):
    """The fields of one file: one for each of the `pictures` that begin in it."""
    relative = text_of(path, folder)
    field_id = _safe(stem(relative))
    if pattern is None:
        parent = text_of(path.parent, folder)
        plate = "" if parent == "." else parent
        well = field_id
        file = FieldFile((path,), field_id)
    else:
        match = pattern.search(relative)
        groups = _groups(match)
        plate = ""
        well = _safe(stem(_without_time(match, groups)))
        file = _file((path,), field_id, _place(groups))
    fields = []
    for picture in pictures:
        beside = tuple(path.with_name(name) for name in picture.others)
        field = dataclasses.replace(file, field_id=field_id + picture.ending, part=picture.number, beside=beside)
        fields.append(Named(field, plate, well + picture.ending))
    return fields


def _groups(match):
    """The text of each group, in the order of the pattern, "" for one that matches nothing or is not in it."""
    groups = match.groupdict(default="")
    for name in GROUPS:
        groups.setdefault(name, "")
    return groups


def _without_time(match, groups):
    """The path that was matched, without what group time stands for."""
    if not groups["time"]:
        return match.string
    first, last = match.span("time")
    return match.string[:first] + match.string[last:]


def _grouped(paths, folder, pattern, codes):
    """One field of all files that agree in everything but channel and z."""
    channels = list(codes.values())
    planes_of = collections.defaultdict(dict)
    for path in paths:
        groups = _groups(pattern.search(text_of(path, folder)))
        code = groups["channel"]
        channel = codes.get(code, code)
        position = channels.index(channel) if codes else 0
        plane = (position, channel, *_natural(groups["z"]))
        planes = planes_of[_place(groups)]
        if plane in planes:
            raise InputRefused(f"{path} and {planes[plane]} are both {_words(groups)}; "
                               "let config.name_pattern distinguish them or leave one out")
        planes[plane] = path
    return [_of_planes(place, planes) for place, planes in planes_of.items()]


def _of_planes(place, planes):
    """The field of the files {(position, channel, z): path}; `place`: the text of each of `PLACES`."""
    channels = []
    paths = []
    for (_, channel, *_), path in sorted(planes.items()):
        channels.append(channel)
        paths.append(path)
    line, label, plate, well, site, time = place
    without_time = _joined(line, label, plate, well, f"s{site}" if site else "")
    field_id = _joined(without_time, f"t{time}" if time else "")
    file = _file(tuple(paths), field_id, place, tuple(channels) if any(channels) else ())
    return Named(file, "", without_time)


def _joined(*texts):
    return _safe("_".join(filter(None, texts)))


def _file(paths, field_id, place, channels=()):
    line, label, plate, well, site, time = place
    return FieldFile(paths, field_id, line, plate, well, site, label, channels, time=time)


def _words(groups):
    return ", ".join(f"{name} {text}" for name, text in groups.items() if text)


def _natural(text):
    """A key that sorts numbers by value and before words; 1 and 01 are the same plane."""
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)


def _safe(text):
    """The text as a file name: of a long one the beginning, and a hash by which it differs from others."""
    text = re.sub(r"[^\w.+()\[\]-]+", "_", text)
    whole = text.encode()
    if len(whole) <= MAX_NAME:
        return text
    return f"{whole[:KEPT].decode(errors='ignore')}_{hashlib.sha256(whole).hexdigest()[:12]}"
