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
import collections
import dataclasses
import itertools
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

STEPS = 250
BATCH = 64
SETS = 8  # data sets of each cue
SEEDS = 5  # networks of each data set
SINGLE = 4  # data sets of each cue of the first command
RANKED = 4  # data sets of each cue in which all methods explain the first network
EXPLAINED = 100  # cells of each class that are explained
ASKED = 200  # cells of each class in which shortcuts are looked for
DEFAULT = DEFAULT_METHOD
RESAMPLING = Resampling(resamples=1, level=0.95, seed=0)  # discover is asked for its order only
FIRST_SEED = 100  # data sets 0 to 99 are for trying things out
WHERE = ("channel", "region", "region over its area")
SHARES = ("surroundings", "brightness")  # of the difference between classes, that give an alarm


def training(seed: int, channels_shown=()):
    """A small residual network that sees whole crops, neighbours and corners too."""
    c = base.training()
    c.seed = seed
    c.data.channels = channels_shown
    c.data.mask = "none"
    c.model.filters = 8
    c.model.depth = 2
    c.model.dropout = 0.0
    c.train.batch_size = BATCH
    c.train.steps = STEPS
    c.train.eval_every = STEPS // 2
    c.train.checkpoint_every = STEPS
    c.train.patience = 0
    return c


def trained(data_dir, out, configs: dict) -> dict[str, trained_run.Run]:
    """Networks trained as one program, by name; those that are finished are read back."""
    folders = {name: out / name for name in configs}
    finished = [name for name in configs if (folders[name] / "config.json").is_file()]
    if len(finished) < len(configs):
        loop.train_cohort(configs, data_dir, out / "cohort", folders)
    networks = {}
    for name, folder in folders.items():
        networks[name] = trained_run.load_run(folder)
    return networks


def explained_cells(run: trained_run.Run) -> ExplainedCells:
    """Up to EXPLAINED labelled validation cells of each class, as `launch.py explain` takes them."""
    crops = crop_arrays.in_memory(crop_arrays.load_crops(run.data_dir, "validation"))
    rows = sample_per_class(crops.label, len(crops.classes), EXPLAINED, np.random.default_rng(0))
    crops = crop_arrays.take(crops, rows)
    images = run.images(crops)
    logits = methods.logits_of(run.network, images)
    return ExplainedCells(run, crops, images, logits)


def auroc(run: trained_run.Run) -> float:
    """Area under the ROC curve on labelled validation cells."""
    crops = crop_arrays.load_crops(run.data_dir, "validation")
    crops = crop_arrays.take(crops, crops.label >= 0)
    margins = methods.margins(run.predict_logits(crops))
    return float(metrics.binary_auroc(crops.label == 1, margins[:, 1])[0])


def single_channels(out, cue: str, number: int) -> dict:
    """AUROC of networks that see one channel each."""
    data_dir = planted.make_data(out / "set", cue, FIRST_SEED + number)
    configs = {channel: training(0, (channel,)) for channel in planted.CHANNELS}
    scores = {}
    for channel, run in trained(data_dir, out / "single", configs).items():
        scores[channel] = auroc(run)
    return scores


def explained(cells: ExplainedCells, every_method: bool) -> dict:
    """For each method which channel and region come first."""
    shapley = {"channel": _first_by_shapley(cells)}
    firsts = {DEFAULT: _firsts(cells.class_differences, True), "shapley": shapley}
    if not every_method:
        return firsts
    size = cells.images.shape[1]
    last_maps, _ = methods.class_maps(cells.run.network, cells.images[:1])
    side = last_maps.shape[-1]  # of the last activation, px
    for name, method in methods.METHODS.items():
        maps = cells.maps(name, 1)
        full = methods.resized(maps, size)
        if name != DEFAULT:
            firsts[name] = _firsts(_difference(cells, full), method.by_channel)
        firsts[f"{name}, by relevance"] = _by_relevance(name, cells, maps)
        if method.by_channel:  # as coarse as the maps of an activation
            blocks = methods.resized(methods.at_resolution(full, side), size)
            firsts[f"{name}, coarse"] = _firsts(_difference(cells, blocks), True)
    return firsts


def _first_by_shapley(cells) -> str:
    """The channel of the largest Shapley value; '' where channels of other cells do as well as a cell's own."""
    values = channel_importance.ask(Evidence(cells))["shapley"]
    if not values:
        return ""
    return cells.run.channels[int(np.argmax(values["auroc"]["value"]))]


def _difference(cells, maps) -> pd.DataFrame:
    """As `ExplainedCells.class_differences`, of any maps; without intervals."""
    crops = cells.crops
    sums = class_difference.contributions(np.asarray(maps), crops.compartments, crops.compartments_present)
    without_intervals = dataclasses.replace(cells.resampling, resamples=0)
    table = class_difference.difference(*sums, crops.label == 1, cells.groups, without_intervals)
    channels = np.array(cells.run.channels)
    return table.assign(channel=channels[table["channel"].to_numpy(int)])


def _firsts(shares: pd.DataFrame, tells_channels: bool) -> dict:
    """The channel and region of the largest share; '' where a map is no higher in cells of the class than in others."""
    if shares.empty:
        return dict.fromkeys(WHERE if tells_channels else WHERE[1:], "")
    by_place = class_difference.by_place(shares)
    places = shares["compartment"].map(localisation.coarse)
    areas = shares.groupby(places, sort=False)["area_share"].sum()
    first = {"region": by_place.idxmax(), "region over its area": (by_place / areas).idxmax()}
    if tells_channels:
        first["channel"] = class_difference.by_channel(shares).idxmax()
    return first


def _by_relevance(name, cells, maps) -> dict:
    """The usual way: share of the positive relevance for the class that a cell was given; `maps` of class 1."""
    predicted = cells.logits.argmax(1)
    by_channel = methods.METHODS[name].by_channel
    if by_channel:  # of two classes one's margin is the other's with another sign, and so is its map
        sign = np.where(predicted == 1, 1, -1)
        maps = maps * sign[:, None, None, None]
    else:
        maps = methods.attribute(name, cells.run.network, cells.images, predicted)
    maps = np.asarray(methods.resized(maps, cells.images.shape[1]))
    located = localisation.localise(maps, cells.crops.compartments, cells.crops.compartments_present)
    relevance = np.nanmean(located["relevance_share"], axis=0).ravel()
    channel, place = np.divmod(np.arange(relevance.size), len(localisation.COMPARTMENTS))
    shares = pd.DataFrame({
        "channel": np.array(cells.run.channels)[channel] if by_channel else "",
        "compartment": np.array(localisation.COMPARTMENTS)[place],
        "share": relevance,
        "area_share": np.nanmean(located["area_share"], axis=0).ravel(),
    })
    return _firsts(shares, by_channel)


def alarms(run: trained_run.Run) -> dict:
    """Shares of the difference between classes that go with surroundings and with the field's brightness."""
    checked = shortcut_check.ask_for_shortcuts(run, ASKED)
    surroundings = checked["surroundings"]["transferred_share"]
    return files.to_json({"surroundings": surroundings, "brightness": checked["brightness"]})


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
    train = cells[cells[schema.SPLIT] == "train"]
    validation = cells[cells[schema.SPLIT] == "validation"]
    axes = feature_axes.learn_axes(train[train[schema.LABEL].isin(planted.CLASSES)], names, {})
    train = feature_axes.place(train, axes, planted.CLASSES, "train")
    validation = feature_axes.place(validation, axes, planted.CLASSES, "validation")
    ranked = ranking.rank_features(train, validation, axes, planted.CLASSES, RESAMPLING)
    best = ranked["feature"].iloc[0]
    return families.family(best, tables.measured_channels(cells.columns), planted.CHANNELS[1:]).name


def hinted(cells: ExplainedCells) -> str:
    """The family that the map's shortlist names first; '' where the shortlist is empty."""
    shortlist = map_shortlist.map_shortlist(cells)
    if not shortlist.measurements:
        return ""
    return shortlist.families[shortlist.measurements[0]].name


def one_set(out, cue: str, number: int) -> list[dict]:
    """All networks of a data set and of its copy with a shortcut: what each one's explanation says."""
    data_dir = planted.make_data(out / "set", cue, FIRST_SEED + number)
    configs = {f"seed{seed}": training(seed) for seed in range(SEEDS)}
    best = discovered(data_dir)
    rows = []
    for name, run in trained(data_dir, out / "clean", configs).items():
        cells = explained_cells(run)
        rows.append({
            "cue": cue,
            "set": number,
            "network": name,
            "shortcut": "",
            "auroc_validation": auroc(run),
            "explained": explained(cells, every_method=name == "seed0" and number < RANKED),
            "discover": best,
            "shortlist": hinted(cells),
            "alarms": alarms(run),
        })
    if cue == "none":
        return rows
    turn = number + list(planted.CUES).index(cue)
    shortcut = list(planted.SHORTCUTS)[turn % len(planted.SHORTCUTS)]
    data_dir = planted.plant(data_dir, out / "planted", shortcut, FIRST_SEED + number)
    for name, run in trained(data_dir, out / "shortcut", configs).items():
        row = {"cue": cue, "set": number, "network": name, "shortcut": shortcut}
        rows.append(row | {"alarms": alarms(run)})
    return rows


def wilson(right: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927, doi 10.1080/01621459.1927.10502953)."""
    return tuple(stats.binomtest(right, of).proportion_ci(0.95, method="wilson"))


def share(values) -> str:
    """A share in words, with its Wilson interval."""
    values = np.array(list(values), bool)
    n_right = int(values.sum())
    low, high = wilson(n_right, len(values))
    return f"{n_right} of {len(values)}: {np.mean(values):.1%} ({low:.1%} to {high:.1%})"


def markdown(head, rows) -> str:
    """A Markdown table."""
    lines = []
    for row in (head, ["---"] * len(head), *rows):
        cells = " | ".join(map(str, row))
        lines.append(f"| {cells} |")
    return "\n".join(lines)


def truth_table(found: dict) -> str:
    """Mean AUROC of networks that see one channel, lowest to highest.

    Args:
        found: cue -> for each data set, what `single_channels` returned.
    """
    rows = []
    for cue, data_sets in found.items():
        row = {"cue": cue}
        aurocs = pd.DataFrame(data_sets)
        for channel in planted.CHANNELS:
            scores = aurocs[channel].to_list()
            row[f"{channel} alone"] = f"{np.mean(scores):.2f} ({min(scores):.2f} to {max(scores):.2f})"
        row["right channels"] = ", ".join(planted.CUES[cue].channels) or "none"
        rows.append(row)
    table = pd.DataFrame(rows)
    return markdown(table.columns, table.to_numpy())


def results(rows: list[dict]) -> str:
    """All tables of the second command, from what `one_set` returned of all data sets."""
    networks = pd.DataFrame([_judged(row) for row in rows])
    has_shortcut = networks["shortcut"] != ""
    has_cue = networks["cue"] != "none"
    clean = networks[has_cue & ~has_shortcut]
    without_cue = networks[~has_cue]
    with_shortcut = networks[has_shortcut]
    return "\n\n".join([
        markdown(("", "networks"), _overall(clean, without_cue, with_shortcut)),
        _by_cue(clean),
        _by_shortcut(with_shortcut),
        _by_method(rows),
    ])


def _is_clean(row) -> bool:
    """Whether cells carry the phase in a cue, and no shortcut beside it."""
    return row["cue"] != "none" and not row["shortcut"]


def _judged(row) -> dict:
    """Whether a network gives alarms; of one with a cue and without a shortcut, also what is explained right."""
    judged = {"cue": row["cue"], "network": row["network"], "shortcut": row["shortcut"]}
    judged["known"] = known(row)
    judged["caught"] = raised(row)
    judged["by surroundings"] = raised(row, ["surroundings"])
    judged["by brightness"] = raised(row, ["brightness"])
    if not _is_clean(row):
        return judged
    cue = planted.CUES[row["cue"]]
    return judged | {
        "AUROC": row["auroc_validation"],
        "has one channel": len(cue.channels) == 1,
        "right channel": _right(row, DEFAULT, "channel"),
        "right channel by Shapley": _right(row, "shapley", "channel"),
        "right region": _right(row, DEFAULT, "region"),
        "right family in discover": row["discover"] in cue.families,
        "right family in the shortlist": row["shortlist"] in cue.families,
    }


def _overall(clean, without_cue, with_shortcut) -> list:
    """What is counted over all networks of a kind."""
    of_one_channel = clean[clean["has one channel"].astype(bool)]
    first_networks = clean[clean["network"] == "seed0"]
    return [
        ("right channel first", share(clean["right channel"])),
        ("right channel first, cues of one channel", share(of_one_channel["right channel"])),
        ("right channel first, by Shapley values", share(clean["right channel by Shapley"])),
        ("right region first", share(clean["right region"])),
        ("planted family first in discover (data sets)", share(first_networks["right family in discover"])),
        ("planted family first in the map's shortlist", share(clean["right family in the shortlist"])),
        ("shortcut caught", share(with_shortcut["caught"])),
        ("false alarms, networks with a cue", share(clean["caught"][clean["known"]])),
        ("false alarms, networks without any cue", share(without_cue["caught"][without_cue["known"]])),
        ("without any cue, and without a difference to share out", share(~without_cue["known"])),
    ]


def _by_cue(clean) -> str:
    columns = ["right channel", "right region", "right family in the shortlist"]
    rows = []
    for cue in planted.CUES:
        networks = clean[clean["cue"] == cue]
        if len(networks):
            mean_auroc = np.mean(networks["AUROC"].to_list())
            rows.append((cue, f"{mean_auroc:.2f}", *networks[columns].apply(share)))
    return markdown(("cue", "AUROC", *columns), rows)


def _by_shortcut(with_shortcut) -> str:
    columns = ["caught", "by surroundings", "by brightness"]
    rows = []
    for shortcut in planted.SHORTCUTS:
        networks = with_shortcut[with_shortcut["shortcut"] == shortcut]
        if len(networks):
            rows.append((shortcut, *networks[columns].apply(share)))
    return markdown(("shortcut", *columns), rows)


def _right(row, method, what) -> bool:
    truth = planted.CUES[row["cue"]]
    right = truth.channels if what == "channel" else truth.regions
    return row["explained"][method][what] in right


def _by_method(rows) -> str:
    """The methods, the most often right first, over the networks that all methods explained."""
    clean = filter(_is_clean, rows)
    compared = [row for row in clean if row["network"] == "seed0" and row["set"] < RANKED]
    table = []
    for method, first in compared[0]["explained"].items():
        cells = {"method": method}
        shares_right = []
        for what in WHERE:
            if what in first:
                is_right = [_right(row, method, what) for row in compared]
                cells[what] = share(is_right)
                shares_right.append(np.mean(is_right))
        table.append(cells | {"mean": np.mean(shares_right)})
    table = pd.DataFrame(table).fillna("")
    ranked = table.sort_values("mean", ascending=False, kind="stable")
    columns = ["method", *WHERE]
    return markdown(columns, ranked[columns].to_numpy())


def main():
    """Make, train, explain and compare; finished data sets are read back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--stage", choices=("table", "score"), default="score")
    parser.add_argument("--sets", type=int, default=SETS, help=f"data sets of each cue (default {SETS})")
    parser.add_argument("--part", default="0/1", help="which share of the data sets, e.g. 0/2")
    given = parser.parse_args()
    runtime.prepare()
    part, parts = map(int, given.part.split("/"))
    out = pathlib.Path(given.out)
    is_table = given.stage == "table"
    name = "single" if is_table else "result"
    paths = {}
    for number, cue in itertools.product(range(SINGLE if is_table else given.sets), planted.CUES):
        paths[cue, number] = out / f"{cue.replace(' ', '_')}_{number}" / f"{name}.json"
    work = single_channels if is_table else one_set
    for cue, number in tqdm(list(paths)[part::parts], desc="data sets", unit="set"):
        path = paths[cue, number]
        if not path.is_file():
            files.write_json(path, {"found": work(path.parent, cue, number)})
    missing = [path for path in paths.values() if not path.is_file()]
    if missing:
        print(f"{len(missing)} of {len(paths)} data sets are still to be done by other parts")
        return
    finished = collections.defaultdict(list)  # by cue
    for (cue, _), path in paths.items():
        finished[cue].append(files.read_json(path)["found"])
    if is_table:
        text = truth_table(finished)
    else:
        data_sets = itertools.chain.from_iterable(finished.values())
        text = results(list(itertools.chain.from_iterable(data_sets)))
    files.write_text(out / f"{name}.md", text + "\n")
    print(text)


if __name__ == "__main__":
    main()
