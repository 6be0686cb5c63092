"""What file names say: which files are one field, and where it is from."""

import collections
import dataclasses
import hashlib
import re
import unicodedata
from typing import NamedTuple

from cellcycle_jax.errors import InputRefused, UsageError
from data_prep.reading import ome_sets
from data_prep.reading.field import FieldFile
from data_prep.reading.formats import TIFF, stem
from data_prep.reading.listing import text_of

PLACES = ("line", "label", "plate", "well", "site", "time")  # what tells fields apart
GROUPS = {*PLACES, "channel", "z"}
MAX_NAME = 180  # bytes of a field_id; file systems take 255, and endings are added
KEPT = 160  # bytes of a longer one


class Named(NamedTuple):
    """A field as far as its name says, and what stands in for a plate and a well where nothing says them."""

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
        raise UsageError("config.name_pattern: groups channel and z need one of "
                         f"{', '.join(PLACES)}, so that fields can be told apart")
    return pattern


def of_files(paths, folder, pattern, codes) -> list[Named]:
    """The fields that the files are.

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
    pictures = ome_sets.pictures_of([path for path in paths if path.suffix.lower() in TIFF])
    fields = []
    for path in paths:
        fields += _one_each(path, folder, pattern, pictures.get(path, [ome_sets.Picture()]))
    return fields


def fits(relative: str, pattern, codes) -> str:
    """Why a file is left out, "pattern" or "code"; "" for one that is used."""
    if pattern is None:
        return ""
    match = pattern.search(relative)
    if match is None or ("channel" in pattern.groupindex and not match["channel"]):
        return "pattern"
    return "code" if codes and "channel" in pattern.groupindex and match["channel"] not in codes else ""


def _several(pattern):
    return bool({"channel", "z"} & set(pattern.groupindex))


def _one_each(path, folder, pattern, pictures):
    """The fields of one file: one for each of the `pictures` that begin in it."""
    relative = text_of(path, folder)
    field_id = _safe(stem(relative))
    if pattern is None:
        parent = text_of(path.parent, folder)
        file, plate, well = FieldFile((path,), field_id), "" if parent == "." else parent, field_id
    else:
        match = pattern.search(relative)
        said = match.groupdict(default="")
        file, plate = _file((path,), field_id, said), ""
        first, last = match.span("time") if said.get("time") else (0, 0)
        well = _safe(stem(relative[:first] + relative[last:]))
    fields = []
    for picture in pictures:
        beside = tuple(path.with_name(name) for name in picture.others)
        field = dataclasses.replace(file, field_id=field_id + picture.ending, part=picture.number, beside=beside)
        fields.append(Named(field, plate, well + picture.ending))
    return fields


def _grouped(paths, folder, pattern, codes):
    """One field of all files that agree in everything but channel and z."""
    fields = collections.defaultdict(dict)
    for path in paths:
        said = pattern.search(text_of(path, folder)).groupdict(default="")
        channel = codes.get(said.get("channel", ""), said.get("channel", ""))
        place = tuple(said.get(name, "") for name in PLACES)
        plane = (list(codes.values()).index(channel) if codes else 0, channel, *_natural(said.get("z", "")))
        if other := fields[place].get(plane):
            raise InputRefused(f"{path} and {other} are both {_words(said)}; let config.name_pattern tell them apart "
                               "or leave one out")
        fields[place][plane] = path
    return [_of_planes(dict(zip(PLACES, place, strict=True)), planes) for place, planes in fields.items()]


def _of_planes(said, planes):
    order = sorted(planes)
    channels = tuple(plane[1] for plane in order)
    without_time = _safe("_".join(filter(None, [said["line"], said["label"], said["plate"], said["well"],
                                                said["site"] and f"s{said['site']}"])))
    field_id = _safe("_".join(filter(None, [without_time, said["time"] and f"t{said['time']}"])))
    file = _file(tuple(planes[plane] for plane in order), field_id, said, channels if any(channels) else ())
    return Named(file, "", without_time)


def _file(paths, field_id, said, channels=()):
    return FieldFile(paths, field_id, said.get("line", ""), said.get("plate", ""), said.get("well", ""),
                     said.get("site", ""), said.get("label", ""), channels, time=said.get("time", ""))


def _words(said):
    return ", ".join(f"{name} {value}" for name, value in said.items() if value)


def _natural(text):
    """Sorts numbers by value and before words; 1 and 01 are the same plane."""
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)


def _safe(text):
    """The text as a file name: of a long one the beginning, and a hash by which it differs from others."""
    text = re.sub(r"[^\w.+()\[\]-]+", "_", text)
    whole = text.encode()
    if len(whole) <= MAX_NAME:
        return text
    return f"{whole[:KEPT].decode(errors='ignore')}_{hashlib.sha256(whole).hexdigest()[:12]}"
