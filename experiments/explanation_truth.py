"""Do explanations find what a network was given to find? Hundreds of small networks with a known truth.

    python -m experiments.explanation_truth --out=runs/truth --stage=table
    python -m experiments.explanation_truth --out=runs/truth

Simulated cells carry the phase in one cue only; beside it, in copies of the same cells, a shortcut is planted that
gives the class away (planted.py). Every network is explained and its explanation compared with the truth. The first
command trains networks on single channels: a channel of which they tell the phase is right, and no other. It came
before the second. What is finished is read back when a command is run again. explanation_tables.py counts; README.md
holds question, command, cost and result.
"""

import argparse
import collections
import contextlib
import io
import itertools
import pathlib

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import cell_table, crop_arrays
from cellcycle_jax.devices import runtime
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks import channel_importance, shortcut_check
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.explain.measurements import map_shortlist
from cellcycle_jax.explain.regions import class_difference, localisation
from cellcycle_jax.explain.regions.explained_cells import DEFAULT_METHOD, ExplainedCells, sample_per_class
from cellcycle_jax.features import families, feature_axes, ranking
from cellcycle_jax.runs import trained_run
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Resampling
from cellcycle_jax.studies import side_by_side
from cellcycle_jax.training import loop
from configs import base
from experiments import planted
from experiments.explanation_tables import RANKED, WHERE, results, truth_table

STEPS = 250
BATCH = 64
SETS = 8  # data sets of each cue
SEEDS = 5  # networks of each data set
SINGLE = 4  # data sets of each cue of the first command
EXPLAINED = 100  # cells of each class that are explained
ASKED = 200  # cells of each class in which shortcuts are looked for
RESAMPLING = Resampling(level=0.95)  # discover is asked for its order only
FIRST_SEED = 100  # data sets 0 to 99 are for trying things out


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


def trained(data: OpenData, out, configs: dict) -> dict[str, trained_run.Run]:
    """Networks trained as one program, by name; those that are finished are read back."""
    folders = {name: out / name for name in configs}
    finished = [name for name in configs if (folders[name] / "config.json").is_file()]
    if len(finished) < len(configs):
        loop.train_cohort(configs, data, out / "cohort", folders)
    networks = {}
    for name, folder in folders.items():
        networks[name] = trained_run.load_run(folder, data=data)
    return networks


def explained_cells(run: trained_run.Run) -> ExplainedCells:
    """Up to EXPLAINED labelled validation cells of each class, as `launch.py explain` takes them."""
    crops = run.data.crops("validation")
    rows = sample_per_class(crops.label, len(crops.classes), EXPLAINED, np.random.default_rng(0))
    crops = crop_arrays.in_memory(crop_arrays.take(crops, rows))
    images = run.images(crops)
    logits = methods.logits_of(run.network, images)
    return ExplainedCells(run, crops, images, logits)


def auroc(run: trained_run.Run) -> float:
    """Area under the ROC curve on labelled validation cells."""
    crops = run.data.crops("validation")
    crops = crop_arrays.take(crops, crops.label >= 0)
    margins = methods.margins(run.predict_logits(crops))
    return float(metrics.binary_auroc(crops.label == 1, margins[:, 1])[0])


def single_channels(out, cue: str, number: int) -> dict:
    """AUROC of networks that see one channel each."""
    data = OpenData(planted.make_data(out / "set", cue, FIRST_SEED + number))
    configs = {channel: training(0, (channel,)) for channel in planted.CHANNELS}
    scores = {}
    for channel, run in trained(data, out / "single", configs).items():
        scores[channel] = auroc(run)
    return scores


def explained(cells: ExplainedCells, every_method: bool) -> dict:
    """For each method which channel and region come first."""
    shapley = {"channel": _first_by_shapley(cells)}
    firsts = {DEFAULT_METHOD: _firsts(cells.class_differences, True), "shapley": shapley}
    if not every_method:
        return firsts
    size = cells.images.shape[1]
    last_maps, _ = methods.class_maps(cells.run.network, cells.images[:1])
    side = last_maps.shape[-1]  # of the last activation, px
    for name, method in methods.METHODS.items():
        maps = cells.maps(name, 1)
        full = methods.resized(maps, size)
        if name != DEFAULT_METHOD:
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
    """As `ExplainedCells.class_differences`, of any maps."""
    crops = cells.crops
    sums = class_difference.contributions(np.asarray(maps), crops.compartments, crops.compartments_present)
    table = class_difference.difference(*sums, crops.label == 1, cells.groups, cells.resampling)
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


def discovered(data: OpenData) -> str:
    """The family of the measurement that `discover` ranks first."""
    cells = data.cells
    names = cell_table.measurements(cells, planted.CHANNELS, ("CENPF",))
    train = cells[cells[schema.SPLIT] == "train"]
    validation = cells[cells[schema.SPLIT] == "validation"]
    axes = feature_axes.learn_axes(train[train[schema.LABEL].isin(planted.CLASSES)], names, {})
    train = feature_axes.place(train, axes, planted.CLASSES, "train")
    validation = feature_axes.place(validation, axes, planted.CLASSES, "validation")
    ranked = ranking.rank_features(train, validation, axes, planted.CLASSES, RESAMPLING)
    best = ranked["feature"].iloc[0]
    return families.family(best, cell_table.measured_channels(cells.columns), planted.CHANNELS[1:]).name


def first_of_shortlist(cells: ExplainedCells) -> str:
    """The family that the map's shortlist names first; '' where the shortlist is empty."""
    shortlist = map_shortlist.map_shortlist(cells)
    if not shortlist.measurements:
        return ""
    return shortlist.families[shortlist.measurements[0]].name


def one_set(out, cue: str, number: int) -> list[dict]:
    """All networks of a data set and of its copy with a shortcut: what each one's explanation says."""
    data = OpenData(planted.make_data(out / "set", cue, FIRST_SEED + number))
    configs = {f"seed{seed}": training(seed) for seed in range(SEEDS)}
    best = discovered(data)
    rows = []
    for name, run in trained(data, out / "clean", configs).items():
        cells = explained_cells(run)
        rows.append({
            "cue": cue,
            "set": number,
            "network": name,
            "shortcut": "",
            "auroc_validation": auroc(run),
            "explained": explained(cells, every_method=name == "seed0" and number < RANKED),
            "discover": best,
            "shortlist": first_of_shortlist(cells),
            "alarms": alarms(run),
        })
    if cue == "none":
        return rows
    turn = number + list(planted.CUES).index(cue)
    shortcut = list(planted.SHORTCUTS)[turn % len(planted.SHORTCUTS)]
    data = OpenData(planted.plant(data.folder, out / "planted", shortcut, FIRST_SEED + number))
    for name, run in trained(data, out / "shortcut", configs).items():
        row = {"cue": cue, "set": number, "network": name, "shortcut": shortcut}
        rows.append(row | {"alarms": alarms(run)})
    return rows


def _find(thing, work):
    """Do the work on a data set, and keep what was found."""
    cue, number, path = thing
    with contextlib.redirect_stdout(io.StringIO()):
        found = work(path.parent, cue, number)
    files.write_json(path, {"found": found})


def main():
    """Make, train, explain and compare; finished data sets are read back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--stage", choices=("table", "score"), default="score")
    parser.add_argument("--sets", type=int, default=SETS, help=f"data sets of each cue (default {SETS})")
    parser.add_argument("--workers", type=int, default=0, help="processes at once (default: one for each core)")
    given = parser.parse_args()
    runtime.prepare()
    out = pathlib.Path(given.out)
    is_table = given.stage == "table"
    name = "single" if is_table else "result"
    paths = {}
    for number, cue in itertools.product(range(SINGLE if is_table else given.sets), planted.CUES):
        paths[cue, number] = out / f"{cue.replace(' ', '_')}_{number}" / f"{name}.json"
    work = single_channels if is_table else one_set
    missing = [(cue, number, path) for (cue, number), path in paths.items() if not path.is_file()]
    if missing:
        workers = side_by_side.choose_workers(given.workers, len(missing))
        done = side_by_side.each(_find, missing, work, workers)
        list(tqdm(done, "data sets", len(paths), initial=len(paths) - len(missing), unit="set"))
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
