"""Training: from configs and a data set to run folders. The same command run again continues where it stopped.

One model or a cohort of them go through the same loop: a run is a cohort of one.
"""

import contextlib
import logging
import pathlib
import re
import time

import jax
import numpy as np
import tqdm

from cellcycle_jax import files, locks
from cellcycle_jax.devices import mesh
from cellcycle_jax.errors import NonFiniteLoss, ResourceMissing, UsageError
from cellcycle_jax.runs import checkpoint, metric_log, run_record, trained_run
from cellcycle_jax.runs.config_checks import check_config
from cellcycle_jax.runs.open_data import opened
from cellcycle_jax.runs.wandb_log import Wandb
from cellcycle_jax.training import cohort, early_stopping, first_words, member_runs, preemption, setup

DISPATCH_SECONDS = 1.0  # how long the devices work before the loop looks up, e.g. for a signal


def terminal_bar(total: int, done: int):
    """A bar of `total` steps, of which some are done; it shows in the first process of a job."""
    return tqdm.tqdm(total=total, initial=done, desc="train", unit="step", disable=not mesh.first_process())


def train(config, data, workdir, make_bar=terminal_bar) -> None:
    """Train as `config` says and leave RUN/config.json, env.json, metrics.jsonl and checkpoints/ in `workdir`.

    Args:
        config: `configs.base.training()`, changed or not.
        data: folder that `prepare` wrote, or `OpenData` of it.
        workdir: run folder; one that holds a run with the same config is continued. On the same number of CPU devices
            it ends with the same bits as if uninterrupted (tested). On GPUs that is untested and needs XLA's
            deterministic flags (docs/training.md). Elsewhere the two may differ by rounding.
        make_bar: shows how far it is, as `terminal_bar` does.

    Raises:
        UsageError: a config value out of range, or another process trains in `workdir`.
        InputRefused: the data set lacks a channel, cell line or class.
        StoredStateRefused: the data set is damaged, or `workdir` holds another run.
        NonFiniteLoss: the loss became infinite or NaN; the message names the step.
        ResourceMissing: the device has not enough memory.
        SystemExit: with code 75 after SIGTERM and 130 after Ctrl-C, the state saved.
    """
    _train({"": config}, opened(data), pathlib.Path(workdir), {}, make_bar)


def train_cohort(configs: dict, data, workdir, folders: dict) -> dict[str, int]:
    """Train several configs as one program, and leave a run folder for each, as `train` would but for rounding.

    Args:
        configs: name -> training config; they differ in `cohort.FREE` only.
        data: folder that `prepare` wrote, or `OpenData` of it.
        workdir: folder of the cohort, from which it continues after an interruption, as `train` does.
        folders: name -> run folder to write.

    Returns:
        name -> step, of the models whose loss became infinite or NaN; they have no run folder.

    Raises:
        As `train`; UsageError too if several processes call it, or the crops do not fit on the device.
    """
    processes = jax.process_count()
    if processes > 1:
        raise UsageError(f"models that are trained as one program need one process, here are {processes}; train them "
                         "one by one (sweep --index)")
    keys = {cohort.key_of(config) for config in configs.values()}
    if len(keys) > 1:
        raise UsageError(f"configs of one cohort may differ in {', '.join(cohort.FREE)} only")
    ordered = dict(sorted(configs.items()))  # as the models lie in checkpoints, however the caller lists them
    return _train(ordered, opened(data), pathlib.Path(workdir), folders)


def _train(configs, data, workdir, folders, make_bar=terminal_bar):
    for config in configs.values():
        check_config(config)
    shared = next(iter(configs.values()))
    trained_run.choose_precision(shared)
    is_first = mesh.first_process()
    lock = locks.lock(workdir / ".lock") if is_first else contextlib.nullcontext()
    with lock:
        try:
            parts, records, record = _prepare(configs, data, workdir, alone=not folders)
            wandb = Wandb(shared.train.wandb if is_first else "off", record, workdir)
            try:
                trained = _run(parts, workdir, record, wandb, make_bar)
            finally:
                wandb.finish()
        except jax.errors.JaxRuntimeError as error:
            raise _explained(error, shared, len(configs)) from error
        if folders:
            member_runs.write_runs(parts, records, trained, workdir, folders)
    _, _, reached = trained
    diverged = {}
    for member, progress in zip(parts.members, reached["members"], strict=True):
        if progress["stopped"] == early_stopping.DIVERGED:
            diverged[member.name] = progress["diverged_step"]
    return diverged


def _prepare(configs, data, workdir, alone):
    """What the loop runs, the record of each run, and that of the folder, which it claims."""
    shared = next(iter(configs.values()))
    placement, splits = setup.load(shared, data, len(configs))
    setup.refuse_unusable_model(configs, splits[0])
    members = [cohort.make_member(name, config, *splits) for name, config in configs.items()]
    records = [run_record.describe(member.config, data.folder, splits[0]) for member in members]
    record = records[0]
    if not alone:
        record = run_record.describe_cohort(dict(zip(configs, records, strict=True)))
    record = run_record.continued(workdir, record)
    mesh.require_equal(f"{record['run_id']} {placement}", "config or data set")
    if mesh.first_process():
        run_record.write(workdir, record)
        environment = metric_log.environment()
        files.write_json(workdir / "env.json", environment)
        first_words.say_where(environment, members, placement)
        first_words.say_what_is_learnt(records, splits)
    return setup.assemble(members, splits, placement), records, record


def _explained(error, config, models):
    """What a user can do about memory that does not suffice; any other error as it is."""
    if "RESOURCE_EXHAUSTED" not in str(error):
        return error
    amount = re.search(r"\d[\d,.]* ?(?:bytes|[KMG]i?B)", str(error))
    requested = amount[0] if amount else "amount unknown"
    advice = "lower it, or keep the crops elsewhere with data.placement=host"
    if models > 1:
        advice = f"{models} models are one program; train them one by one (sweep --index)"
    return ResourceMissing(f"the device has not enough memory ({requested} asked for) with "
                           f"train.batch_size={config.train.batch_size}; {advice}")


def _run(parts, workdir, record, wandb, make_bar):
    """Train until all steps are done or every member has stopped; the state and kept weights in host memory."""
    now, kept, reached = _resume(parts, workdir, record)
    config = parts.members[0].config.train
    is_first = mesh.first_process()
    folder = workdir / "checkpoints"
    resumed_at = reached["step"]
    cells, valid = setup.make_feed(parts, resumed_at)
    pace = _Pace(cells.most)
    began = time.monotonic()
    with contextlib.closing(cells), preemption.Interruptible() as stop, make_bar(config.steps, resumed_at) as bar:
        while not _ended(reached, config):
            done = reached["step"]
            count = pace.begin(_until_next(done, config))
            index, arrays = cells.take(done, count)
            counts = _counts(parts, reached, count)
            now, sums = parts.program(parts.traits, now, index, counts, arrays, valid)
            sums = jax.device_get(sums)  # waits for the devices
            must_stop, by_ctrl_c = pace.end(count, stop)
            if done == resumed_at:
                stop.progressed()
            done += count
            reached = _collect(parts, reached, sums, done)
            if done % config.eval_every == 0 or done == config.steps:
                kept, reached, lines = _score(parts, now, kept, reached, config)
                if is_first:
                    _log(workdir, wandb, bar, lines, began)
            ended = _ended(reached, config)
            if done % config.checkpoint_every == 0 or must_stop or ended:
                members_now = parts.of_members(now)
                checkpoint.save(folder, done, members_now, kept, reached, run_record.checkpoint_metadata(record))
            bar.update(count)
            if must_stop and not ended:
                bar.close()
                _leave(done, by_ctrl_c)
    return jax.device_get(now), kept, reached


def _leave(done, by_ctrl_c):
    """End this process after `done` steps, whose state is saved."""
    logging.warning("stopped after step %d, state saved; run the same command again to continue", done)
    preemption.leave(by_ctrl_c)


def _until_next(done, config):
    """Steps until the next score, checkpoint or the end."""
    until_score = config.eval_every - done % config.eval_every
    until_checkpoint = config.checkpoint_every - done % config.checkpoint_every
    return min(until_score, until_checkpoint, config.steps - done)


def _ended(reached, config):
    if reached["step"] >= config.steps:
        return True
    return all(progress["stopped"] for progress in reached["members"])


def _counts(parts, reached, count):
    """Steps for each model: none for those that have stopped, and for those that only fill up the devices."""
    counts = np.zeros(parts.layout.models, np.int32)
    for r, progress in enumerate(reached["members"]):
        if not progress["stopped"]:
            counts[r] = count
    return counts


class _Pace:
    """How many steps the devices are given at once: as many as take about `DISPATCH_SECONDS`."""

    def __init__(self, most):
        self._most = most
        self._fitting = 1
        self._compiled = False
        self._began = 0.0

    def begin(self, at_most):
        """Steps of the dispatch that begins now."""
        self._began = time.monotonic()
        return min(self._fitting, at_most)

    def end(self, count, stop):
        """Learn from a dispatch of `count` steps; whether any process was asked to stop, and any by Ctrl-C."""
        seconds = time.monotonic() - self._began
        # All processes take the largest, so that all go on alike.
        seconds, must_stop, by_ctrl_c = mesh.allreduce_max(seconds, stop.asked, stop.by_ctrl_c)
        if self._compiled:
            fitting = int(count * DISPATCH_SECONDS / max(seconds, 1e-6))
            self._fitting = max(1, min(fitting, 4 * self._fitting, self._most))
        self._compiled = True
        return bool(must_stop), bool(by_ctrl_c)


def _resume(parts, workdir, record):
    """The state to go on from, the kept weights in host memory, and how far each member is."""
    folder = workdir / "checkpoints"
    step = checkpoint.newest_step(folder)
    if mesh.first_process():
        metric_log.rewind(workdir, step or 0)
    now = parts.start
    kept = jax.tree.map(np.array, parts.start.variables)
    reached = {"step": 0, "members": [early_stopping.fresh()] * len(parts.members)}
    if step is not None:
        now, kept, reached = checkpoint.restore(folder, step, now, kept, run_record.checkpoint_metadata(record))
    return parts.layout.padded(now), kept, reached


def _collect(parts, reached, sums, done):
    """Add the sums of the last steps; a model whose loss is not finite stops, and alone it ends the run."""
    members = []
    for r, (member, old) in enumerate(zip(parts.members, reached["members"], strict=True)):
        finite = np.isfinite(sums["loss"][r])
        if finite.all():  # of a model that has stopped all are zero
            own_sums = {name: values[r] for name, values in sums.items()}
            members.append(early_stopping.added(old, own_sums))
        else:
            step = reached["step"] + int(finite.argmin()) + 1
            members.append(early_stopping.diverged(old, step))
            _report_divergence(parts, member, f"the loss of step {step} is not finite", step)
    return {"step": done, "members": members}


def _report_divergence(parts, member, what, step):
    if len(parts.members) == 1:
        advice = "lower optimizer.learning_rate, or look for crops with extreme values"
        raise NonFiniteLoss(f"{what}; {advice}", step)
    logging.warning("%s: %s; this model stops, the others continue", member.name, what)


def _score(parts, now, kept, reached, config):
    """Score every member that still trains, and keep its weights where `train.kept_weights` says so."""
    logits = parts.scored.logits(parts.predict, now.variables, parts.traits.channel_mask)
    step = reached["step"]
    members = []
    lines = []
    new_weights = []
    for r, (member, progress) in enumerate(zip(parts.members, reached["members"], strict=True)):
        if not progress["stopped"]:
            rows = member.validation
            scores = early_stopping.validation_scores(logits[r][rows], parts.labels[rows], parts.weights[r])
            progress, record = early_stopping.scored(progress, step, scores, config.kept_weights, config.patience)
            if progress["stopped"] == early_stopping.DIVERGED:
                _report_divergence(parts, member, f"the validation loss after step {step} is not finite", step)
            else:
                named = {"member": member.name} if member.name else {}
                lines.append({"step": step, **named, **record})
                if progress["best_step"] == step:
                    new_weights.append(r)
        members.append(progress)
    return _replaced(kept, now.variables, new_weights), {**reached, "members": members}, lines


def _replaced(kept, variables, members):
    """`kept` with the weights of some members, by position, taken from `variables`, in memory of its own."""
    if not members:
        return kept

    def replace(old, new):
        replaced = np.array(old)
        replaced[members] = np.asarray(new)[members]
        return replaced

    return jax.tree.map(replace, kept, variables)


def _log(workdir, wandb, bar, lines, began):
    for_wandb = {}
    for line in lines:
        line["seconds"] = round(time.monotonic() - began, 3)
        metric_log.append(workdir, line)
        values = dict(line)
        for_wandb["step"] = values.pop("step")
        member = values.pop("member", "")
        for name, value in values.items():
            for_wandb[f"{member}/{name}" if member else name] = value
    if not lines:  # every model diverged
        return
    wandb.log(for_wandb)
    means = {}
    for short, name in (("loss", "train_loss"), ("validation", "validation_loss")):
        means[short] = f"{np.mean([line[name] for line in lines]):.3f}"
    bar.set_postfix(means)
