"""Single-cell crops of Nagao et al. 2020: cell cycle phase by DNA, Golgi or plus ends, and cilia (another question).

Download: https://doi.org/10.5281/zenodo.3745864; the licence stands there. The folder given is one of the archive's
four sets, as unpacked: SET/data/x_train.npy, y_train.npy, X_test.npy, Y_test.npy, crops of N x 135 x 135 x 3, values 0
to 255.

The training array holds each original followed by three copies that were turned and shifted. Only the originals are
taken here, so that no copy of a cell meets its original in another split; that they are the originals is checked. Cells
of X_test are the test split. The archive does not say which field a crop is from: every cell is a group of its own.
Each field had been scaled to mean 64 and standard deviation 16 before, so brightness still depends on how crowded it
was.
"""

import dataclasses
import functools
import pathlib

import numpy as np
import pandas as pd

from cellcycle_jax.errors import InputRefused
from data_prep.reading.field import Field, FieldFile, field_of

COPIES = 3  # augmented copies that follow each original
CROP_PX = 135
REACH_PX = 30  # the nucleus that a crop is about lies this near to its middle
FILES = {"": ("x_train.npy", "y_train.npy"), "test": ("X_test.npy", "Y_test.npy")}  # by split that the archive names
NOTES = (
    "The archive does not say which field a crop is from: cells of one field may be on both sides of a split, so "
    "scores may be too high and intervals too narrow.",
)


@dataclasses.dataclass(frozen=True)
class Set:
    """What one set of the archive shows."""

    cell_line: str
    channels: tuple[str, ...]  # of the three planes, those that show something
    classes: tuple[str, ...]  # by the number in the label arrays


SETS = {
    "HeLa_Hoechst-GM130": Set("HeLa", ("DNA", "Golgi"), ("G2", "notG2")),
    "HeLa_Hoechst-EB1": Set("HeLa", ("DNA", "EB1"), ("G2", "notG2")),
    "RPE1_Hoechst": Set("RPE1", ("DNA",), ("G2", "notG2")),
    "NIH3T3_Cilia": Set("NIH3T3", ("DNA", "cilia"), ("Cilia", "notCilia")),
}


def find_fields(root, config) -> list[FieldFile]:
    """The original crops of the set in `root`, each as a field of its own.

    Raises:
        InputRefused: no set of the archive, a file that is missing or of another shape, or crops at every fourth place
            that are no originals.
    """
    root = pathlib.Path(root)
    if root.name not in SETS:
        inside = ", ".join(name for name in SETS if (root / name).is_dir()) or "none of them"
        raise InputRefused(f"--fields={root}: name one set of the archive: {', '.join(SETS)}; found in it: {inside}")
    files = []
    for split, (crops, labels) in FILES.items():
        files += _files(root / "data" / crops, root / "data" / labels, split, SETS[root.name])
    return files


def read(file: FieldFile, config) -> Field:
    """One crop, values as in the archive; the planes that show nothing are left out."""
    channels = SETS[file.plate].channels
    crop = _array(file.path)[file.part, ..., : len(channels)]
    return field_of(file, crop.astype(np.uint16), channels, None)


def objects(file: FieldFile, labels, config) -> pd.DataFrame:
    """The nucleus nearest to the middle, which the crop is about, cut so that the crop is whole."""
    middle = CROP_PX // 2
    y, x = np.nonzero(labels)
    distance = np.hypot(y - middle, x - middle)
    centre = pd.DataFrame({"crop_y": [float(middle)], "crop_x": [float(middle)]})
    if not len(distance) or distance.min() > REACH_PX:
        return centre.iloc[:0]
    nearest = distance.argmin()
    return centre.set_axis([labels[y[nearest], x[nearest]]])


def _files(crops, labels, split, contents):
    """A `FieldFile` per original in one array of crops; `contents` are those of the set."""
    image = _array(crops)
    label = _array(labels)
    if image.ndim != 4 or image.shape[1:] != (CROP_PX, CROP_PX, 3):
        raise InputRefused(f"{crops}: is {image.shape}; allowed: N x {CROP_PX} x {CROP_PX} x 3")
    is_one_hot = label.ndim == 2 and label.shape[1] == 2
    label = label.argmax(axis=1) if is_one_hot else label.ravel()
    if len(label) != len(image) or not np.isin(label, (0, 1)).all():
        raise InputRefused(f"{labels}: {len(label)} labels for {len(image)} crops; allowed: one 0 or 1 for each crop")
    step = 1 if split else 1 + COPIES
    _refuse_other_planes(image, contents.channels, crops)
    _refuse_copies(image, label, step, crops)
    files = []
    for number in range(0, len(image), step):
        name = f"{'test' if split else 'train'}{number:04d}"
        file = FieldFile(
            (crops,),
            field_id=name,
            cell_line=contents.cell_line,
            plate=crops.parents[1].name,
            well=name,
            label=contents.classes[int(label[number])],
            part=number,
            extra=(("ArchiveSplit", split),),
        )
        files.append(file)
    return files


def _refuse_copies(image, label, step, path):
    """The crops at every `step`-th place must be originals, which hold whole numbers, and those between must not."""
    if len(image) % step:
        raise InputRefused(f"{path}: {len(image)} crops; allowed: a multiple of {step}, each original with its copies")
    for start in range(0, len(image), step):
        crops = image[start : start + step]
        is_whole = (crops == np.round(crops)).all(axis=(1, 2, 3))
        if not is_whole[0]:
            raise _misplaced(path, start, "original", step)
        if is_whole[1:].any():
            raise _misplaced(path, start + 1 + is_whole[1:].argmax(), "copy", step)
        if len(np.unique(label[start : start + step])) > 1:
            raise InputRefused(f"{path}: crop {start} and its copies have different labels; download the set again")


def _misplaced(path, number, expected, step) -> InputRefused:
    return InputRefused(
        f"{path}: crop {number} is no {expected}; allowed: an original, of whole numbers, at every {step}th place, and "
        "turned copies between"
    )


def _refuse_other_planes(image, channels, path):
    """The first planes must show something, as many as there are channels, and the others nothing."""
    sample = image[:: max(1, len(image) // 50)]
    is_used = np.ptp(sample, axis=(0, 1, 2)) > 0
    n = len(channels)
    if not is_used[:n].all() or is_used[n:].any():
        used = np.flatnonzero(is_used).tolist()
        raise InputRefused(
            f"{path}: planes with a picture: {used}; expected for this set: {', '.join(channels)}; is it another set?"
        )


@functools.lru_cache(maxsize=8)
def _array(path):
    if not path.is_file():
        raise InputRefused(f"{path}: no such file; unpack the whole set")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputRefused(f"{path}: not a readable array ({error}); download the set again") from None
