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
    own, folder, labels_folder = (pathlib.Path(os.path.realpath(one)) for one in (path.parent, folder, labels_folder))
    if not own.is_relative_to(labels_folder) or path.suffix.lower() not in ENDINGS:
        return False
    return not folder.is_relative_to(labels_folder) or bool(SUFFIX.search(stem(path.name)))


def of_others(paths) -> list[pathlib.Path]:
    """The files that have the name of another one and a suffix such as _cp_masks."""
    stems = {path: stem(readable(path.name)) for path in paths}
    known = set(stems.values())
    return [path for path, name in stems.items() if SUFFIX.search(name) and SUFFIX.sub("", name) in known]


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
    if not pathlib.Path(os.path.realpath(labels_folder)).is_relative_to(os.path.realpath(folder)):
        listing.say(listed)  # else it was said of the fields
    known = collections.defaultdict(list)
    for path in listed.files:
        if is_label_image(path, folder, labels_folder):
            name = stem(SUFFIX.sub("", stem(readable(path.name))))
            known[text_of(path.parent, labels_folder), stem(name + ".tif")].append(path)
    found, owner = [], {}
    for file in files:
        path = _of(file, folder, known)
        if path is not None and (other := owner.setdefault(path, file)) is not file:
            raise InputRefused(f"{path} is the label image of both {other.path} and {file.path}; put label images into "
                               "the same sub-folders as the fields, or name them by field_id")
        found.append(path)
    if not owner:
        raise InputRefused(f"config.labels_folder: {labels_folder} holds no label image for a field (first field: "
                           f"{files[0].path.name}; allowed: {stem(files[0].path.name)}.tif, .tiff or .png, with or "
                           "without _cp_masks, _label, _labels, _mask, _masks, _seg)")
    return found


def read(path: pathlib.Path, mask: bool = False) -> np.ndarray:
    """Whole numbers [H, W] of the nuclei as the image gives them, 0 is background.

    Args:
        path: the label image.
        mask: it is one of a set of masks, see `are_masks`: each connected piece is a nucleus. So it is in any image of
            one bit, and in a colour image, where red holds a number that distant nuclei may share: there, touching
            pixels of one value are a nucleus.

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
    top = numbers.max(initial=0)
    if top in USUAL_IN_MASKS and not ((numbers > 0) & (numbers < top)).any():
        pieces = connected(numbers.astype(np.int64), connectivity=1).max()
        if pieces >= PIECES_OF_A_MASK:
            raise InputRefused(f"{path}: the one number {top} for {pieces} separate pieces, as in a mask, but not all "
                               "label images are masks of one value; make them so, or number the nuclei in all")


def are_masks(paths) -> bool:
    """Whether label images are masks, in which touching nuclei are one: one value stands for all nuclei of all images.

    An image with a single nucleus holds a single value, too. So they are numbered as soon as one of them holds two
    values, or two of them hold different ones, or an image that stands alone holds a value that is not usual in masks.
    Images that cannot be read, or that hold nothing, say nothing, nor do colour images with several values.
    """
    value, images = None, 0
    for path in paths:
        try:
            image = _read(path)
        except InputRefused:
            continue
        numbers = image.numbers[image.numbers > 0]
        several = bool(numbers.size) and numbers.min() != numbers.max()
        if not numbers.size or (several and image.shared):
            continue
        if several or value not in (None, numbers[0]):
            return False
        value, images = numbers[0], images + 1
    return images > 1 or value in USUAL_IN_MASKS


class _Image(NamedTuple):
    """A label image as it is stored: whole numbers [H, W], and whether distant nuclei may share one."""

    numbers: np.ndarray
    shared: bool


def _read(path):
    picture = read_picture(path, labels=True)
    if picture.colour:
        image, shared = _red(picture.stack[:, 0], path)
    else:
        image, shared = picture.stack[0, 0], picture.bits == 1
        if picture.stack.shape[:2] != (1, 1):
            raise InputRefused(f"{path}: {picture.stack[..., 0, 0].size} planes; allowed: one plane with a number per "
                               "nucleus")
    image = image.astype(np.uint8) if image.dtype.kind == "b" else image
    if image.dtype.kind not in "uif" or not np.isfinite(image).all() or (image != np.rint(image)).any() or \
            image.min() < 0 or (image.dtype.kind == "f" and image.max() > HIGHEST_FLOAT):
        raise InputRefused(f"{path}: {image.dtype} values from {image.min()} to {image.max()}; allowed: whole numbers, "
                           "0 for background and one per nucleus")
    return _Image(image.astype(np.int64) if image.dtype.kind == "f" else image, shared)


def _of(file, folder, known):
    """The label image of a field: beside its files' names first, then by its field_id."""
    beside = [(text_of(path.parent, folder), stem(readable(path.name))) for path in file.paths]
    above = [(".", name) for _, name in beside]
    for name in dict.fromkeys([*beside, *above, (".", file.field_id)]):
        if len(found := known.get(name, [])) > 1:
            raise InputRefused(f"{found[0]} and {found[1]} are both the label image of {file.path}; delete one of them")
        if found:
            return found[0]
    return None


def _red(planes, path):
    """The first plane of a colour image, where it holds everything, and whether numbers may be shared in it."""
    red, others = planes[0], planes[1:3]
    repeats, empty = (others == red).all(), (others == 0).all()
    if not repeats and not empty:
        raise InputRefused(f"{path}: colours stand for nuclei; allowed: one grey plane with a number per nucleus; "
                           "save the labels as grey TIFF or PNG")
    return red, not repeats
