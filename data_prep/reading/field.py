"""The files of one field -> a `Field`: channels by name, one plane each, pixel size in um."""

import dataclasses
import hashlib
import pathlib

import numpy as np

from cellcycle_jax.errors import InputRefused
from data_prep.reading.calibration import differ
from data_prep.reading.channel_names import named
from data_prep.reading.colour import grey
from data_prep.reading.formats import read_picture
from data_prep.reading.listing import readable
from data_prep.reading.picture import as_stored, refuse_large
from data_prep.reading.projection import project

MIN_BITS = 8  # of a pixel; what has fewer is a mask


@dataclasses.dataclass(frozen=True)
class FieldFile:
    """Where a field is and what is known of it before it is read: texts are "" where unknown."""

    paths: tuple[pathlib.Path, ...]  # one file with all channels, or one or more (z planes) per channel
    field_id: str  # unique in a data set, safe as a file name
    cell_line: str = ""
    plate: str = ""
    well: str = ""
    site: str = ""
    label: str = ""  # what a folder's name says of all its cells
    channels: tuple[str, ...] = ()  # what each path shows where files hold one channel each; () where a file holds all
    part: int | None = None  # which picture of the file, where a file holds several
    pixel_um: float | None = None  # um per px, None: the file or the config says it
    labels_path: pathlib.Path | None = None  # label image made elsewhere, None: none
    labels_are_mask: bool = False  # each connected component of it is a nucleus; else it numbers them
    extra: tuple[tuple[str, str], ...] = ()  # further (column, value) of the sidecar
    time: str = ""  # which picture of a time series
    beside: tuple[pathlib.Path, ...] = ()  # files that the source reads besides, so that a change of them is noticed

    @property
    def path(self) -> pathlib.Path:
        """The first file: what errors name."""
        return self.paths[0]


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of view: image u16 or f32 [H, W, C], channel names, um per px (None: unknown), where it is from.

    `sha256` is of the pixels as read, so that the same picture in two files is recognised.
    `bit_depth` is how many bits of a pixel are significant: what the file says, else what its number type holds; only
    metadata can tell that a camera of 12 bits wrote 16.
    """

    image: np.ndarray
    channels: tuple[str, ...]
    pixel_um: float | None
    cell_line: str
    plate: str
    well: str
    site: str
    field_id: str
    path: str
    sha256: str
    bit_depth: int = 16
    own_channels: tuple[str, ...] = ()  # names that the file itself gives, in its order, () where it gives none
    remark: str = ""  # what the file says of the size of a pixel where that is of no use and nothing else says it


def read_field(file: FieldFile, channel_names=(), pixel_um: float | None = None, projection: str = "max",
               rgb=()) -> Field:
    """Read one field from its file or files; z-stacks become one plane.

    Args:
        file: the files and what is known of them.
        channel_names: as `channel_names.named` takes them. Not used where files hold one channel each: `file.channels`
            says what they show.
        pixel_um: um per px; needed where the file does not say, checked against it where it does. `file.pixel_um` goes
            before it.
        projection: of z planes, one of `projection.PROJECTIONS`.
        rgb: what red, green and blue of a colour picture show, "" for nothing; () where there is no such picture.

    Raises:
        InputRefused: unreadable, cut short, too large, lossy, colour that `rgb` does not name, a time series, unknown
            numbers, NaN or infinity, planes that do not fit each other, channel names or a pixel size that do not
            fit, pixels that are not square.
    """
    pictures = _pictures(file, rgb)
    if file.channels:
        own_names = ()
        names, stacks = _one_channel_each(file, pictures)
    else:
        own_names = pictures[0].channels
        names = named(channel_names, own_names, len(pictures[0].stack), file.path)
        stacks = list(np.concatenate([picture.stack for picture in pictures], axis=1))
    planes = [as_stored(plane, file.path) for plane in project(stacks, projection)]
    image = np.stack(planes, axis=-1)
    size = _pixel_size(file, pictures, pixel_um)
    bits = 0
    remark = ""
    for picture in pictures:
        bits = max(bits, picture.bits)
        remark = remark or picture.remark
    if size:
        remark = ""
    field = field_of(file, image, names, size)
    return dataclasses.replace(field, bit_depth=bits, own_channels=own_names, remark=remark)


def field_of(file: FieldFile, image, channels, pixel_um: float | None) -> Field:
    """A `Field` of pixels that a source has read itself, u16 or f32 [H, W, C]."""
    image = np.ascontiguousarray(image)
    digest = hashlib.sha256(image.data).hexdigest()
    return Field(image, tuple(channels), pixel_um, file.cell_line, file.plate, file.well, file.site, file.field_id,
                 readable(str(file.path)), digest)


def in_order(field: Field, channels, others_left_out: bool = False) -> Field:
    """The field with its channels in the order of `channels`, so that position c means the same stain in all fields.

    Raises:
        InputRefused: the field lacks a channel, or has others that are not to be left out.
    """
    missing = [name for name in channels if name not in field.channels]
    if missing:
        raise InputRefused(f"{field.path}: field {field.field_id!r} has no {', '.join(missing)}, only "
                           f"{', '.join(field.channels)}; most fields have {', '.join(channels)}; add the missing file "
                           "or prepare fields of different stains apart")
    if set(field.channels) != set(channels) and not others_left_out:
        raise InputRefused(f"{field.path}: channels {', '.join(field.channels)}, but most fields have "
                           f"{', '.join(channels)}; prepare fields of different stains apart")
    order = [field.channels.index(name) for name in channels]
    return dataclasses.replace(field, image=field.image[..., order], channels=tuple(channels))


def _pictures(file, rgb):
    """The pictures of all files of a field, grey, of one size."""
    channels = file.channels or [""] * len(file.paths)
    pages = "Z" if file.channels else "C"
    pictures = []
    total = 0
    for path, channel in zip(file.paths, channels, strict=True):
        picture = read_picture(path, file.part, pages)
        if picture.bits < MIN_BITS:
            raise InputRefused(f"{path}: {picture.bits} bits per pixel; allowed: {MIN_BITS} or more; "
                               "export the grey values, not a mask")
        total += picture.stack.nbytes
        if picture.colour:
            picture = grey(picture, rgb, channel, path)
        pictures.append(picture)
        refuse_large(total, f"{file.path} and the other files of field {file.field_id!r}")
        shape = picture.stack.shape
        first = pictures[0].stack.shape
        _require_same("height and width", shape[2:], first[2:], path, file)
        _require_same("number of channels", shape[:1], first[:1], path, file)
    return pictures


def _require_same(what, shape, first, path, file):
    """Refuse a file of a field that differs in this part of its shape from the field's first file."""
    if shape != first:
        raise InputRefused(f"{path}: {what} {_size(shape)}, but {file.path.name} of the same field has {_size(first)}; "
                           "export the field again")


def _size(shape):
    return " x ".join(map(str, shape))


def _one_channel_each(file, pictures):
    """Names, and [Z, H, W] for each, of files that hold one channel; several files of a channel are its z planes."""
    planes = {}
    for path, name, picture in zip(file.paths, file.channels, pictures, strict=True):
        if len(picture.stack) != 1:
            raise InputRefused(f"{path}: holds {len(picture.stack)} channels, but its name stands for {name} alone; "
                               "take group channel out of config.name_pattern")
        planes.setdefault(name, []).append(picture.stack[0])
    stacks = []
    depths = set()
    deep = []  # channels with several planes
    for name, parts in planes.items():
        stack = np.concatenate(parts)
        stacks.append(stack)
        if len(stack) > 1:
            depths.add(len(stack))
            deep.append(f"{name} {len(stack)}")
    if len(depths) > 1:
        raise InputRefused(f"{file.path}: channels of field {file.field_id!r} differ in z planes ({', '.join(deep)}); "
                           "allowed: as many for each, or a single one; copy the missing files")
    return tuple(planes), stacks


def _pixel_size(file, pictures, pixel_um):
    """Um per px: what the files say, else what the sidecar or the config says, which must not disagree."""
    given = file.pixel_um or pixel_um
    where = "the sidecar's" if file.pixel_um else "config's"
    advice = "empty it" if file.pixel_um else "set pixel_um to 0"
    first = None
    for path, picture in zip(file.paths, pictures, strict=True):
        size = picture.pixel_um
        if not size:
            continue
        if given and differ(size, given):
            raise InputRefused(f"{path}: {where} pixel_um says {given:g}, the file says {size:g} um per px; "
                               f"{advice} to use the file's")
        if first is None:
            first = size
            first_path = path
        if differ(size, first):
            raise InputRefused(f"{path}: {size:g} um per px, but {first_path.name} of the same field has "
                               f"{first:g}; export the field again")
    return given if first is None else first
