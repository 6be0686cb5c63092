"""OME data sets of several files: which files are one picture, and which file describes them.

A set is described in each of its files, in one of them, or in a companion file (NAME.companion.ome), which the files
then name (https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html).
"""

import collections
import pathlib
from typing import NamedTuple

import tifffile

from cellcycle_jax.errors import InputRefused
from data_prep.reading import listing, ome
from data_prep.reading.damage import damage_refused
from data_prep.reading.picture import complaints


class Description(NamedTuple):
    """What describes a file: OME-XML, "" for none, and the name of the file in the same folder that holds it."""

    xml: str
    owner: str

    def is_in_another_tiff(self, path) -> bool:
        """Whether it stands in a TIFF beside `path`; its planes without a file name are then those of that TIFF."""
        return self.owner != pathlib.Path(path).name and not self.owner.lower().endswith(".ome")


def description_of(tiff, path, needed: bool = True) -> Description:
    """What describes a TIFF: its own OME-XML, or that of the file which it names.

    Args:
        tiff: the open `tifffile.TiffFile`.
        path: of it.
        needed: refuse a file whose description is missing; else it is a TIFF like any other.

    Raises:
        InputRefused: the describing file is missing or describes nothing, or the metadata name a file elsewhere.
    """
    own = pathlib.Path(path).name
    xml = _own_xml(tiff)
    elsewhere = ome.root_of(xml, path).find("{*}BinaryOnly") if xml else None
    if elsewhere is None:
        return Description(xml, own)
    name = _inside(elsewhere.get("MetadataFile", ""), path)
    described = _described_in(pathlib.Path(path).with_name(name)) if name else ""
    if described and ome.root_of(described, path).find("{*}Image") is not None:
        return Description(described, name)
    if needed:
        raise InputRefused(f"{path}: is part of an OME data set that {name!r} describes, and that file is missing or "
                           "says nothing of it; copy it into the same folder, or say with config.name_pattern which "
                           "channel each file shows")
    return Description("", own)


def _own_xml(tiff):
    return (tiff.ome_metadata or "") if tiff.is_ome else ""


def _described_in(companion):
    """The OME-XML of a companion file or of another TIFF of the set, "" where there is none."""
    if not companion.is_file():
        return ""
    if companion.suffix.lower() == ".ome":
        try:
            return companion.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            return ""
    with tifffile.TiffFile(companion) as tiff:
        return _own_xml(tiff)


def files_named(description: Description, path) -> list[list[str]]:
    """For each picture that is described, the names of the files its planes lie in, in order.

    Raises:
        InputRefused: a name that leads out of the folder, or files of two folders that have one name.
    """
    root = ome.root_of(description.xml, path)
    pictures = []
    written_as = {}
    for image in root.iterfind("{*}Image"):
        names = {}  # in order, each once
        for data in image.iterfind("{*}Pixels/{*}TiffData"):
            uuid = data.find("{*}UUID")
            is_owner = uuid is None or uuid.text == root.get("UUID")
            written = uuid.get("FileName") if uuid is not None else None
            name = description.owner if is_owner else _inside(written or description.owner, path)
            if written and written_as.setdefault(name, written) != written:
                raise InputRefused(
                    f"{path}: its OME metadata name the files {written_as[name]!r} and {written!r}, of which one "
                    "folder can hold one only; export the field again, all planes in one file"
                )
            names[name] = None
        pictures.append(list(names))
    return pictures


def picture_of(description: Description, path) -> int | None:
    """The picture that the file at `path` is part of, where another file describes several; else None."""
    own = pathlib.Path(path).name
    if description.owner == own:
        return None
    pictures = files_named(description, path)
    numbers = [i for i, names in enumerate(pictures) if own in names]
    return numbers[0] if len(numbers) == 1 and len(pictures) > 1 else None


def refuse_missing(names: list[str], path) -> None:
    """Refuse a picture of which a file is missing; `names` are its files, beside `path`."""
    for name in names:
        if not pathlib.Path(path).with_name(name).is_file():
            raise InputRefused(f"{path}: its OME metadata say that planes lie in {name!r}, which is missing; "
                               "copy that file, under that name, into the same folder")


class Described(NamedTuple):
    """The pictures that a file's metadata describe.

    files: names of the files that each lies in, in order.
    aside: numbers of those that are a thumbnail, a label or an overview, and no field.
    """

    files: list[list[str]]
    aside: set[int]


def pictures_described(path) -> Described:
    """The pictures that the metadata of a TIFF describe.

    There are none where the file has no OME metadata or cannot be read: then `read_tiff` says why.
    """
    try:
        with damage_refused(path, "not a readable TIFF", ""), complaints(), tifffile.TiffFile(path) as tiff:
            description = description_of(tiff, path)
            if not description.xml:
                return Described([], set())
            pictures = files_named(description, path)
            aside = set()
            if len(pictures) > 1:
                aside = ome.smaller_copies(description.xml, path, _reduced(tiff, description, path))
            return Described(pictures, aside)
    except InputRefused:
        return Described([], set())


def _reduced(tiff, description, path) -> set[int]:
    """Numbers of the pictures that begin with a page which the file marks as a smaller copy of another."""
    reduced = set()
    images = ome.root_of(description.xml, path).iterfind("{*}Image")
    for i, image in enumerate(images):
        first = image.find("{*}Pixels/{*}TiffData")
        number = first.get("IFD", "0") if first is not None else ""
        if number.isdecimal() and int(number) < len(tiff.pages) and tiff.pages[int(number)].is_reduced:
            reduced.add(i)
    return reduced


class Picture(NamedTuple):
    """A picture that begins in a file.

    number: of the picture in what describes it, None where that is one picture.
    ending: what the field_id ends with, "" where the file's name says all.
    others: names of the other files that it lies in.
    """

    number: int | None = None
    ending: str = ""
    others: tuple[str, ...] = ()


def pictures_of(paths) -> dict[pathlib.Path, list[Picture]]:
    """The pictures that begin in each TIFF; none in one whose planes belong to a picture that begins in another."""
    described = {path: pictures_described(path) for path in paths}
    aside = []
    claimed = collections.defaultdict(set)  # folder: names of files whose planes belong to a picture of another
    for path, pictures in described.items():
        for i in sorted(pictures.aside):
            if pictures.files[i][:1] == [path.name]:  # each once, though all files of a set may describe it
                aside.append(f"{path}, picture {i + 1}")
        for names in pictures.files:
            if names and path.with_name(names[0]).is_file():
                claimed[path.parent].update(names[1:])
    listing.say_left_out(aside, "pictures are thumbnails, labels or overviews")
    return {path: _begin_in(path, pictures, claimed[path.parent]) for path, pictures in described.items()}


def _begin_in(path, pictures, claimed):
    """The pictures that begin in the file at `path`; `claimed`: files of its folder that belong to others' pictures."""
    begin = False
    others_of = {}
    for i, names in enumerate(pictures.files):
        if names[:1] == [path.name]:
            begin = True
            if i not in pictures.aside:
                others_of[i] = tuple(names[1:])
    if not others_of:
        belongs_to_other = begin or path.name in claimed
        return [] if belongs_to_other else [Picture()]
    if len(pictures.files) == 1:
        return [Picture(others=others_of[0])]
    begun = []
    for i, others in others_of.items():
        ending = f"_p{i + 1}" if len(others_of) > 1 else ""
        begun.append(Picture(i, ending, others))
    return begun


def _inside(name, path):
    """The name of a file without its folder; refused where it has one and no such file lies beside `path`."""
    base = pathlib.PureWindowsPath(name).name  # knows / and \ as separators
    if base == name:
        return base
    if not base or not pathlib.Path(path).with_name(base).is_file():
        raise InputRefused(f"{path}: its OME metadata name the file {name!r}; allowed: files of the same folder; "
                           "copy that file there, or export the field again")
    return base
