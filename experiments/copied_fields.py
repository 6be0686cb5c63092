"""Are copies of a field in another split found by their cells, and is nothing found where there is none?

    python -m experiments.copied_fields --out=runs/copied_fields

Simulated fields and changed copies of them are measured as `prepare` does. Each field with its copy is a planted pair
of two splits; a field and the copy of another are a pair of which nothing may be found. Sites that overlap are cut from
a larger scene too, as a strip of a small field holds hardly a whole nucleus. README.md holds the result. Ten minutes
on 2 cores.
"""

import argparse
import pathlib
import shutil

import numpy as np
import tifffile
from scipy import ndimage

from cellcycle_jax import schema
from configs import base
from data_prep.dataset import same_cells
from data_prep.dataset.nuclear_pictures import NuclearPictures
from data_prep.fields_to_cells import all_fields
from data_prep.simulation import simulate
from experiments import planted_data
from experiments.explanation_tables import markdown

FIELDS = 60
FIELD_PX = 512
SCENES = 30
SCENE_PX = 1536  # of a larger field; its cells are as crowded
PHOTON = 4  # counts of a photon, as of the simulated camera
OFFSET = 100  # counts without light
NUCLEUS = "DNA"


def exposed_again(image, rng):
    """The same scene with the photon noise of another exposure, f64 [C, H, W]."""
    photons = np.maximum(image - OFFSET, 0) / PHOTON
    return OFFSET + PHOTON * rng.poisson(photons)


def _overlap(share):
    def overlap(image, rng):
        width = round(image.shape[2] / (2 - share))
        return image[:, :, :width], exposed_again(image[:, :, -width:], rng)

    return overlap


KINDS = {  # (image f64 [C, H, W], rng) -> the field, and its copy
    "copy": lambda image, rng: (image, image),
    "turned by 90 degrees": lambda image, rng: (image, np.rot90(image, 1, (1, 2))),
    "mirrored": lambda image, rng: (image, image[:, :, ::-1]),
    "turned and mirrored": lambda image, rng: (image, np.rot90(image[:, :, ::-1], 1, (1, 2))),
    "shifted by 60 px": lambda image, rng: (image[:, :, :-60], image[:, :, 60:]),
    "brighter, 1.7 times": lambda image, rng: (image, 1.7 * image + 150),
    "one count more": lambda image, rng: (image, image + 1),
    "blurred by 0.5 px": lambda image, rng: (image, ndimage.gaussian_filter(image, (0, 0.5, 0.5))),
    "exposed again": lambda image, rng: (image, exposed_again(image, rng)),
    "overlapping by 40 %": _overlap(0.4),
    "overlapping by 25 %": _overlap(0.25),
    "overlapping by 15 %": _overlap(0.15),
}
OF_SCENES = {
    "overlapping by 25 %": _overlap(0.25),
    "overlapping by 15 %": _overlap(0.15),
    "overlapping by 10 %": _overlap(0.1),
}


def measured(folder, out):
    """All objects of the fields in a folder, and the pictures of their nuclei."""
    config = planted_data.preparation(planted_data.Case("all cues", True, 1.0, "cell", 0), "")
    config.workers = 0
    processed = all_fields.process_fields(config, folder, out)
    preprocessing = processed.preprocessing
    return processed.table, NuclearPictures(preprocessing.crops, preprocessing.channels.index(NUCLEUS))


def pairs_found(folder, out) -> tuple[int, int, float]:
    """Planted pairs found, other pairs found, and the median number of cells in the planted ones."""
    table, pictures = measured(folder, out)
    is_copy = table[schema.FIELD].str.contains("_B")
    table[schema.SPLIT] = np.where(is_copy, "test", "train")
    found = same_cells.shared(table, NUCLEUS, pictures)
    planted = [pair for pair in found if len({name.replace("_B", "_A") for name in pair.fields}) == 1]
    return len(planted), len(found) - len(planted), np.median([pair.cells for pair in planted] or [0])


def write_pairs(sources, change, folder) -> None:
    """Each field as site of a well A, and its copy as that of a well B."""
    rng = np.random.default_rng(0)
    for number, source in enumerate(sources):
        image = tifffile.imread(source).astype(np.float64)
        for well, picture in zip("AB", change(image, rng), strict=True):
            planted_data.write_field(picture, folder / f"HeLa_{well}01_s{number + 1}.ome.tif")


def simulated(out, number: int, size_px: int) -> list[pathlib.Path]:
    """So many fields of one line, as crowded whatever their size."""
    config = base.simulation()
    config.seed = 1
    config.lines = ("HeLa",)
    config.fields_per_line = number
    times = (size_px / config.field_size_px) ** 2
    config.field_size_px = size_px
    config.cells_per_field = tuple(round(times * cells) for cells in config.cells_per_field)
    simulate.simulate(config, out / f"simulated_{size_px}")
    return sorted((out / f"simulated_{size_px}" / "fields").glob("*.tif"))


def main() -> None:
    """The command line: simulate, copy, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/copied_fields", help="folder for what is made meanwhile")
    out = pathlib.Path(parser.parse_args().out)
    rows = []
    for number, size_px, kinds in ((FIELDS, FIELD_PX, KINDS), (SCENES, SCENE_PX, OF_SCENES)):
        sources = simulated(out, number, size_px)
        for kind, change in kinds.items():
            folder = out / f"kind{len(rows)}"
            write_pairs(sources, change, folder / "fields")
            planted, others, cells = pairs_found(folder / "fields", folder / "measured")
            rows.append([kind, size_px, f"{planted} of {number}", others, f"{cells:.0f}"])
            shutil.rmtree(folder)
    print(markdown(["copy", "field, px", "pairs found", "others found", "cells in both (median)"], rows))


if __name__ == "__main__":
    main()
