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
import pathlib

import numpy as np
import pandas as pd
from scipy import stats
from tqdm import tqdm

from cellcycle_jax import data, families, files, loop, metrics, ranking, run, runtime, schema, separation
from cellcycle_jax import table as tables
from cellcycle_jax.explain import channels, checks, contrast, localise, methods, shortcuts, shortlist
from configs import base
from experiments import planted

STEPS, BATCH = 250, 64
SETS, SEEDS, SINGLE = 8, 5, 4  # data sets of each cue, networks of each, data sets of the first command
ALL = 10**9
RANKED = 4  # data sets of each cue in which all methods explain the first network
EXPLAINED, ASKED = 100, 200  # cells of each class that are explained, and that are asked for shortcuts
DEFAULT = "integrated_gradients"
RESAMPLING = {"bootstraps": 500, "confidence": 0.99, "seed": 0}
FIRST_SEED = 100  # data sets 0 to 99 are for trying things out
WHERE = ("channel", "place", "place over its area")


def training(seed: int, channels_shown=()):
    """A small residual network that sees whole crops, neighbours and corners too."""
    c = base.training()
    c.seed, c.data.channels, c.data.mask = seed, channels_shown, "none"
    c.model.filters, c.model.depth, c.model.dropout = 8, 2, 0.0
    c.train.batch_size, c.train.steps, c.train.eval_every, c.train.checkpoint_every = BATCH, STEPS, STEPS // 2, STEPS
    c.train.patience = 0
    return c


def trained(data_dir, out, configs: dict) -> dict[str, run.Run]:
    """Networks trained as one program, by name; those that are finished are read back."""
    folders = {name: out / name for name in configs}
    if not all((folder / "config.json").is_file() for folder in folders.values()):
        loop.train_cohort(configs, data_dir, out / "cohort", folders)
    return {name: run.load_run(folder) for name, folder in folders.items()}


def cells_of(network: run.Run, splits, most: int) -> tuple[shortcuts.Cells, data.Crops]:
    """Up to `most` labelled cells of each class of some splits as a network sees them, and their crops."""
    crops = data.join([data.in_memory(data.load_crops(network.data_dir, split)) for split in splits])
    crops = data.take(crops, checks.pick(crops.label, len(crops.classes), most, np.random.default_rng(0)))
    images = network.images(crops)
    return shortcuts.Cells(images, crops.label, crops.compartments, crops.group_id, crops.field_id), crops


def auroc(network: run.Run) -> float:
    """Area under the ROC curve on validation cells."""
    cells, _ = cells_of(network, ("validation",), ALL)
    logits = methods.logits_of(network.model, network.variables, cells.images).astype(np.float64)
    return float(metrics.binary_auroc(cells.label == 1, logits[:, 1] - logits[:, 0])[0])


def single_channels(out, cue: str, number: int) -> dict:
    """AUROC of networks that see one channel each."""
    data_dir = planted.make_data(out / "set", cue, FIRST_SEED + number)
    runs = trained(data_dir, out / "single", {c: training(0, (c,)) for c in planted.CHANNELS})
    return {name: auroc(network) for name, network in runs.items()}


def explained(network: run.Run, every_method: bool) -> dict:
    """For each method which channel and place come first; shares of the channels by Shapley values."""
    cells, crops = cells_of(network, ("validation",), EXPLAINED)
    images, label, groups = cells.images, cells.label, cells.groups
    found, size = {}, images.shape[1]
    side = methods.class_maps(network.model, network.variables, images[:1])[0].shape[-1]  # of the last activation
    for name, method in methods.METHODS.items():
        if not every_method and name != DEFAULT:
            continue
        own = {"baseline": images.mean(0), "steps": 32} if name == DEFAULT else {}
        maps = methods.attribute(name, network.model, network.variables, images, 1, against_others=True, **own)
        told = _difference(methods.resized(maps, size), crops)
        found[name] = _firsts(told, method.by_channel)
        if name == DEFAULT:
            found["weights"] = told[["channel", "compartment", "share"]].to_dict("records")
        if every_method:
            found[f"{name}, by relevance"] = _by_relevance(name, network, images, crops, maps)
            if method.by_channel:  # as coarse as the maps of an activation
                blocks = methods.resized(methods.at_resolution(methods.resized(maps, size), side), size)
                found[f"{name}, coarse"] = _firsts(_difference(blocks, crops), True)
    logits = channels.subset_logits(network.model, network.variables, images, groups, 4, 0)
    shares = channels.channel_shapley(logits, label, groups, 2, 0.95, 0)["auroc"]["value"]
    found["shapley"] = {"channel": planted.CHANNELS[int(np.argmax(shares))]}
    return found


def _difference(maps, crops) -> pd.DataFrame:
    sums = contrast.contributions(np.asarray(maps), crops.compartments, crops.compartments_present)
    return contrast.difference(*sums, crops.label == 1, crops.group_id, RESAMPLING | {"bootstraps": 0})


def _firsts(told: pd.DataFrame, tells_channels: bool) -> dict:
    share, area = contrast.by_place(told, coarse=True), _areas(told)
    first = {"place": share.idxmax(), "place over its area": (share / area).idxmax()}
    return first | ({"channel": planted.CHANNELS[contrast.by_channel(told).idxmax()]} if tells_channels else {})


def _areas(told):
    return told.groupby(told["compartment"].map(localise.coarse), sort=False)["area_share"].sum()


def _by_relevance(name, network, images, crops, maps) -> dict:
    """The usual way: share of the positive relevance for the class that a cell was given."""
    called = methods.logits_of(network.model, network.variables, images).argmax(1)
    if not methods.METHODS[name].by_channel:
        maps = methods.attribute(name, network.model, network.variables, images, called)
    else:  # of two classes one's margin is the other's with another sign, and so is its map
        maps = maps * np.where(called == 1, 1, -1)[:, None, None, None]
    maps = np.asarray(methods.resized(maps, images.shape[1]))
    found = localise.localise_all(maps, crops.compartments, crops.compartments_present)
    channel, place = np.divmod(np.arange(found["relevance_share"][0].size), len(localise.COMPARTMENTS))
    told = pd.DataFrame({
        "channel": channel, "compartment": np.array(localise.COMPARTMENTS)[place],
        "share": np.nanmean(found["relevance_share"], axis=0).ravel(),
        "area_share": np.nanmean(found["area_share"], axis=0).ravel(),
    })  # fmt: skip
    return _firsts(told, methods.METHODS[name].by_channel)


def alarms(network: run.Run) -> dict:
    """Shares of the difference between classes that go with surroundings and with the field's brightness."""
    cells, _ = cells_of(network, ("train", "validation"), ASKED)
    around = shortcuts.surroundings(network.model, network.variables, cells, RESAMPLING)
    light = shortcuts.brightness(network.model, network.variables, cells, RESAMPLING)
    found = {"auroc": around["intact"]["value"], "surroundings": around["carried"], "brightness": light}
    return found | {"caught": shortcuts.caught(around["carried"], light)}


def measured(data_dir) -> tuple:
    """Training and validation cells in the coordinates of their measurements, and the family of each measurement."""
    cells = tables.unlocked(tables.load_cells(data_dir))
    names = tables.measurements(cells, planted.CHANNELS, ("CENPF",))
    split = [cells[cells[schema.SPLIT] == name] for name in ("train", "validation")]
    classes = planted.CLASSES
    axes = separation.learn_axes(split[0][split[0][schema.LABEL].isin(classes)], names, {})
    placed = [separation.place(rows, axes, classes, s) for rows, s in zip(split, ("train", "validation"), strict=True)]
    stains = planted.CHANNELS[1:]
    return *placed, families.families(names, tables.measured_channels(cells.columns), stains), axes


def discovered(train, validation, axes, of: dict) -> str:
    """The family that discover ranks first."""
    found = ranking.rank_features(train, validation, axes, planted.CLASSES, RESAMPLING | {"bootstraps": 1})
    return of[found["feature"].iloc[0]].name


def hinted(network: run.Run, weights: list[dict], train, of: dict) -> str:
    """The family that the map's shortlist names first."""
    crops = data.load_crops(network.data_dir, "train")
    crops = data.take(crops, data.rows_of_cells(crops, train.rows[schema.CELL_ID]))
    logits = methods.logits_of(network.model, network.variables, network.images(crops)).astype(np.float64)
    weights = {(planted.CHANNELS[w["channel"]], w["compartment"]): max(w["share"], 0.0) for w in weights}
    listed = shortlist.shortlist(weights, of, train.linear, logits[:, 1] - logits[:, 0])
    return of[listed[0]].name if listed else ""


def one_set(out, cue: str, number: int) -> list[dict]:
    """All networks of a data set and of its copy with a shortcut: what each one's explanation says."""
    data_dir = planted.make_data(out / "set", cue, FIRST_SEED + number)
    configs = {f"seed{seed}": training(seed) for seed in range(SEEDS)}
    train, validation, of, axes = measured(data_dir)
    best, rows = discovered(train, validation, axes, of), []
    for i, (name, network) in enumerate(trained(data_dir, out / "clean", configs).items()):
        row = {"cue": cue, "set": number, "network": name, "shortcut": "", "auroc_validation": auroc(network)}
        told = explained(network, every_method=i == 0 and number < RANKED)
        weights = told.pop("weights")
        rows.append(row | {"explained": told, "discover": best, "hint": hinted(network, weights, train, of),
                           "alarms": alarms(network)})
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
        ("right channel first, by Shapley values", share(_right(r, "shapley", "channel") for r in clean)),
        ("right place first", share(_right(r, DEFAULT, "place") for r in clean)),
        ("planted family first in discover (data sets)", share(
            r["discover"] in planted.CUES[r["cue"]].families for r in clean if r["network"] == "seed0")),
        ("planted family first in the map's shortlist", share(
            r["hint"] in planted.CUES[r["cue"]].families for r in clean)),
        ("shortcut caught", share(r["alarms"]["caught"] for r in short)),
        ("false alarms, networks with a cue", share(r["alarms"]["caught"] for r in clean)),
        ("false alarms, networks without any cue", share(r["alarms"]["caught"] for r in null)),
    ]  # fmt: skip
    by_cue = [(cue, f"{np.mean([r['auroc_validation'] for r in part]):.2f}",
               *(share(_right(r, DEFAULT, what) for r in part) for what in WHERE[:2]),
               share(r["hint"] in planted.CUES[cue].families for r in part))
              for cue in planted.CUES if (part := [r for r in clean if r["cue"] == cue])]
    by_shortcut = [(name, share(r["alarms"]["caught"] for r in part))
                   for name in planted.SHORTCUTS if (part := [r for r in short if r["shortcut"] == name])]
    ranked = sorted(_methods(clean), key=lambda row: -row[0])
    return "\n\n".join([
        markdown(("", "networks"), head),
        markdown(("cue", "AUROC", "right channel", "right place", "right family in the shortlist"), by_cue),
        markdown(("shortcut", "caught"), by_shortcut), markdown(("method", *WHERE), [row[1] for row in ranked]),
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
