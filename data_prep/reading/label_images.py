"""Label images made elsewhere: found by name, read, with the numbers that they give the nuclei."""

import collections
import os
import pathlib
import re
from typing import NamedTuple

import numpy as np
from skimage.measure import label as connected

from cellcycle_jax.errors import InputRefused
from data_prep.reading import listing
from data_prep.reading.field import FieldFile
from data_prep.reading.formats import read_picture, stem
from data_prep.reading.listing import readable, text_of

USUAL_IN_MASKS = (1, 255, 65535)
PIECES_OF_A_MASK = 3  # a nucleus is hardly ever in so many
HIGHEST_FLOAT = 2**53  # up to here a float is one whole number and no other
ENDINGS = (".tif", ".tiff", ".png")
SUFFIX = re.compile(r"_(cp_masks|labels?|masks?|seg)$", re.IGNORECASE)


def is_label_image(path: pathlib.Path, folder: pathlib.Path, labels_folder: pathlib.Path) -> bool:
    """Whether a file is a label image: any in a folder of their own, one with a suffix where they lie among fields."""
    labels_folder = _real(labels_folder)
    if path.suffix.lower() not in ENDINGS or not _real(path.parent).is_relative_to(labels_folder):
        return False
    among_fields = _real(folder).is_relative_to(labels_folder)
    return not among_fields or bool(SUFFIX.search(stem(path.name)))


def _real(folder):
    return pathlib.Path(os.path.realpath(folder))


def of_others(paths) -> list[pathlib.Path]:
    """The files that have the name of another one and a suffix such as _cp_masks."""
    stems = {path: stem(readable(path.name)) for path in paths}
    names = set(stems.values())
    others = []
    for path, name in stems.items():
        without_suffix = SUFFIX.sub("", name)
        if without_suffix != name and without_suffix in names:
            others.append(path)
    return others


def find(files: list[FieldFile], folder: pathlib.Path, labels_folder: pathlib.Path) -> list[pathlib.Path | None]:
    """The label image of each field, None where it has none.

    It has the name of one of the field's files, or its field_id, without ending and with or without a suffix such as
    _cp_masks, and lies in the same sub-folder as the field or in the label folder itself.

    Raises:
        InputRefused: no such folder, no field has a label image, a field has two, or two fields have the same.
    """
    if not labels_folder.is_dir():
        raise InputRefused(f"config.labels_folder: {labels_folder}: no such folder")
    listed = listing.list_files(labels_folder, ENDINGS)
    if not _real(labels_folder).is_relative_to(_real(folder)):
        listing.say(listed)  # else this was printed when the fields were listed
    images_named = collections.defaultdict(list)  # (sub-folder, name without ending and suffix): paths
    for path in listed.files:
        if is_label_image(path, folder, labels_folder):
            name = stem(SUFFIX.sub("", stem(readable(path.name))))
            images_named[text_of(path.parent, labels_folder), stem(name + ".tif")].append(path)
    images = []
    owners = {}
    for file in files:
        path = _of(file, folder, images_named)
        if path in owners:
            raise InputRefused(
                f"{path} is the label image of both {owners[path].path} and {file.path}; put label images into the "
                "same sub-folders as the fields, or name them by field_id"
            )
        if path is not None:
            owners[path] = file
        images.append(path)
    if not owners:
        name = files[0].path.name
        raise InputRefused(
            f"config.labels_folder: {labels_folder} holds no label image for a field (first field: {name}; allowed: "
            f"{stem(name)}.tif, .tiff or .png, with or without _cp_masks, _label, _labels, _mask, _masks, _seg)"
        )
    return images


def read(path: pathlib.Path, mask: bool = False) -> np.ndarray:
    """Whole numbers [H, W] of the nuclei as the image gives them, 0 is background.

    Args:
        path: the label image.
        mask: it is one of a set of masks, see `are_masks`: each connected region is a nucleus. So it is in any image of
            one bit, and in a colour image, where red holds a number that distant nuclei may share: there, touching
            pixels of one value are a nucleus.

    Returns:
        i32 where the numbers fit, else the image's own integer type, or i64 for an image of floats.

    Raises:
        InputRefused: several planes, colours, values that are not whole numbers from 0.
    """
    image = _read(path)
    if mask or image.shared:
        return connected(image.numbers.astype(np.int64), connectivity=1).astype(np.int32)
    _refuse_mask(image.numbers, path)
    fits = image.numbers.max(initial=0) <= np.iinfo(np.int32).max
    return image.numbers.astype(np.int32) if fits else image.numbers


def _refuse_mask(numbers, path):
    """Refuse a mask where not all images are masks of one value: all of its nuclei would be one."""
    highest = numbers.max(initial=0)
    if highest not in USUAL_IN_MASKS or ((numbers > 0) & (numbers < highest)).any():
        return
    regions = connected(numbers.astype(np.int64), connectivity=1).max()
    if regions >= PIECES_OF_A_MASK:
        raise InputRefused(
            f"{path}: the one number {highest} for {regions} separate regions, as in a mask, but not all label images "
            "are masks of one value; make them so, or number the nuclei in all"
        )


def are_masks(paths) -> bool:
    """Whether label images are masks, in which touching nuclei are one: one value stands for all nuclei of all images.

    An image with a single nucleus holds a single value, too. So they are numbered as soon as one of them holds two
    values, or two of them hold different ones, or an image that stands alone holds a value that is not usual in masks.
    Images that cannot be read or hold no nucleus do not count, nor do colour images with several values.
    """
    value = None
    images = 0
    for path in paths:
        try:
            image = _read(path)
        except InputRefused:
            continue
        numbers = image.numbers[image.numbers > 0]
        if numbers.size == 0:
            continue
        several = numbers.min() != numbers.max()
        if several and image.shared:
            continue
        if several or value not in (None, numbers[0]):
            return False
        value = numbers[0]
        images += 1
    return images > 1 or value in USUAL_IN_MASKS


class _Image(NamedTuple):
    """A label image as it is stored: whole numbers [H, W], and whether distant nuclei may share one."""

    numbers: np.ndarray
    shared: bool


def _read(path):
    picture = read_picture(path, labels=True)
    if picture.colour:
        numbers, shared = _red(picture.stack[:, 0], path)
    else:
        channels, depth, _, _ = picture.stack.shape
        if channels * depth != 1:
            raise InputRefused(f"{path}: {channels * depth} planes; allowed: one plane with a number per nucleus")
        numbers = picture.stack[0, 0]
        shared = picture.bits == 1
    if numbers.dtype.kind == "b":
        numbers = numbers.astype(np.uint8)
    if not _are_whole(numbers):
        raise InputRefused(
            f"{path}: {numbers.dtype} values from {numbers.min()} to {numbers.max()}; allowed: whole numbers, "
            "0 for background and one per nucleus"
        )
    if numbers.dtype.kind == "f":
        numbers = numbers.astype(np.int64)
    return _Image(numbers, shared)


def _are_whole(numbers) -> bool:
    """Whether all of `numbers` are whole, not negative, and small enough for an integer."""
    if numbers.dtype.kind not in "uif" or not np.isfinite(numbers).all():
        return False
    if (numbers != np.rint(numbers)).any() or numbers.min() < 0:
        return False
    return numbers.dtype.kind != "f" or numbers.max() <= HIGHEST_FLOAT


def _of(file, folder, images_named):
    """The label image of a field: by the names of its files, in its own sub-folder first; then by its field_id."""
    beside = []
    above = []
    for path in file.paths:
        name = stem(readable(path.name))
        beside.append((text_of(path.parent, folder), name))
        above.append((".", name))
    for place in [*beside, *above, (".", file.field_id)]:
        images = images_named.get(place, [])
        if len(images) > 1:
            one, other, *_ = images
            raise InputRefused(f"{one} and {other} are both the label image of {file.path}; delete one of them")
        if images:
            return images[0]
    return None


def _red(planes, path):
    """The first plane of a colour image, where it holds everything, and whether numbers may be shared in it."""
    red = planes[0]
    others = planes[1:3]
    repeats = (others == red).all()
    empty = (others == 0).all()
    if not repeats and not empty:
        raise InputRefused(f"{path}: colours stand for nuclei; allowed: one grey plane with a number per nucleus; "
                           "save the labels as grey TIFF or PNG")
    return red, not repeats
