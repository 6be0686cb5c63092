"""Simulated microscope fields with a known answer, written as any microscope's files, and the truth beside them."""

import dataclasses
import pathlib
import zlib

import numpy as np
import pandas as pd
import scipy
import tifffile
from tqdm import tqdm

from cellcycle_jax import files
from cellcycle_jax.errors import UsageError
from data_prep.simulation import config_checks
from data_prep.simulation.camera import expose
from data_prep.simulation.lines import LINES
from data_prep.simulation.population import CHANNELS
from data_prep.simulation.scene import LABEL_IMAGES, draw_scene
from data_prep.workers import parallel

SITES_PER_WELL = 4
WELLS_PER_ROW = 12
TRUTH_UNITS = {
    "centre_y_px": "px",
    "centre_x_px": "px",
    "age": "fraction of the cycle",
    "dna_content": "C1 = 1",
    "dna_stain": "C1 = 1",
    "nuclear_area_um2": "um^2",
    "golgi_area_um2": "um^2",
    "golgi_scatter_um": "um",
    "plus_end_density_per_um2": "1/um^2",
    "marker": "fold of typical G1",
}


@dataclasses.dataclass(frozen=True)
class FieldName:
    """Where a field comes from."""

    cell_line: str
    plate: str
    well: str
    site: int
    number: int  # counted over the fields of its line

    @property
    def field_id(self) -> str:
        """Stem of the field's file."""
        return f"{self.cell_line}_{self.well}_s{self.site}"


def simulate(config, out_dir) -> None:
    """Write simulated fields with their truth.

    Args:
        config: ConfigDict as `configs.base.simulation` makes it.
        out_dir: folder for fields/<line>_<well>_s<site>.ome.tif, labels/<field_id>.tif, truth.parquet, simulation.json.

    Raises:
        UsageError: a value of the config is out of range, or `out_dir` holds fields of another simulation.
    """
    config_checks.refuse_values(config)
    out_dir = pathlib.Path(out_dir)
    names = []
    for line in config.lines:
        names += field_names(line, config.fields_per_line)
    _refuse_foreign_fields(out_dir, names)
    done = parallel.each(_write_field, names, (config, out_dir), config.workers)
    tables = dict(tqdm(done, total=len(names), desc="simulate", unit="field"))
    truth = pd.concat([tables[name] for name in names], ignore_index=True)
    files.write_table(truth, out_dir / "truth.parquet", TRUTH_UNITS)
    about = {
        "config": config.to_dict(),
        "versions": {
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "tifffile": tifffile.__version__,
        },
        "channels": CHANNELS,
        "label_images": LABEL_IMAGES,
        "fields": len(names),
        "cells": len(truth),
    }
    files.write_json(out_dir / "simulation.json", about)


def field_names(line: str, n: int) -> list[FieldName]:
    """Names of `n` fields of a line: wells A01, A02, ... of one plate, four sites each."""
    names = []
    for number in range(n):
        row, column = divmod(number // SITES_PER_WELL, WELLS_PER_ROW)
        well = f"{chr(ord('A') + row)}{column + 1:02d}"
        site = number % SITES_PER_WELL + 1
        names.append(FieldName(line, f"{line}-P1", well, site, number))
    return names


def make_field(config, name: FieldName):
    """Draw one field and expose it.

    Args:
        config: of a simulation.
        name: which field; its pixels depend on config and name only.

    Returns:
        (image u16 [H, W, 4] camera counts, the `Scene` behind it).
    """
    # Keyed by line and number, so that neither the other lines nor the number of workers change a field.
    line_key = zlib.crc32(name.cell_line.encode())
    field_seed = np.random.SeedSequence(config.seed, spawn_key=(line_key, name.number + 1))
    plate_seed = np.random.SeedSequence(config.seed, spawn_key=(line_key, 0))
    rng = np.random.default_rng(field_seed)
    plate_rng = np.random.default_rng(plate_seed)
    scene = draw_scene(rng, LINES[name.cell_line], config)
    image = expose(rng, plate_rng, scene.canvas, config.nuisance, config.pixel_um)
    return image, scene


def _write_field(name, shared) -> pd.DataFrame:
    """Write one field and its labels; gives its rows of the truth."""
    config, out_dir = shared
    image, scene = make_field(config, name)
    text = f"plate={name.plate} well={name.well} site={name.site} line={name.cell_line}"
    pixels = image.transpose(2, 0, 1)
    write_ome(out_dir / "fields" / f"{name.field_id}.ome.tif", pixels, CHANNELS, text, config.pixel_um)
    labels = scene.labels.astype(np.uint16)
    write_ome(out_dir / "labels" / f"{name.field_id}.tif", labels, LABEL_IMAGES, text, config.pixel_um)
    table = scene.cells.copy()
    table.insert(0, "field_id", name.field_id)
    table.insert(1, "cell_line", name.cell_line)
    table.insert(2, "plate", name.plate)
    table.insert(3, "well", name.well)
    table.insert(4, "site", name.site)
    return table


def write_ome(path, pixels, channels, text, pixel_um):
    """Write a field as OME-TIFF.

    Args:
        path: where to.
        pixels: u16 [C, H, W].
        channels: names of the C channels.
        text: name of the image in the file.
        pixel_um: um per px.
    """
    about = {
        "axes": "CYX",
        "Name": text,
        "Channel": {"Name": list(channels)},
        "PhysicalSizeX": pixel_um,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": pixel_um,
        "PhysicalSizeYUnit": "µm",
    }
    pixels_per_cm = 1e4 / pixel_um
    with files.atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            pixels,
            ome=True,
            photometric="minisblack",
            compression="zlib",
            metadata=about,
            resolution=(pixels_per_cm, pixels_per_cm),
            resolutionunit="CENTIMETER",
        )


def _refuse_foreign_fields(out_dir, names):
    """Fields of two simulations in one folder would be taken for one data set."""
    own = {f"{name.field_id}.ome.tif" for name in names}
    for path in sorted((out_dir / "fields").glob("*.tif")):
        if path.name not in own and not path.name.startswith("."):
            raise UsageError(
                f"{out_dir}/fields: found {path.name} of another simulation, allowed: an empty or new folder"
            )
