"""The runs of a study: trained side by side, or as few programs as possible, or one by one, then scored together.

WORKDIR holds runs/NAME, a run folder each (of one that diverged: diverged.json), cohorts/, the programs of several runs
that are under way, sweep.json, which study it is on which data, and metrics.jsonl, what was trained and for how long.
"""

import contextlib
import logging
import shutil
import time

import jax

from cellcycle_jax import files, locks, stored_config
from cellcycle_jax.errors import NonFiniteLoss, StoredStateRefused, UsageError
from cellcycle_jax.runs import metric_log, run_record
from cellcycle_jax.studies import side_by_side, study, sweep_plan, sweep_scores
from cellcycle_jax.studies.sweep_plan import DIVERGED, FINISHED, make_plan, state_of
from cellcycle_jax.training import loop

ALL = "all"  # --index: every run


def run_sweep(
    chosen: study.Study,
    data_dir,
    workdir,
    show: bool = False,
    index: str = ALL,
    final: bool = False,
    workers: int = 0,
) -> None:
    """Train the runs of a study that are not finished, then score all and write WORKDIR/table.md and what it rests on.

    Args:
        chosen: the study.
        data_dir: folder that `prepare` wrote.
        workdir: folder of the study; what is there is continued.
        show: print the runs and how far they are, and write nothing.
        index: 'all', or the number of the only run to train; then nothing is scored.
        final: score on the locked test split, and log in each run that it was opened.
        workers: processes that train side by side on a CPU, as of `side_by_side.choose_workers`; with 1, and on an
            accelerator, runs that may be one program are one.

    Raises:
        UsageError: a mistake in the study, no such run, or another process is at work in the folder.
        InputRefused: the data set lacks a channel, cell line or class.
        StoredStateRefused: the folder holds another study, or the study on another data set; or something is damaged.
        NonFiniteLoss: the run asked for, or every run, diverged.
        SystemExit: with code 75 after SIGTERM, the state saved.
    """
    if jax.process_count() > 1:
        raise UsageError("sweep works in one process; give each job of an array a run of its own by --index")
    plan = make_plan(chosen, data_dir, workdir)
    number = _number(index, len(plan.members))
    if number is not None and final:
        raise UsageError("--final: scores are made of all runs together, so without --index")
    _require_same(plan)
    if show:
        print(sweep_plan.listing(plan, _choose_workers(plan, workers)))
    elif number is not None:
        _claim(plan)
        _train_one(plan, plan.members[number])
    else:
        workers = _choose_workers(plan, workers)
        with locks.lock(plan.workdir / ".lock"):
            _claim(plan)
            states = train_rest(plan, workers)
            sweep_scores.score_sweep(plan, states, final)


def _choose_workers(plan, asked):
    crop_bytes = plan.opened.crops("train").pixel_bytes + plan.opened.crops("validation").pixel_bytes
    return side_by_side.choose_workers(asked, len(plan.members), crop_bytes)


def _number(index, count):
    if index == ALL:
        return None
    if not index.isdecimal() or int(index) >= count:
        raise UsageError(f"--index={index}: no such run; allowed: 0 to {count - 1}, see --list")
    return int(index)


def _claim(plan):
    """Write what makes the study to WORKDIR/sweep.json unless it is there, and see that it is this study's."""
    path = plan.workdir / "sweep.json"
    if not path.is_file():
        files.write_json(path, sweep_plan.identity(plan))  # tasks of an array may do this at the same moment
    _require_same(plan)


def _require_same(plan):
    """Refuse a folder whose sweep.json is of another study."""
    record = files.to_json(sweep_plan.identity(plan))
    path = plan.workdir / "sweep.json"
    if not path.is_file():
        return
    try:
        stored = files.read_json(path)
        stored["training"] = run_record.training_of_today(stored["training"], f"{path}: training")
        stored = {name: stored[name] for name in record}
    except (ValueError, KeyError, TypeError) as error:
        raise StoredStateRefused(f"{path}: damaged ({error}); remove it if the runs beside it are those of "
                                 f"{plan.study.path}, else use a new --workdir") from None
    differences = stored_config.differences(stored, record)
    if differences:
        raise StoredStateRefused(f"{path}: holds another study ({', '.join(differences)}); use a new --workdir")


def train_rest(plan, workers: int) -> dict[str, tuple[str, int]]:
    """Train what is neither finished nor diverged, and return how far each run is then; raises as `run_sweep`."""
    states = sweep_plan.states_of(plan)
    for name in sweep_plan.unfinished(states):
        holder = locks.holder(plan.folder(name) / ".lock")
        if holder:
            raise UsageError(f"{plan.folder(name)}: {holder} trains this run; wait for it, or remove its .lock "
                             "if it no longer runs")
    programs = sweep_plan.programs(plan, states, joins=workers == 1)
    left = []  # to train side by side
    if workers > 1:
        left = [names[0] for folder, names in programs if folder is None]
        programs = [(folder, names) for folder, names in programs if folder is not None]
    for number, (folder, names) in enumerate(programs, start=1):
        plural = "s" if len(names) > 1 else ""
        print(f"program {number} of {len(programs)}: {len(names)} run{plural}", flush=True)
        if folder is None:
            with contextlib.suppress(NonFiniteLoss):
                _train_alone(plan, plan.by_name[names[0]])
        else:
            _train_cohort(plan, folder, names, states)
    if left:
        _train_side_by_side(plan, left, workers)
    return sweep_plan.states_of(plan)


def _train_side_by_side(plan, names, workers):
    """Train some runs, each in a process that trains no other meanwhile."""
    cores = side_by_side.cores_of_each(workers)
    plural = "s" if cores > 1 else ""
    print(f"{len(names)} of {len(plan.members)} runs to train, {workers} at a time on {cores} core{plural} each",
          flush=True)
    configs = {name: plan.by_name[name].config for name in names}
    folders = {name: plan.folder(name) for name in names}
    with _timed(plan, names):
        for name, diverged_at in side_by_side.train(configs, plan.data_dir, folders, workers):
            if diverged_at is not None:
                _keep_divergence(plan, name, diverged_at)


def _train_cohort(plan, folder, names, states):
    """Train some runs as one program; those that have been finished otherwise keep the folder that they have."""
    configs = {member.name: member.config for member in plan.members if member.name in names}
    unfinished = sweep_plan.unfinished(states)
    targets = {}
    for name in names:
        targets[name] = plan.folder(name) if name in unfinished else folder / "runs" / name
    with _timed(plan, names):
        diverged = loop.train_cohort(configs, plan.opened, folder, targets)
    for name in diverged.keys() & set(unfinished):
        _keep_divergence(plan, name, diverged[name])
    for finished in ("checkpoints", "runs"):
        shutil.rmtree(folder / finished, ignore_errors=True)


def _train_one(plan, member):
    """Train one run of a job array, unless it is finished."""
    state, step = state_of(plan, member.name)
    if state == DIVERGED:
        remedy = f"to train it again remove {plan.folder(member.name)}"
        raise NonFiniteLoss(f"{member.name}: diverged at step {step}; {remedy}", step)
    holder = locks.holder(plan.workdir / ".lock")
    if holder:
        raise UsageError(f"{plan.workdir}: {holder} trains all runs of this study; wait for it")
    if state != FINISHED:
        _train_alone(plan, member)
    state, step = state_of(plan, member.name)
    print(f"{member.name}: {state} at step {step}; {plan.folder(member.name)}", flush=True)


def _train_alone(plan, member):
    try:
        with _timed(plan, [member.name]):
            loop.train(member.config, plan.opened, plan.folder(member.name))
    except NonFiniteLoss as error:
        _keep_divergence(plan, member.name, error.step)
        raise


def _keep_divergence(plan, name, step):
    logging.warning("%s diverged at step %d and is left out", name, step)
    files.write_json(plan.folder(name) / "diverged.json", {"step": step})


@contextlib.contextmanager
def _timed(plan, names):
    """Log how long some runs were trained, however it ends."""
    start = time.monotonic()
    try:
        yield
    finally:
        seconds = round(time.monotonic() - start, 1)
        metric_log.append(plan.workdir, {"event": "trained", "runs": names, "seconds": seconds})
