"""Simulated cells whose phase is written in one cue only, and shortcuts planted beside it: the truth to be found.

The truth table stands here, and was committed before any explanation was scored against it.
"""

import dataclasses
import pathlib

import numpy as np
from ml_collections import ConfigDict
from scipy import ndimage

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays
from configs import base
from configs.data import simulated
from data_prep import prepare
from data_prep.dataset import tfds_builder
from data_prep.simulation import simulate

CHANNELS = ("DNA", "Golgi", "EB1")
CLASSES = ("G1/S", "G2")
FIELDS = 20  # of a data set
CROP_PX = 40
UM_PER_PX = 0.8
SHORTCUT_RATE = 0.95  # share of G2 cells that carry a shortcut, and of G1/S cells that do not


@dataclasses.dataclass(frozen=True)
class Cue:
    """One cue, and which explanation of it is right."""

    effects: dict[str, float]  # of configs.base.simulation; all others are 0
    channels: tuple[str, ...]  # in which it is written
    regions: tuple[str, ...]  # of `localise`, its two parts of the nucleus and of the organelle taken as one
    families: tuple[str, ...]  # of measurements, see `cellcycle_jax.features.families`


# A larger nucleus is a larger hole in the other channels. Plus ends lie all over the cytoplasm, so also where the Golgi
# is. More of a stain is a brighter cell; a scattered Golgi is one of more objects.
CUES = {
    "nuclear area": Cue({"nuclear_area": 0.8}, CHANNELS, ("nucleus",), ("size of the nucleus",)),
    "DNA brightness": Cue(
        {"dna_content": 1.0},
        ("DNA",),
        ("nucleus",),
        ("brightness of the nucleus in DNA", "brightness of the cell in DNA"),
    ),
    "Golgi area": Cue(
        {"golgi_area": 1.5},
        ("Golgi",),
        ("organelle",),
        ("amount of Golgi", "brightness of the cell in Golgi"),
    ),
    "Golgi scattering": Cue(
        {"golgi_scatter": 2.0},
        ("Golgi",),
        ("organelle",),
        ("spread of Golgi", "number of Golgi objects"),
    ),
    "plus-end density": Cue(
        {"plus_end_density": 2.0},
        ("EB1",),
        ("cell body", "organelle"),
        ("frequency of EB1 spots", "amount of EB1", "brightness of the cell in EB1"),
    ),
    "none": Cue({}, (), (), ()),
}
EFFECTS = ("dna_content", "nuclear_area", "golgi_area", "golgi_scatter", "plus_end_density")


def simulation(cue: str, seed: int) -> ConfigDict:
    """Fields of one cell line in which only `cue` and the marker differ between the phases."""
    c = base.simulation()
    c.seed = seed
    c.lines = ("HeLa",)
    c.fields_per_line = FIELDS
    c.cells_per_field = (40, 60)
    c.workers = 1
    c.nuisance.mitotic = 0.0
    for name in EFFECTS:
        c.effects[name] = CUES[cue].effects.get(name, 0.0)
    return c


def preparation(seed: int) -> ConfigDict:
    """Small crops of these fields; one field is kept back, since every data set has a locked split."""
    c = simulated.get_config()
    c.crop.size_px = CROP_PX
    c.crop.um_per_px = UM_PER_PX
    c.workers = 1
    c.split.fractions = (0.6, 0.35, 0.05)
    c.split.seed = seed
    return c


def make_data(folder, cue: str, seed: int) -> pathlib.Path:
    """The data set of a cue below `folder`, made unless it is there; DATA."""
    fields = pathlib.Path(folder) / "fields"
    data_dir = pathlib.Path(folder) / "data"
    if not (data_dir / "provenance.json").is_file():
        simulate.simulate(simulation(cue, seed), fields)
        prepare.prepare(preparation(seed), fields, data_dir, overwrite=True)
    return data_dir


def plant(source, folder, shortcut: str, seed: int) -> pathlib.Path:
    """A copy of the crops of DATA in which a shortcut gives the class away; made unless it is there.

    Args:
        source: DATA, of which labelled cells of training and validation are taken.
        folder: DATA of the copy.
        shortcut: a key of `SHORTCUTS`.
        seed: of what is drawn.
    """
    source = pathlib.Path(source)
    folder = pathlib.Path(folder)
    if (folder / "provenance.json").is_file():
        return folder
    rng = np.random.default_rng(seed)
    cells = {}
    for split in ("train", "validation"):
        crops = crop_arrays.load_crops(source, split)
        labelled = crop_arrays.take(crops, crops.label >= 0)
        crops = SHORTCUTS[shortcut](labelled, rng)
        cells[split] = _cells(crops)
    metadata = {}
    for name in crop_arrays.METADATA:  # the same in both splits
        value = getattr(crops, name)
        metadata[name] = list(value) if isinstance(value, tuple) else value
    tfds_builder.write(folder / "tfds", crops.image.shape[1:], metadata, cells)
    provenance = files.read_json(source / "provenance.json")
    provenance.pop("sha256", None)  # of a table that the copy does not have
    origin = {"shortcut": shortcut, "seed": seed, "of": crop_arrays.identity(source)}
    files.write_json(folder / "provenance.json", provenance | origin)
    return folder


def _cells(crops):
    names = (*crop_arrays.ARRAYS, "compartments_present", "um_per_px", *schema.EXAMPLE_TEXTS)

    def example(row):
        return {name: getattr(crops, name)[row] for name in names}

    return tfds_builder.Cells(crops.cell_id.tolist(), example)


def _is_of_last_class(crops):
    return crops.label == len(crops.classes) - 1


def _carries(crops, rng):
    """Which cells carry the shortcut: nearly all of the last class, hardly any of the others."""
    is_last = _is_of_last_class(crops)
    return np.where(rng.random(len(crops)) < SHORTCUT_RATE, is_last, ~is_last)


def corner_stamp(crops: crop_arrays.Crops, rng) -> crop_arrays.Crops:
    """A saturated square in a corner of the crop, in all channels, as a label burnt into an image."""
    image = crops.image.copy()
    brightest = crops.image.max((0, 1, 2))
    for n in np.flatnonzero(_carries(crops, rng)):
        y, x = rng.integers(2, 5, 2)
        image[n, y : y + 5, x : x + 5] = brightest
    return dataclasses.replace(crops, image=image)


def field_brightness(crops: crop_arrays.Crops, rng) -> crop_arrays.Crops:
    """One phase from some fields and the other from the rest, which were taken with more light in all channels."""
    fields = rng.permutation(np.unique(crops.field_id))
    is_lit = np.isin(crops.field_id, fields[: len(fields) // 2])
    crops = crop_arrays.take(crops, is_lit == _is_of_last_class(crops))
    background = crops.intensity_stats[:, None, None, :, 0] / crops.image_scale[:, None, None, :]
    brighter = background + 1.5 * (crops.image - background)
    brighter = np.clip(brighter, 0, 65535).round().astype(np.uint16)
    is_lit = _is_of_last_class(crops)[:, None, None, None]
    return dataclasses.replace(crops, image=np.where(is_lit, brighter, crops.image))


def neighbour(crops: crop_arrays.Crops, rng) -> crop_arrays.Crops:
    """The nucleus of another cell at the edge of the crop, beside the own one."""
    image = crops.image.copy()
    compartments = crops.compartments.copy()
    channel = crops.channels.index(crops.nucleus)
    is_nucleus = crops.compartments & int(schema.Compartment.NUCLEUS) > 0
    distance = 0.45 * image.shape[1]
    for n in np.flatnonzero(_carries(crops, rng)):
        donor = rng.integers(len(crops))
        angle = rng.uniform(0, 2 * np.pi)
        shift = np.rint(distance * np.array([np.sin(angle), np.cos(angle)])).astype(int)
        is_pasted = _moved(is_nucleus[donor], shift) & ~is_nucleus[n]
        signal = _moved(crops.image[donor, ..., channel].astype(np.float32), shift)
        image[n, ..., channel] = np.where(is_pasted, signal, image[n, ..., channel])
        compartments[n][is_pasted] = int(schema.Compartment.OTHER_NUCLEI)
    return dataclasses.replace(crops, image=image, compartments=compartments)


def _moved(image, shift):
    return ndimage.shift(image, shift, order=0, mode="constant", cval=0, prefilter=False)


SHORTCUTS = {"corner stamp": corner_stamp, "field brightness": field_brightness, "neighbour's nucleus": neighbour}
