"""Does the verdict fall for planted confounds, and does it let clean data pass?

    python -m experiments.trust_zoo --out=runs/zoo
    python -m experiments.trust_zoo --judge

The first command makes data sets with the confounds of confounds.py, and clean ones, trains a network on each, explains
it as `launch.py explain` does, and appends what was found to experiments/trust_zoo.jsonl; what is there is not made
again, so it goes on after an interruption. The second judges these raw numbers again by the checks of today, in
seconds, and prints the tables of README.md.

In fields without any biology a network that is above chance for certain provably uses the confound.
"""

import argparse
import contextlib
import dataclasses
import io
import json
import pathlib
import shutil

import numpy as np
import pandas as pd
import tifffile
from tqdm import tqdm

from cellcycle_jax import files, machine, processes
from cellcycle_jax.explain import command, passport
from cellcycle_jax.explain.checks import score
from cellcycle_jax.explain.checks.all_checks import CHECKS
from cellcycle_jax.explain.checks.check import Answer, Judgement
from cellcycle_jax.scoring.intervals import Interval
from cellcycle_jax.training import loop
from configs import base
from configs.data import simulated
from data_prep import prepare
from data_prep.simulation import simulate
from experiments.confounds import CLASSES, CLEAN, CONFOUNDS, Field
from experiments.explanation_tables import markdown

RAW = pathlib.Path(__file__).parent / "trust_zoo.jsonl"
FIELDS = 48  # of a data set; 14 of them are of validation
CELLS = (40, 60)  # of a field
STEPS = 600
INTERVAL = {field.name for field in dataclasses.fields(Interval)}
STATUSES = ["shortcut", "caution", "no_alarm"]
JUDGED = tuple(check for check in CHECKS if check.needed)  # the others are of the map, and keep their answers


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


def fields_of(case: Case, out) -> pathlib.Path:
    """The fields that a case edits: simulated once for all with the same effects and seed."""
    effects = case.planted.effects
    name = "_".join([f"{key}{value:g}" for key, value in effects.items()]) or "null"
    folder = out / "bases" / f"{name}_{case.seed}"
    if (folder / "simulation.json").is_file():
        return folder
    c = base.simulation()
    c.seed = 1000 + case.seed
    c.lines = ("HeLa",)
    c.fields_per_line = FIELDS
    c.cells_per_field = CELLS
    c.workers = 1
    for effect in c.effects:
        if effect != "marker":
            c.effects[effect] = effects.get(effect, 0.0)
    simulate.simulate(c, folder)
    return folder


def plant(case: Case, source: pathlib.Path, folder: pathlib.Path) -> bool:
    """Write edited copies of fields, and the labels that follow the edit.

    Returns:
        Whether there is a table of labels; else the marker labels the cells.
    """
    rng = np.random.default_rng([7, case.seed])
    truth = pd.read_parquet(source / "truth.parquet")
    paths = sorted((source / "fields").glob("*.tif"))
    orders = rng.permutation(len(paths)) / len(paths)
    rows = []
    (folder / "fields").mkdir(parents=True, exist_ok=True)
    for number, (path, order) in enumerate(zip(paths, orders, strict=True)):
        name = path.name.split(".")[0]
        cells = truth[truth["field_id"] == name].reset_index(drop=True)
        nuclei = np.squeeze(tifffile.imread(source / "labels" / f"{name}.tif"))
        nuclei = nuclei[0] if nuclei.ndim == 3 else nuclei
        field = Field(name, tifffile.imread(path).astype(np.float64), nuclei, cells, order)
        classes = case.planted.edit(field, case.strength, rng)
        if case.planted.one_class_wells:
            field.name = f"HeLa_{'ABCD'[number // 12]}{number % 12 + 1:02d}_s1"
        if classes is not None:
            for (y, x), said in zip(field.centres, classes, strict=True):
                rows.append({"Field": field.name, "Y": y, "X": x, "Said": said})
        _write_field(field, path, folder / "fields" / f"{field.name}.ome.tif")
    if rows:
        pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    return bool(rows)


def _write_field(field, source, path) -> None:
    pixels = np.clip(np.round(field.image), 0, 65535).astype(np.uint16)
    channels = {"Name": ["DNA", "Golgi", "EB1", "CENPF"]}
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}
    metadata = {"axes": "CYX", "Channel": channels, **size}
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=metadata)


def preparation(case: Case, table: str):
    """From fields to crops of 40 px."""
    c = simulated.get_config()
    c.source = "folder"
    c.name_pattern = r"(?P<line>HeLa)_(?P<well>[A-D]\d\d)_s(?P<site>\d+)"
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
    """A small residual network."""
    c = base.training()
    c.seed = case.seed
    c.data.mask = case.mask
    c.train.steps = STEPS
    c.train.eval_every = STEPS // 2
    c.train.checkpoint_every = STEPS
    c.explain.cells_per_class = 100
    return c


def examine(case: Case, out) -> dict:
    """Make the data set of a case, train, explain, and return what is kept of it; its folder is removed."""
    folder = pathlib.Path(out) / case.name
    shutil.rmtree(folder, ignore_errors=True)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        has_table = plant(case, fields_of(case, pathlib.Path(out)), folder)
        table = str(folder / "table.csv") if has_table else ""
        prepare.prepare(preparation(case, table), folder / "fields", folder / "data")
        loop.train(training(case), folder / "data", folder / "run")
        command.run_explain(folder / "run")
    found = files.read_json(folder / "run" / "explain" / "checks.json")
    made = files.read_json(folder / "run" / "explain" / "passport.json")
    keys = {check.question.key for check in JUDGED}
    shutil.rmtree(folder)
    return {
        "case": dataclasses.asdict(case),
        "status": made["status"],
        "answers": {check["name"]: check["answer"] for check in made["checks"]},
        "alarms": [check["name"] for check in made["checks"] if check["alarm"]],
        "why_no_channels": found["channel_importance"]["why"],
        "about": {name: made[name] for name in ("classes", "mask", "kept_weights", "limits", "n_cells", "n_groups",
                                                "group_by")},
        "results": {key: found[key] for key in keys},
    }


def _examine(case: Case, out) -> dict:
    """See `examine`; what a data set is refused for is told in its line."""
    try:
        return examine(case, out)
    except Exception as error:  # a data set that cannot be made must not end a pass of two hours
        return {"case": dataclasses.asdict(case), "refused": f"{type(error).__name__}: {error}"}


def stored() -> dict[str, dict]:
    """Name of each case that was examined -> what was found."""
    if not RAW.is_file():
        return {}
    rows = [json.loads(line) for line in RAW.read_text().splitlines()]
    return {Case(**row["case"]).name: row for row in rows}


def with_intervals(value):
    """Results from a file, with the intervals that they had when they were judged."""
    if isinstance(value, dict):
        if {"value", "low", "high"} <= set(value) <= INTERVAL:
            return Interval.of(value)
        return {name: with_intervals(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_intervals(item) for item in value]
    return value


def judged(row: dict) -> dict:
    """A case with the verdict that the checks of today give it."""
    results = with_intervals(row["results"])
    judgements = {}
    for check in CHECKS:
        if check in JUDGED:
            judgements[check.name] = check.judge(results[check.question.key], row["about"])
        elif check.name in row["answers"]:
            judgements[check.name] = Judgement(Answer(row["answers"][check.name]), "")
    checks = [check for check in CHECKS if check.name in judgements]
    status = passport.status_of(checks, judgements, row["why_no_channels"])
    alarms = [name for name, judgement in judgements.items() if judgement.alarm]
    costly = [check.name for check in passport.costing_trust(checks, judgements)]
    auroc = results["score"]
    return {**row["case"], "status": status, "because": "; ".join(alarms or costly) or row["why_no_channels"],
            "auroc": auroc.value, "low": auroc.low, "used": auroc.is_known and auroc.low > score.CHANCE}


def tables(rows) -> str:
    """How often each verdict was given, by kind, and over all."""
    found = pd.DataFrame([judged(row) for row in rows if "refused" not in row])
    parts = []
    for clean, title in ((False, "Planted, and used by the network"), (True, "Clean")):
        part = found[(found["clean"] == clean) & found["used"]]
        if part.empty:
            continue
        counts = pd.crosstab(part["kind"], part["status"]).reindex(columns=STATUSES, fill_value=0)
        counts.loc["all"] = counts.sum()
        lines = [[kind, *row] for kind, row in zip(counts.index, counts.to_numpy().tolist(), strict=True)]
        parts.append(f"{title}:\n\n" + markdown(["kind", "shortcut", "caution", "no alarm"], lines))
    unused = found[~found["clean"] & ~found["used"]]
    parts.append(f"Not learnt, so not counted: {len(unused)} ({', '.join(sorted(set(unused['kind'])))}).")
    reasons = found[found["used"] & (found["status"] != "shortcut")]
    parts.append(reasons[["kind", "clean", "mask", "strength", "auroc", "status", "because"]].to_string(index=False))
    return "\n\n".join(parts)


def main() -> None:
    """The command line: make what is left, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/zoo", help="folder for what is made meanwhile")
    parser.add_argument("--seeds", type=int, default=2, help="data sets of each kind, strength and mask")
    parser.add_argument("--judge", action="store_true", help="judge what is stored, and make nothing")
    chosen = parser.parse_args()
    if not chosen.judge:
        known = stored()
        wanted = [case for case in cases(chosen.seeds) if case.name not in known]
        for case in tqdm(wanted, desc="simulated fields", unit="network"):
            fields_of(case, pathlib.Path(chosen.out))
        team = processes.Team(machine.cores())
        with RAW.open("a") as raw:
            for _, row in tqdm(processes.each(_examine, wanted, chosen.out, team), total=len(wanted), unit="network"):
                raw.write(json.dumps(row, sort_keys=True) + "\n")
                raw.flush()
    print(tables(stored().values()))


if __name__ == "__main__":
    main()
