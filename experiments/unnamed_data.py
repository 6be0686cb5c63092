"""The data sets of the study of what has no name: simulated fields with cues that the table does not hold, or does."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd
import tifffile
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from cellcycle_jax import schema
from cellcycle_jax.dataset import cell_table
from configs import base
from configs.data import simulated
from data_prep import prepare
from data_prep.simulation import simulate
from experiments import planted, unnamed_cues
from experiments.planted_data import HALF_IN_G2, LINE, write_field

CELLS_PER_FIELD = (40, 60)
FIELDS = {2400: 52, 600: 13}  # for about so many cells
ADMITTED_FIELDS = 110  # on which the table's score is measured: 5,000 cells
DNA_STRENGTH = 0.12  # of the named cue beside one without a name
CALIPER = 0.05  # in log odds: cells of both classes are matched that the table finds as likely to be of one
MATCHED_FROM = 0.52  # score of the table from which cells are matched on it
ROUNDS = 4  # of matching at most; cells that were matched may be told by what was hidden before
CLASSES = ("a", "b")
NULL = "nothing"
NAMED = ("DNA brightness", "nuclear area", "Golgi area", "Golgi scattering", "plus-end density")
ALL_NAMED = "all cues of the simulator"


@dataclasses.dataclass(frozen=True)
class Case:
    """A data set.

    Attributes:
        cue: a key of `unnamed_cues.CUES`, one of NAMED, ALL_NAMED, or NULL.
        strength: with which the cue is planted; 0 of those that the simulator draws.
        beside_dna: whether DNA is brighter in the second class too.
        cells: a key of FIELDS.
        seed: of everything that is drawn.
    """

    cue: str
    strength: float
    beside_dna: bool
    cells: int
    seed: int

    @property
    def name(self) -> str:
        """Of its folder and line."""
        words = [self.cue, f"{self.strength:g}", "dna" if self.beside_dna else "alone", str(self.cells), str(self.seed)]
        return "_".join(words).replace(" ", "-")

    @property
    def is_planted(self) -> bool:
        """Whether fields without biology are edited, rather than drawn with a cue of the simulator."""
        return self.cue in unnamed_cues.CUES or self.cue == NULL


def fields_of(case: Case, out, number: int) -> pathlib.Path:
    """Fields of a case before they are edited; those of null fields are shared by all cases of a seed."""
    if case.is_planted:
        effects = {}
        name = f"null_{case.seed}_{number}"
    else:
        effects = _effects(case.cue)
        name = f"{case.cue}_{case.seed}_{number}".replace(" ", "-")
    folder = pathlib.Path(out) / "bases" / name
    if (folder / "simulation.json").is_file():
        return folder
    c = base.simulation()
    c.seed = 5000 + case.seed
    c.lines = (LINE if case.is_planted else HALF_IN_G2.name,)
    c.fields_per_line = number
    c.cells_per_field = CELLS_PER_FIELD
    c.workers = 1
    c.nuisance.mitotic = 0.0
    for effect in c.effects:
        if effect != "marker":
            c.effects[effect] = effects.get(effect, 0.0)
    simulate.simulate(c, folder)
    return folder


def _effects(cue: str) -> dict:
    if cue != ALL_NAMED:
        return planted.CUES[cue].effects
    effects = {}
    for name in NAMED:
        effects |= planted.CUES[name].effects
    return {name: value / 2 for name, value in effects.items()}


def make_data(case: Case, source: pathlib.Path, folder: pathlib.Path, number: int) -> pathlib.Path:
    """The data set of a case, its cells matched on the table where it tells the classes of planted ones; DATA."""
    table = _edited(case, source, folder, number) if case.is_planted else _true_classes(source, folder)
    config = preparation(case, table)
    fields = folder / "fields" if case.is_planted else source / "fields"
    prepare.prepare(config, fields, folder / "data", keep=True)
    if case.is_planted and not case.beside_dna:
        for _ in range(ROUNDS):
            cells = labelled(folder / "data")
            score, odds = table_score(cells)
            if score <= MATCHED_FROM:
                break
            _keep_labels(table, cells.iloc[_matched(cells, odds)])
            prepare.prepare(config, fields, folder / "data", overwrite=True, keep=True)
    return folder / "data"


def _edited(case: Case, source, folder, number: int) -> pathlib.Path:
    """Write edited fields and the table of their classes."""
    rng = np.random.default_rng([11, case.seed, list(unnamed_cues.CUES).index(case.cue) if case.cue != NULL else 99])
    rows = []
    for path in sorted((source / "fields").glob("*.tif"))[:number]:
        name = path.name.split(".")[0]
        image = tifffile.imread(path).astype(np.float64)
        cells = unnamed_cues.cells_of(*tifffile.imread(source / "labels" / f"{name}.tif"))
        is_second = rng.random(len(cells)) < 0.5
        if case.cue != NULL:
            unnamed_cues.CUES[case.cue].edit(image, cells, is_second, case.strength, rng)
        if case.beside_dna:
            unnamed_cues.dna_brightness(image, cells, is_second, DNA_STRENGTH, rng)
        for cell, second in zip(cells, is_second, strict=True):
            rows.append({"Field": name, "Y": cell.centre[0], "X": cell.centre[1], "Said": CLASSES[int(second)]})
        write_field(image, folder / "fields" / f"{name}.ome.tif")
    return _written(rows, folder)


def _true_classes(source, folder) -> pathlib.Path:
    truth = pd.read_parquet(source / "truth.parquet")
    rows = []
    for cell in truth.to_dict("records"):
        said = {"G1/S": "a", "G2": "b"}.get(cell["class_name"], "")
        rows.append({"Field": cell["field_id"], "Y": cell["centre_y_px"], "X": cell["centre_x_px"], "Said": said})
    return _written(rows, folder)


def _written(rows, folder) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


def _keep_labels(table: pathlib.Path, cells: pd.DataFrame) -> None:
    """Blank the classes in the table of all cells but some."""
    rows = pd.read_csv(table, keep_default_na=False)
    kept = set()
    for field, of_field in rows.groupby("Field"):
        centres = cells.loc[cells[schema.FIELD] == field, [schema.CENTRE_Y, schema.CENTRE_X]].to_numpy(float)
        if not len(centres):
            continue
        places = of_field[["Y", "X"]].to_numpy(float)
        distance = np.hypot(*(places[:, None] - centres[None]).transpose(2, 0, 1))
        kept |= set(of_field.index[distance.argmin(0)])
    rows.loc[~rows.index.isin(kept), "Said"] = ""
    rows.to_csv(table, index=False)


def labelled(data) -> pd.DataFrame:
    """Accepted cells of a data set that have a class, those of its locked split too."""
    cells = cell_table.load_cells(data)
    return cells[cells[schema.LABEL].isin(CLASSES) & (cells[schema.REJECT_REASON] == "")].reset_index(drop=True)


def table_score(cells: pd.DataFrame) -> tuple[float, np.ndarray]:
    """Area under the ROC curve of boosting on all measurements, on groups left out, and its log odds f64 [N]."""
    columns = cell_table.measurements(cells, planted.CHANNELS, ("CENPF",))
    model = HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.05, max_leaf_nodes=15, l2_regularization=1.0, early_stopping=False
    )
    values = cells[columns].to_numpy(float)
    is_second = (cells[schema.LABEL] == CLASSES[1]).to_numpy()
    with threadpool_limits(1):  # data sets are made by as many processes as there are cores
        prob = cross_val_predict(
            model, values, is_second, groups=cells[schema.GROUP], cv=GroupKFold(5), method="predict_proba"
        )[:, 1]
    prob = np.clip(prob, 1e-6, 1 - 1e-6)
    return float(roc_auc_score(is_second, prob)), np.log(prob / (1 - prob))


def _matched(cells: pd.DataFrame, odds) -> np.ndarray:
    """Rows of cells of both classes, in pairs that the table finds as likely to be of one."""
    is_second = (cells[schema.LABEL] == CLASSES[1]).to_numpy()
    free = sorted(zip(odds[~is_second], np.flatnonzero(~is_second), strict=True))
    rows = []
    for value, row in sorted(zip(odds[is_second], np.flatnonzero(is_second), strict=True)):
        while free and free[0][0] < value - CALIPER:
            free.pop(0)
        if free and free[0][0] <= value + CALIPER:
            rows += [row, free.pop(0)[1]]
    return np.sort(rows)


def preparation(case: Case, table: pathlib.Path):
    """From fields to crops of 64 px."""
    c = simulated.get_config()
    c.source = "folder"
    c.name_pattern = rf"(?P<line>{LINE}|{HALF_IN_G2.name})_(?P<well>[A-Z]\d+)_s(?P<site>\d+)"
    c.split.fractions = (0.6, 0.35, 0.05)
    c.split.seed = case.seed
    c.workers = 1
    c.labels.method = "column"
    c.labels.table = str(table)
    c.labels.column = "Said"
    c.labels.classes = CLASSES
    return c


def training(case: Case):
    """A small residual network whose crops are turned and mirrored, but not blurred by rotation."""
    c = base.training()
    c.seed = case.seed
    c.model.filters = 8
    c.model.dropout = 0.0
    c.augment.rotate_deg = 0.0
    c.augment.shift = 0.0
    c.train.steps = 1500
    c.train.eval_every = 1500
    c.train.checkpoint_every = 1500
    return c


def cases(seeds: int) -> list[Case]:
    """All data sets of so many seeds each; those of a seed in random order, so that a part of them is of all kinds."""
    listed = []
    for seed in range(seeds):
        of_seed = []
        for cue, planted_cue in unnamed_cues.CUES.items():
            for strength in planted_cue.strengths:
                of_seed.append(Case(cue, strength, False, 2400, seed))
            of_seed.append(Case(cue, planted_cue.strengths[0], True, 2400, seed))
            of_seed.append(Case(cue, planted_cue.strengths[0], False, 600, seed))
        for cue in (*NAMED, ALL_NAMED):
            of_seed.append(Case(cue, 0.0, False, 2400 if seed % 2 == 0 else 600, seed))
        of_seed.append(Case(NULL, 0.0, False, 2400, seed))
        of_seed.append(Case(NULL, 0.0, False, 600, seed))
        of_seed.append(Case(NULL, 0.0, True, 2400, seed))
        order = np.random.default_rng(seed).permutation(len(of_seed))
        listed += [of_seed[number] for number in order]
    return listed
