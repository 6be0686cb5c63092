"""Does the verdict fall for planted confounds, and does it let clean data pass?

    python -m experiments.trust_zoo --out=runs/zoo
    python -m experiments.trust_zoo --judge

The first command makes data sets with the confounds of confounds.py, and clean ones, trains a network on each, explains
it as `launch.py explain` does, and appends what was found to experiments/trust_zoo.jsonl; what is there is not made
again, so it goes on after an interruption. The second judges these raw numbers again by the checks of today, in
seconds, and prints the tables of README.md.

A network uses a confound where it is above chance for certain, and where its score on the same cells falls for certain
in the fields as they were before the confound. What cannot be taken out of a picture, such as crowding, is planted in
fields without any biology, where nothing else is above chance.
"""

import argparse
import contextlib
import dataclasses
import io
import json
import pathlib
import shutil
from collections import Counter

import numpy as np
import pandas as pd
from scipy import spatial, special
from tqdm import tqdm

from cellcycle_jax import files, machine, processes, schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain import command, passport
from cellcycle_jax.explain.checks import edit_response, faithfulness, randomisation, score
from cellcycle_jax.explain.checks.all_checks import CHECKS
from cellcycle_jax.explain.checks.check import Answer, Judgement
from cellcycle_jax.explain.regions.explained_cells import resampling_of
from cellcycle_jax.runs import trained_run
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.scoring.intervals import Interval
from cellcycle_jax.training import loop
from data_prep import prepare
from experiments import planted_data
from experiments.confounds import CONFOUNDS
from experiments.explanation_tables import markdown
from experiments.planted_data import Case

RAW = pathlib.Path(__file__).parent / "trust_zoo.jsonl"
NEAR_PX = 5.0  # between the centres of a cell before and after its field was edited
AUROC = ("auroc",)
INTERVAL = {field.name for field in dataclasses.fields(Interval)}
MOST_KINDS = 3  # of confounds beside a check
STATUSES = ["shortcut", "caution", "no_alarm"]
OF_MAPS = (faithfulness.QUESTION, randomisation.QUESTION, edit_response.QUESTION)  # whose answers are kept
ABOUT = ("classes", "mask", "kept_weights", "limits", "n_cells", "n_groups", "group_by")  # of a passport
JUDGED = tuple(check for check in CHECKS if check.question not in OF_MAPS)


def score_without(run, data: OpenData, resampling) -> dict[str, Interval]:
    """The score of the network on the same validation cells in the fields as they were before the confound.

    Args:
        run: the network.
        data: crops of the unedited fields, whose cells are found by their places.
        resampling: how intervals are made.

    Returns:
        with_confound, without, fall: areas under the ROC curve of the cells that are in both, and their difference.
    """
    edited = run.crops_of_lines("validation")
    edited = crop_arrays.take(edited, edited.label != schema.NO_LABEL)
    unedited = data.crops("validation")
    rows, same = same_cells(_places(edited, run.data), _places(unedited, data))
    edited = crop_arrays.take(edited, rows)
    unedited = crop_arrays.take(unedited, same)
    before = special.softmax(run.predict_logits(unedited), axis=1)
    after = special.softmax(run.predict_logits(edited), axis=1)
    label = edited.label
    groups = edited.group_id
    return {
        "with_confound": resampling.scores(label, after, groups, AUROC)["auroc"],
        "without": resampling.scores(label, before, groups, AUROC)["auroc"],
        "fall": resampling.differences(label, after, before, groups, AUROC)["auroc"],
    }


def _places(crops, data: OpenData) -> pd.DataFrame:
    """Field and centre of each cell, px."""
    cells = data.cells.set_index(schema.CELL_ID)
    return cells.loc[crops.cell_id, [schema.FIELD, schema.CENTRE_Y, schema.CENTRE_X]].reset_index(drop=True)


def same_cells(places, others) -> tuple[np.ndarray, np.ndarray]:
    """Rows i64 [M] of cells and of the others that lie within NEAR_PX of them in the same field, each the nearest."""
    centre = [schema.CENTRE_Y, schema.CENTRE_X]
    rows = []
    same = []
    for field, of_field in others.groupby(schema.FIELD):
        wanted = places[places[schema.FIELD] == field]
        if wanted.empty:
            continue
        distance, nearest = spatial.cKDTree(of_field[centre]).query(wanted[centre])
        near = distance <= NEAR_PX
        rows.append(wanted.index[near])
        same.append(of_field.index[nearest[near]])
    return np.concatenate(rows), np.concatenate(same)


def examine(case: Case, out) -> dict:
    """Make the data set of a case, train, explain, and return what is kept of it; its folder is removed."""
    folder = pathlib.Path(out) / case.name
    shutil.rmtree(folder, ignore_errors=True)
    without = None
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        table = planted_data.plant(case, planted_data.fields_of(case, pathlib.Path(out)), folder)
        config = planted_data.preparation(case, table)
        prepare.prepare(config, folder / "fields", folder / "data")
        loop.train(planted_data.training(case), folder / "data", folder / "run")
        command.run_explain(folder / "run")
        if not case.clean and case.planted.removable:
            prepare.prepare(config, folder / "unedited", folder / "data_unedited")
            run = trained_run.load_run(folder / "run")
            without = score_without(run, OpenData(folder / "data_unedited"), resampling_of(run))
    found = files.read_json(folder / "run" / "explain" / "checks.json")
    made = files.read_json(folder / "run" / "explain" / "passport.json")
    keys = {check.question.key for check in JUDGED}
    shutil.rmtree(folder)
    checks = pd.DataFrame(made["checks"]).set_index("name")
    return {
        "case": dataclasses.asdict(case),
        "status": made["status"],
        "answers": checks["answer"].to_dict(),
        "alarms": checks.index[checks["alarm"]].tolist(),
        "why_no_channels": found["channel_importance"]["why"],
        "about": _part(made, ABOUT),
        "results": _part(found, keys),
        "surrogate": found["surrogate"] and _part(found["surrogate"], ("r2",)),
        "confound_removed": files.to_json(without),
    }


def _part(values: dict, names) -> dict:
    """Some of the values, by name."""
    return {name: values[name] for name in names}


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
    """A case with the verdict that the checks of today give it; what was not asked when it was made is left out."""
    results = with_intervals(row["results"])
    judgements = {}
    for check in CHECKS:
        if check in JUDGED and check.question.key in results:
            judgements[check.name] = check.judge(results[check.question.key], row["about"])
        elif check.name in row["answers"]:
            judgements[check.name] = Judgement(Answer(row["answers"][check.name]), "")
    checks = [check for check in CHECKS if check.name in judgements]
    status = passport.status_of(checks, judgements, row["why_no_channels"])
    alarms = [name for name, judgement in judgements.items() if judgement.alarm]
    costly = [check.name for check in passport.costing_trust(checks, judgements)]
    auroc = results["score"]
    above_chance = auroc.is_known and auroc.low > score.CHANCE
    removed = with_intervals(row["confound_removed"])
    explained = with_intervals(row.get("surrogate"))  # not kept of the first networks
    return {
        **row["case"],
        "status": status,
        "because": "; ".join(alarms or costly) or row["why_no_channels"],
        "answers": {name: judgement.answer for name, judgement in judgements.items()},
        "alarms": alarms,
        "auroc": auroc.value,
        "measured": explained["r2"].value if explained else np.nan,
        "without": removed["without"].value if removed else np.nan,
        "used": above_chance and (removed is None or removed["fall"].low > 0),
    }


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
        lines = counts.reset_index().to_numpy().tolist()
        parts.append(f"{title}:\n\n" + markdown(["kind", "shortcut", "caution", "no alarm"], lines))
    parts.append("Each check:\n\n" + _by_check(found[found["used"]]))
    parts.append(_shares(found[~found["clean"] & found["used"]]))
    unused = found[~found["clean"] & ~found["used"]]
    parts.append(f"Not learnt, so not counted: {len(unused)} ({', '.join(sorted(set(unused['kind'])))}).")
    reasons = found[found["used"] & (found["status"] != "shortcut")]
    columns = ["kind", "clean", "mask", "strength", "seed", "auroc", "without", "measured", "status", "because"]
    parts.append(reasons[columns].to_string(index=False))
    return "\n\n".join(parts)


def _by_check(used: pd.DataFrame) -> str:
    """What each check answers on clean networks, and on how many of those with a confound it costs the trust.

    A check that is not needed costs trust only where it failed.
    """
    clean = used[used["clean"]]
    planted = used[~used["clean"]]
    lines = []
    for check in CHECKS:
        on_clean = _answers_of(check, clean)
        if on_clean.isna().all():
            continue  # not asked when these networks were made
        costly = [Answer.FAILED, Answer.UNKNOWN] if check.needed else [Answer.FAILED]
        is_noticed = _answers_of(check, planted).isin(costly)
        kinds = Counter(planted["kind"][is_noticed])
        most = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common(MOST_KINDS))
        counts = on_clean.value_counts().reindex(list(Answer), fill_value=0)
        n_alarms = planted["alarms"].explode().eq(check.name).sum()
        lines.append([check.name, *counts, n_alarms, is_noticed.sum(), most])
    answers = [f"clean: {answer}" for answer in Answer]
    return markdown(["check", *answers, "planted: alarm", "planted: costs trust", "mostly of"], lines)


def _answers_of(check, networks: pd.DataFrame) -> pd.Series:
    """What a check answers on each network, None where it was not asked."""
    return networks["answers"].map(lambda answers: answers.get(check.name))


def _shares(used: pd.DataFrame) -> str:
    """How many of the planted confounds that can be told from biology are called so; of kinds seen before and not."""
    planted = used["kind"].map(CONFOUNDS)
    is_tellable = planted.map(lambda confound: confound.tellable).astype(bool)
    tellable = used[is_tellable]
    tuned = planted[is_tellable].map(lambda confound: confound.tuned).to_numpy(bool)
    is_shortcut = (tellable["status"] == "shortcut").to_numpy()
    return (
        f"Of the {len(tellable)} that data can tell from biology {is_shortcut.sum()} are called shortcuts: of kinds in "
        f"sight while the checks were made {is_shortcut[tuned].sum()} of {tuned.sum()}, of other kinds "
        f"{is_shortcut[~tuned].sum()} of {(~tuned).sum()}."
    )


def main() -> None:
    """The command line: make what is left, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/zoo", help="folder for what is made meanwhile")
    parser.add_argument("--seeds", type=int, default=2, help="data sets of each kind, strength and mask")
    parser.add_argument("--judge", action="store_true", help="judge what is stored, and make nothing")
    chosen = parser.parse_args()
    if not chosen.judge:
        known = stored()
        wanted = [case for case in planted_data.cases(chosen.seeds) if case.name not in known]
        for case in tqdm(wanted, desc="simulated fields", unit="network"):
            planted_data.fields_of(case, pathlib.Path(chosen.out))
        team = processes.Team(machine.cores())
        with RAW.open("a") as raw:
            for _, row in tqdm(processes.each(_examine, wanted, chosen.out, team), total=len(wanted), unit="network"):
                raw.write(json.dumps(row, sort_keys=True) + "\n")
                raw.flush()
    print(tables(stored().values()))


if __name__ == "__main__":
    main()
