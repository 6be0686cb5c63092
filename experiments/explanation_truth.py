"""Do explanations find what a network was given to find? Hundreds of small networks with a known truth.

    python -m experiments.explanation_truth --out=runs/truth --stage=table
    python -m experiments.explanation_truth --out=runs/truth

Simulated cells carry the phase in one cue only; beside it, in copies of the same cells, a shortcut is planted that
gives the class away (planted.py). Every network is explained and its explanation compared with the truth. The first
command trains networks on single channels: a channel of which they tell the phase is right, and no other. It came
before the second. What is finished is read back when a command is run again; --part=0/2 and --part=1/2 share the work
between two processes. README.md holds question, command, cost and result.
"""

import argparse
import dataclasses
import pathlib

import numpy as np
import pandas as pd
from scipy import stats
from tqdm import tqdm

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import cell_table as tables
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.devices import runtime
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks import channel_importance, shortcut_check, shortcuts
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.explain.measurements import map_shortlist
from cellcycle_jax.explain.regions import class_difference, localisation
from cellcycle_jax.explain.regions.explained_cells import DEFAULT_METHOD, ExplainedCells, sample_per_class
from cellcycle_jax.features import families, feature_axes, ranking
from cellcycle_jax.runs import trained_run
from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Interval, Resampling
from cellcycle_jax.training import loop
from configs import base
from experiments import planted

STEPS, BATCH = 250, 64
SETS, SEEDS, SINGLE = 8, 5, 4  # data sets of each cue, networks of each, data sets of the first command
RANKED = 4  # data sets of each cue in which all methods explain the first network
EXPLAINED, ASKED = 100, 200  # cells of each class that are explained, and that are asked for shortcuts
DEFAULT = DEFAULT_METHOD
RESAMPLING = Resampling(resamples=1, confidence=0.95, seed=0)  # discover is asked for its order only
FIRST_SEED = 100  # data sets 0 to 99 are for trying things out
WHERE = ("channel", "place", "place over its area")
SHARES = ("surroundings", "brightness")  # of the difference between classes, that give an alarm


def training(seed: int, channels_shown=()):
    """A small residual network that sees whole crops, neighbours and corners too."""
    c = base.training()
    c.seed, c.data.channels, c.data.mask = seed, channels_shown, "none"
    c.model.filters, c.model.depth, c.model.dropout = 8, 2, 0.0
    c.train.batch_size, c.train.steps, c.train.eval_every, c.train.checkpoint_every = BATCH, STEPS, STEPS // 2, STEPS
    c.train.patience = 0
    return c


def trained(data_dir, out, configs: dict) -> dict[str, trained_run.Run]:
    """Networks trained as one program, by name; those that are finished are read back."""
    folders = {name: out / name for name in configs}
    if not all((folder / "config.json").is_file() for folder in folders.values()):
        loop.train_cohort(configs, data_dir, out / "cohort", folders)
    return {name: trained_run.load_run(folder) for name, folder in folders.items()}


def explained_cells(network: trained_run.Run) -> ExplainedCells:
    """Up to EXPLAINED labelled validation cells of each class, as `launch.py explain` takes them."""
    crops = crop_arrays.in_memory(crop_arrays.load_crops(network.data_dir, "validation"))
    crops = crop_arrays.take(
        crops, sample_per_class(crops.label, len(crops.classes), EXPLAINED, np.random.default_rng(0))
    )
    images = network.images(crops)
    return ExplainedCells(network, crops, images, methods.logits_of(network.network, images))


def auroc(network: trained_run.Run) -> float:
    """Area under the ROC curve on labelled validation cells."""
    crops = crop_arrays.load_crops(network.data_dir, "validation")
    crops = crop_arrays.take(crops, crops.label >= 0)
    margins = methods.margins(network.predict_logits(crops))
    return float(metrics.binary_auroc(crops.label == 1, margins[:, 1])[0])


def single_channels(out, cue: str, number: int) -> dict:
    """AUROC of networks that see one channel each."""
    data_dir = planted.make_data(out / "set", cue, FIRST_SEED + number)
    runs = trained(data_dir, out / "single", {c: training(0, (c,)) for c in planted.CHANNELS})
    return {name: auroc(network) for name, network in runs.items()}


def explained(cells: ExplainedCells, every_method: bool) -> dict:
    """For each method which channel and place come first."""
    told = channel_importance.ask(Evidence(cells))["shapley"]  # None of a network that channels of other cells suffice
    first = cells.run.channels[int(np.argmax(told["auroc"]["value"]))] if told else ""
    found = {DEFAULT: _firsts(cells.class_differences, True), "shapley": {"channel": first}}
    if not every_method:
        return found
    size = cells.images.shape[1]
    side = methods.class_maps(cells.run.network, cells.images[:1])[0].shape[-1]  # last activation
    for name, method in methods.METHODS.items():
        maps = cells.maps(name, 1)
        if name != DEFAULT:
            found[name] = _firsts(_difference(cells, methods.resized(maps, size)), method.by_channel)
        found[f"{name}, by relevance"] = _by_relevance(name, cells, maps)
        if method.by_channel:  # as coarse as the maps of an activation
            blocks = methods.resized(methods.at_resolution(methods.resized(maps, size), side), size)
            found[f"{name}, coarse"] = _firsts(_difference(cells, blocks), True)
    return found


def _difference(cells, maps) -> pd.DataFrame:
    """As `ExplainedCells.class_differences`, of any maps; without intervals."""
    crops = cells.crops
    sums = class_difference.contributions(np.asarray(maps), crops.compartments, crops.compartments_present)
    without_intervals = dataclasses.replace(cells.resampling, resamples=0)
    told = class_difference.difference(*sums, crops.label == 1, cells.groups, without_intervals)
    return told.assign(channel=np.array(cells.run.channels)[told["channel"].to_numpy(int)])


def _firsts(told: pd.DataFrame, tells_channels: bool) -> dict:
    """What comes first; nothing where a method finds no more for the class in its cells than in others."""
    if told.empty:
        return dict.fromkeys(WHERE if tells_channels else WHERE[1:], "")
    share, area = class_difference.by_place(told, coarse=True), _areas(told)
    first = {"place": share.idxmax(), "place over its area": (share / area).idxmax()}
    return first | ({"channel": class_difference.by_channel(told).idxmax()} if tells_channels else {})


def _areas(told):
    return told.groupby(told["compartment"].map(localisation.coarse), sort=False)["area_share"].sum()


def _by_relevance(name, cells, maps) -> dict:
    """The usual way: share of the positive relevance for the class that a cell was given; `maps` of class 1."""
    called, by_channel = cells.logits.argmax(1), methods.METHODS[name].by_channel
    if not by_channel:
        maps = methods.attribute(name, cells.run.network, cells.images, called)
    else:  # of two classes one's margin is the other's with another sign, and so is its map
        maps = maps * np.where(called == 1, 1, -1)[:, None, None, None]
    maps = np.asarray(methods.resized(maps, cells.images.shape[1]))
    found = localisation.localise_all(maps, cells.crops.compartments, cells.crops.compartments_present)
    channel, place = np.divmod(np.arange(found["relevance_share"][0].size), len(localisation.COMPARTMENTS))
    told = pd.DataFrame({
        "channel": np.array(cells.run.channels)[channel] if by_channel else "",
        "compartment": np.array(localisation.COMPARTMENTS)[place],
        "share": np.nanmean(found["relevance_share"], axis=0).ravel(),
        "area_share": np.nanmean(found["area_share"], axis=0).ravel(),
    })  # fmt: skip
    return _firsts(told, by_channel)


def alarms(network: trained_run.Run) -> dict:
    """Shares of the difference between classes that go with surroundings and with the field's brightness."""
    asked = shortcut_check.ask_for_shortcuts(network, ASKED)
    return files.plain({"surroundings": asked["surroundings"]["carried"], "brightness": asked["brightness"]})


def raised(row, names=SHARES) -> bool:
    """Whether any of these shares gives an alarm; one that is not known does not."""
    limits = base.training().explain.limits
    for name in names:
        share = Interval.of(row["alarms"][name])
        if shortcuts.is_shortcut(share, limits[name]):
            return True
    return False


def known(row) -> bool:
    """Whether there was a difference between the classes of which a share could be given."""
    return all(row["alarms"][name]["value"] is not None for name in SHARES)


def discovered(data_dir) -> str:
    """The family of the measurement that `discover` ranks first."""
    cells = tables.unlocked(tables.load_cells(data_dir))
    names = tables.measurements(cells, planted.CHANNELS, ("CENPF",))
    of = families.families(names, tables.measured_channels(cells.columns), planted.CHANNELS[1:])
    train, validation = (cells[cells[schema.SPLIT] == split] for split in ("train", "validation"))
    axes = feature_axes.learn_axes(train[train[schema.LABEL].isin(planted.CLASSES)], names, {})
    train, validation = (feature_axes.place(rows, axes, planted.CLASSES, split)
                         for rows, split in ((train, "train"), (validation, "validation")))
    found = ranking.rank_features(train, validation, axes, planted.CLASSES, RESAMPLING)
    return of[found["feature"].iloc[0]].name


def hinted(cells: ExplainedCells) -> str:
    """The family that the map's shortlist names first."""
    chosen = map_shortlist.map_shortlist(cells)
    return chosen.families[chosen.measurements[0]].name if chosen.measurements else ""


def one_set(out, cue: str, number: int) -> list[dict]:
    """All networks of a data set and of its copy with a shortcut: what each one's explanation says."""
    data_dir = planted.make_data(out / "set", cue, FIRST_SEED + number)
    configs = {f"seed{seed}": training(seed) for seed in range(SEEDS)}
    best, rows = discovered(data_dir), []
    for i, (name, network) in enumerate(trained(data_dir, out / "clean", configs).items()):
        cells = explained_cells(network)
        rows.append({"cue": cue, "set": number, "network": name, "shortcut": "", "auroc_validation": auroc(network),
                     "explained": explained(cells, every_method=i == 0 and number < RANKED), "discover": best,
                     "hint": hinted(cells), "alarms": alarms(network)})  # fmt: skip
    if cue != "none":
        shortcut = list(planted.SHORTCUTS)[(number + list(planted.CUES).index(cue)) % len(planted.SHORTCUTS)]
        data_dir = planted.plant(data_dir, out / "planted", shortcut, FIRST_SEED + number)
        for name, network in trained(data_dir, out / "shortcut", configs).items():
            rows.append({"cue": cue, "set": number, "network": name, "shortcut": shortcut, "alarms": alarms(network)})
    return rows


def wilson(right: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927, doi 10.1080/01621459.1927.10502953)."""
    return tuple(stats.binomtest(right, of).proportion_ci(0.95, method="wilson"))


def share(values) -> str:
    """A share in words, with its Wilson interval."""
    values = [bool(v) for v in values]
    low, high = wilson(sum(values), len(values))
    return f"{sum(values)} of {len(values)}: {np.mean(values):.1%} ({low:.1%} to {high:.1%})"


def markdown(head, rows) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, ["---"] * len(head), *rows])


def truth_table(found: dict) -> str:
    """Mean AUROC of networks that see one channel, lowest to highest."""
    rows = []
    for cue, sets in found.items():
        each = [[one[c] for one in sets] for c in planted.CHANNELS]
        rows.append((cue, *(f"{np.mean(v):.2f} ({min(v):.2f} to {max(v):.2f})" for v in each),
                     ", ".join(planted.CUES[cue].channels) or "none"))
    return markdown(("cue", *(f"{c} alone" for c in planted.CHANNELS), "right channels"), rows)


def results(rows: list[dict]) -> str:
    """All tables of the second command."""
    clean = [r for r in rows if not r["shortcut"] and r["cue"] != "none"]
    null, short = ([r for r in rows if keep(r)] for keep in (lambda r: r["cue"] == "none", lambda r: r["shortcut"]))
    head = [
        ("right channel first", share(_right(r, DEFAULT, "channel") for r in clean)),
        ("right channel first, cues of one channel", share(
            _right(r, DEFAULT, "channel") for r in clean if len(planted.CUES[r["cue"]].channels) == 1)),
        ("right channel first, by Shapley values", share(_right(r, "shapley", "channel") for r in clean)),
        ("right place first", share(_right(r, DEFAULT, "place") for r in clean)),
        ("planted family first in discover (data sets)", share(
            r["discover"] in planted.CUES[r["cue"]].families for r in clean if r["network"] == "seed0")),
        ("planted family first in the map's shortlist", share(
            r["hint"] in planted.CUES[r["cue"]].families for r in clean)),
        ("shortcut caught", share(raised(r) for r in short)),
        ("false alarms, networks with a cue", share(raised(r) for r in clean if known(r))),
        ("false alarms, networks without any cue", share(raised(r) for r in null if known(r))),
        ("without any cue, and without a difference to share out", share(not known(r) for r in null)),
    ]  # fmt: skip
    by_cue = [(cue, f"{np.mean([r['auroc_validation'] for r in part]):.2f}",
               *(share(_right(r, DEFAULT, what) for r in part) for what in WHERE[:2]),
               share(r["hint"] in planted.CUES[cue].families for r in part))
              for cue in planted.CUES if (part := [r for r in clean if r["cue"] == cue])]
    by_shortcut = [(name, share(map(raised, part)),
                    *(share(raised(r, [of]) for r in part) for of in SHARES))
                   for name in planted.SHORTCUTS if (part := [r for r in short if r["shortcut"] == name])]
    ranked = sorted(_methods(clean), key=lambda row: -row[0])
    return "\n\n".join([
        markdown(("", "networks"), head),
        markdown(("cue", "AUROC", "right channel", "right place", "right family in the shortlist"), by_cue),
        markdown(("shortcut", "caught", "by surroundings", "by brightness"), by_shortcut),
        markdown(("method", *WHERE), [row[1] for row in ranked]),
    ])  # fmt: skip


def _right(row, method, what) -> bool:
    truth = planted.CUES[row["cue"]]
    return row["explained"][method][what] in (truth.channels if what == "channel" else truth.places)


def _methods(clean):
    """(share right, row of the ranking) of every method, over the networks that all methods explained."""
    part = [r for r in clean if r["network"] == "seed0" and r["set"] < RANKED]
    for name in part[0]["explained"]:
        scores = [[_right(r, name, what) for r in part] if what in part[0]["explained"][name] else None
                  for what in WHERE]
        yield np.mean([np.mean(s) for s in scores if s]), (name, *(share(s) if s else "" for s in scores))


def main():
    """Make, train, explain and compare; finished data sets are read back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--stage", choices=("table", "score"), default="score")
    parser.add_argument("--sets", type=int, default=SETS, help=f"data sets of each cue (default {SETS})")
    parser.add_argument("--part", default="0/1", help="which share of the data sets, e.g. 0/2")
    given = parser.parse_args()
    runtime.prepare()
    (part, parts), out = map(int, given.part.split("/")), pathlib.Path(given.out)
    work, name = (single_channels, "single") if given.stage == "table" else (one_set, "result")
    jobs = [(cue, n) for n in range(SINGLE if given.stage == "table" else given.sets) for cue in planted.CUES]
    for cue, n in tqdm(jobs[part::parts], desc="data sets", unit="set"):
        folder = out / f"{cue.replace(' ', '_')}_{n}"
        if not (folder / f"{name}.json").is_file():
            files.write_json(folder / f"{name}.json", {"found": work(folder, cue, n)})
    paths = {job: out / f"{job[0].replace(' ', '_')}_{job[1]}" / f"{name}.json" for job in jobs}
    if missing := sum(not path.is_file() for path in paths.values()):
        print(f"{missing} of {len(jobs)} data sets are still to be done by other parts")
        return
    found = {job: files.read_json(path)["found"] for job, path in paths.items()}
    if given.stage == "table":
        text = truth_table({cue: [one for (c, _), one in found.items() if c == cue] for cue in planted.CUES})
    else:
        text = results([row for rows in found.values() for row in rows])
    files.write_text(out / f"{name}.md", text + "\n")
    print(text)


if __name__ == "__main__":
    main()
