"""The data sets of the zoo of confounds and how a network is trained on each: simulated fields that are edited."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd
import tifffile

from configs import base
from configs.data import simulated
from data_prep.simulation import lines, simulate
from experiments.confounds import CLEAN, CONFOUNDS
from experiments.field_edits import CLASSES, Field

FIELDS = 48  # of a data set; 14 of them are of validation
CELLS = (40, 60)  # of a field
STEPS = 600
LINE = "HeLa"
HALF_IN_G2 = dataclasses.replace(lines.LINES[LINE], name="HalfInG2", s_start=0.20, g2_start=0.42)
lines.LINES[HALF_IN_G2.name] = HALF_IN_G2  # cells of clean fields: half of them are of each class


@dataclasses.dataclass(frozen=True)
class Case:
    """A data set and the network that is trained on it."""

    kind: str
    clean: bool
    strength: float
    mask: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder, and of its line."""
        sort = "clean" if self.clean else "planted"
        return f"{sort}_{self.kind}_{self.strength:g}_{self.mask}_{self.seed}".replace(" ", "-").replace(",", "")

    @property
    def planted(self):
        """What is done to its fields."""
        return (CLEAN if self.clean else CONFOUNDS)[self.kind]


def cases(seeds: int) -> list[Case]:
    """All data sets of so many seeds each; those of a seed in random order, so that a part of them is of all kinds."""
    listed = []
    for seed in range(seeds):
        of_seed = []
        for kinds, clean in ((CONFOUNDS, False), (CLEAN, True)):
            for kind, planted in kinds.items():
                for strength in planted.strengths:
                    for mask in planted.masks:
                        of_seed.append(Case(kind, clean, strength, mask, seed))
        order = np.random.default_rng(seed).permutation(len(of_seed))
        listed += [of_seed[number] for number in order]
    return listed


def fields_of(case: Case, out: pathlib.Path) -> pathlib.Path:
    """The fields that a case edits: simulated once for all with the same effects and seed."""
    effects = case.planted.effects
    name = "_".join([f"{key}{value:g}" for key, value in effects.items()]) or "null"
    line = HALF_IN_G2.name if case.clean else LINE
    folder = out / "bases" / f"{line}_{name}_{case.seed}"
    if (folder / "simulation.json").is_file():
        return folder
    c = base.simulation()
    c.seed = 1000 + case.seed
    c.lines = (line,)
    c.fields_per_line = FIELDS
    c.cells_per_field = CELLS
    c.workers = 1
    for effect in c.effects:
        if effect != "marker":
            c.effects[effect] = effects.get(effect, 0.0)
    simulate.simulate(c, folder)
    return folder


def plant(case: Case, source: pathlib.Path, folder: pathlib.Path) -> str:
    """Write edited copies of fields to FOLDER/fields, and the labels that follow the edit to FOLDER/table.csv.

    The fields as they were come to FOLDER/unedited, under the same names.

    Returns:
        The table of labels; "" where the marker labels the cells.
    """
    rng = np.random.default_rng([7, case.seed])
    truth = pd.read_parquet(source / "truth.parquet")
    paths = sorted((source / "fields").glob("*.tif"))
    orders = rng.permutation(len(paths)) / len(paths)
    rows = []
    for number, (path, order) in enumerate(zip(paths, orders, strict=True)):
        name = path.name.split(".")[0]
        cells = truth[truth["field_id"] == name].reset_index(drop=True)
        nuclei = np.squeeze(tifffile.imread(source / "labels" / f"{name}.tif"))
        nuclei = nuclei[0] if nuclei.ndim == 3 else nuclei
        unedited = tifffile.imread(path).astype(np.float64)
        field = Field(name, unedited.copy(), nuclei, cells, order)
        classes = case.planted.edit(field, case.strength, rng)
        if case.planted.one_class_wells:
            field.name = f"HeLa_{'ABCD'[number // 12]}{number % 12 + 1:02d}_s1"
        if classes is not None:
            for (y, x), said in zip(field.centres, classes, strict=True):
                rows.append({"Field": field.name, "Y": y, "X": x, "Said": said})
        write_field(field.image, folder / "fields" / f"{field.name}.ome.tif")
        write_field(unedited, folder / "unedited" / f"{field.name}.ome.tif")
    if not rows:
        return ""
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    return str(folder / "table.csv")


def write_field(image, path) -> None:
    """Write counts f64 [4, H, W] as an OME-TIFF of 0.5 um per px."""
    pixels = np.clip(np.round(image), 0, 65535).astype(np.uint16)
    channels = {"Name": ["DNA", "Golgi", "EB1", "CENPF"]}
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}
    metadata = {"axes": "CYX", "Channel": channels, **size}
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=metadata)


def preparation(case: Case, table: str):
    """From fields to crops of 40 px; `table` as of `plant`."""
    c = simulated.get_config()
    c.source = "folder"
    c.name_pattern = r"(?P<line>HeLa|HalfInG2)_(?P<well>[A-D]\d\d)_s(?P<site>\d+)"
    c.crop.size_px = 40
    c.crop.um_per_px = 0.8
    c.split.fractions = (0.5, 0.3, 0.2)
    c.split.seed = case.seed
    c.workers = 1
    if table:
        c.labels.method = "column"
        c.labels.table = table
        c.labels.column = "Said"
        c.labels.classes = CLASSES
    if case.planted.one_class_wells:
        c.split.by = "well"
        c.reference.by = "plate"
    return c


def training(case: Case):
    """A small network: of even seeds a residual one, of odd ones that of the paper, whose crops are not rotated."""
    c = base.training()
    c.seed = case.seed
    c.data.mask = case.mask
    c.train.steps = STEPS
    c.train.eval_every = STEPS // 2
    c.train.checkpoint_every = STEPS
    c.explain.cells_per_class = 100
    if case.seed % 2:
        c.model.name = "nagao2020"
        c.augment.rotate_deg = 0.0  # which blurs, so that noise and focus are hard to learn
        c.augment.shift = 0.0
    return c
