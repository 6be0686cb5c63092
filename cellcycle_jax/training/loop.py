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

from cellcycle_jax import files, locks, schema
from cellcycle_jax.command_line import interruption
from cellcycle_jax.devices import mesh
from cellcycle_jax.errors import EXIT_PREEMPTED, NonFiniteLoss, ResourceMissing, UsageError
from cellcycle_jax.runs import checkpoint, metric_log, run_record, state, trained_run
from cellcycle_jax.runs.config_checks import check_config
from cellcycle_jax.runs.wandb_log import Wandb
from cellcycle_jax.training import cohort, early_stopping, preemption, setup

DISPATCH_SECONDS = 1.0  # how long the devices work before the loop looks up, e.g. for a signal


def train(config, data_dir, workdir) -> None:
    """Train as `config` says and leave RUN/config.json, env.json, metrics.jsonl and checkpoints/ in `workdir`.

    Args:
        config: `configs.base.training()`, changed or not.
        data_dir: folder that `prepare` wrote.
        workdir: run folder; one that holds a run with the same config is continued. On the same number of CPU devices
            it ends with the same bits as if uninterrupted (tested). On GPUs that is untested and needs XLA's
            deterministic flags (docs/training.md). Elsewhere the two may differ by rounding.

    Raises:
        UsageError: a config value out of range, or another process trains in `workdir`.
        InputRefused: the data set lacks a channel, cell line or class.
        StoredStateRefused: the data set is damaged, or `workdir` holds another run.
        NonFiniteLoss: the loss became infinite or NaN; the message names the step.
        ResourceMissing: the device has not enough memory.
        SystemExit: with code 75 after SIGTERM and 130 after Ctrl-C, the state saved.
    """
    _train({"": config}, data_dir, pathlib.Path(workdir), {})


def train_cohort(configs: dict, data_dir, workdir, folders: dict) -> dict[str, int]:
    """Train several configs as one program, and leave a run folder for each, as `train` would but for rounding.

    Args:
        configs: name -> training config; they differ in `cohort.FREE` only.
        data_dir: folder that `prepare` wrote.
        workdir: folder of the cohort, from which it continues after an interruption, as `train` does.
        folders: name -> run folder to write.

    Returns:
        name -> step, of the models whose loss became infinite or NaN; they have no run folder.

    Raises:
        As `train`; UsageError too if several processes call it, or the crops do not fit on the device.
    """
    if (count := jax.process_count()) > 1:
        raise UsageError(f"models that are trained as one program need one process, here are {count}; train them one "
                         "by one (sweep --index)")
    if len({cohort.key_of(config) for config in configs.values()}) > 1:
        raise UsageError(f"configs of one cohort may differ in {', '.join(cohort.FREE)} only")
    ordered = dict(sorted(configs.items()))  # as the models lie in checkpoints, however the caller lists them
    return _train(ordered, data_dir, pathlib.Path(workdir), folders)


def _train(configs, data_dir, workdir, folders):
    for config in configs.values():
        check_config(config)
    shared = next(iter(configs.values()))
    trained_run.choose_precision(shared)
    with locks.holding(workdir / ".lock") if mesh.first_process() else contextlib.nullcontext():
        try:
            parts, records, record = _prepare(configs, data_dir, workdir, alone=not folders)
            wandb = Wandb(shared.train.wandb if mesh.first_process() else "off", record, workdir)
            try:
                now, best, reached = _run(parts, workdir, record, wandb)
            finally:
                wandb.finish()
        except jax.errors.JaxRuntimeError as error:
            raise _explained(error, shared, len(configs)) from error
        if folders:
            _write_runs(parts, records, now, best, reached, workdir, folders)
    return {member.name: own["diverged_step"] for member, own in zip(parts.members, reached["members"], strict=True)
            if own["stopped"] == early_stopping.DIVERGED}


def _prepare(configs, data_dir, workdir, alone):
    """What the loop runs, the record of each run, and that of the folder, which it claims."""
    placement, splits = setup.load(next(iter(configs.values())), data_dir, len(configs))
    setup.refuse_unknown_tap(configs, splits[0])
    members = [cohort.make_member(name, config, *splits) for name, config in configs.items()]
    records = [run_record.describe(member.config, data_dir, splits[0]) for member in members]
    record = records[0] if alone else run_record.describe_cohort(dict(zip(configs, records, strict=True)))
    record = run_record.continued(workdir, record)
    mesh.require_equal(f"{record['run_id']} {placement}", "config or data set")
    if mesh.first_process():
        run_record.write(workdir, record)
        environment = metric_log.environment()
        files.write_json(workdir / "env.json", environment)
        _say(environment, members, placement)
        _say_what_is_learnt(records, splits)
    return setup.assemble(members, splits, placement), records, record


def _explained(error, config, models):
    """What a user can do about memory that does not suffice; any other error as it is."""
    if "RESOURCE_EXHAUSTED" not in str(error):
        return error
    wanted = re.search(r"\d[\d,.]* ?(?:bytes|[KMG]i?B)", str(error))
    advice = "lower it, or keep the crops elsewhere with data.placement=host"
    if models > 1:
        advice = f"{models} models are one program; train them one by one (sweep --index)"
    return ResourceMissing(f"the device has not enough memory ({wanted[0] if wanted else 'amount unknown'} asked for) "
                           f"with train.batch_size={config.train.batch_size}; {advice}")


def _say(environment, members, placement):
    devices = environment["devices"]
    several = f"; {len(members)} models as one program" if len(members) > 1 else ""
    hosts = f" of {environment['processes']} processes" if environment["processes"] > 1 else ""
    print(f"training on {len(devices)} x {devices[0]} ({environment['platform']}){hosts}, cells on the {placement}"
          f"{several}", flush=True)


def _say_what_is_learnt(records, splits):
    """Classes, channels and cells, as a reader of the terminal would check them."""
    channels = dict.fromkeys(tuple(record["channels"]) for record in records)
    counts = [int((crops.label != schema.NO_LABEL).sum()) for crops in splits]
    print(f"{' or '.join(records[0]['classes'])}, from {'; '.join(', '.join(names) for names in channels)}: "
          f"{counts[0]:,} labelled cells to learn from, {counts[1]:,} to validate", flush=True)


def _run(parts, workdir, record, wandb):
    """Train until all steps are done or every member has stopped; the state and best weights in host memory."""
    now, best, reached = _resume(parts, workdir, record)
    config, first, began_at = parts.members[0].config.train, mesh.first_process(), reached["step"]
    cells, valid = setup.make_feed(parts, reached["step"])
    pace, began = _Pace(cells.most), time.monotonic()
    with contextlib.closing(cells), preemption.Interruptible() as stop, tqdm.tqdm(
            total=config.steps, initial=reached["step"], desc="train", unit="step", disable=not first) as bar:
        while not _ended(reached, config):
            done, count = reached["step"], pace.begin(_until_next(reached["step"], config))
            index, arrays = cells.take(done, count)
            now, sums = parts.program(parts.traits, now, index, _counts(parts, reached, count), arrays, valid)
            sums = jax.device_get(sums)  # waits for the devices
            asked, by_ctrl_c = pace.end(count, stop)
            if done == began_at:
                stop.progressed()
            reached = _collect(parts, reached, sums, done + count)
            done += count
            if done % config.eval_every == 0 or done == config.steps:
                best, reached, lines = _score(parts, now, best, reached, config.patience)
                if first:
                    _log(workdir, wandb, bar, lines, began)
            if done % config.checkpoint_every == 0 or asked or _ended(reached, config):
                checkpoint.save(workdir / "checkpoints", done, parts.of_members(now), best, reached,
                                run_record.facts(record))
            bar.update(count)
            if asked and not _ended(reached, config):
                bar.close()
                logging.warning("stopped after step %d, state saved; run the same command again to continue", done)
                if by_ctrl_c:
                    raise SystemExit(interruption.EXIT_INTERRUPTED)
                preemption.ask_for_requeue()
                raise SystemExit(EXIT_PREEMPTED)
    return jax.device_get(now), best, reached


def _until_next(done, config):
    """Steps until the next score, checkpoint or the end."""
    return min(config.eval_every - done % config.eval_every, config.checkpoint_every - done % config.checkpoint_every,
               config.steps - done)


def _ended(reached, config):
    return reached["step"] >= config.steps or all(member["stopped"] for member in reached["members"])


def _counts(parts, reached, count):
    """Steps for each model: none for those that have stopped, and for those that only fill up the devices."""
    counts = np.zeros(parts.layout.models, np.int32)
    counts[: len(parts.members)] = [0 if member["stopped"] else count for member in reached["members"]]
    return counts


class _Pace:
    """How many steps the devices are given at once: as many as take about `DISPATCH_SECONDS`."""

    def __init__(self, most):
        self._most, self._wanted, self._compiled, self._began = most, 1, False, 0.0

    def begin(self, at_most):
        """Steps of the dispatch that begins now."""
        self._began = time.monotonic()
        return min(self._wanted, at_most)

    def end(self, count, stop):
        """Learn from a dispatch of `count` steps; whether any process was asked to stop, and any by Ctrl-C."""
        seconds = time.monotonic() - self._began
        seconds, asked, by_ctrl_c = mesh.largest(seconds, stop.asked, stop.by_ctrl_c)  # so that all go on alike
        if self._compiled:
            fitting = int(count * DISPATCH_SECONDS / max(seconds, 1e-6))
            self._wanted = max(1, min(fitting, 4 * self._wanted, self._most))
        self._compiled = True
        return bool(asked), bool(by_ctrl_c)


def _resume(parts, workdir, record):
    """The state to go on from, the best weights so far in host memory, and how far each member is."""
    folder = workdir / "checkpoints"
    step = checkpoint.newest_step(folder)
    if mesh.first_process():
        metric_log.rewind(workdir, step or 0)
    now, best = parts.start, jax.tree.map(np.array, parts.start.variables)
    reached = {"step": 0, "members": [early_stopping.fresh() for _ in parts.members]}
    if step is not None:
        now, best, reached = checkpoint.restore(folder, step, now, best, run_record.facts(record))
    return parts.layout.filled_up(now), best, reached


def _collect(parts, reached, sums, done):
    """Add the sums of the last steps; a model whose loss is not finite stops, and alone it ends the run."""
    members = []
    for r, (member, old) in enumerate(zip(parts.members, reached["members"], strict=True)):
        finite = np.isfinite(sums["loss"][r])
        if finite.all():  # of a model that has stopped all are zero
            members.append(early_stopping.added(old, {name: values[r] for name, values in sums.items()}))
        else:
            step = reached["step"] + int(finite.argmin()) + 1
            members.append(early_stopping.diverged(old, step))
            _tell_of_divergence(parts, member, f"the loss of step {step} is not finite", step)
    return {"step": done, "members": members}


def _tell_of_divergence(parts, member, what, step):
    advice = "lower optimizer.learning_rate, or look for crops with extreme values"
    if len(parts.members) == 1:
        raise NonFiniteLoss(f"{what}; {advice}", step)
    logging.warning("%s: %s; this model stops, the others go on", member.name, what)


def _score(parts, now, best, reached, patience):
    """Score every member that still trains, and keep its weights where they are the best so far."""
    logits = parts.scored.logits(parts.predict, now.variables, parts.traits.channel_mask)
    members, lines, better = [], [], []
    for r, (member, old) in enumerate(zip(parts.members, reached["members"], strict=True)):
        if not old["stopped"]:
            rows = member.validation
            scores = early_stopping.validation_scores(logits[r][rows], parts.labels[rows], parts.weights[r])
            old, line = early_stopping.scored(old, reached["step"], scores, patience)
            if old["stopped"] == early_stopping.DIVERGED:
                step = reached["step"]
                _tell_of_divergence(parts, member, f"the validation loss after step {step} is not finite", step)
            else:
                lines.append({"step": line.pop("step"), **({"member": member.name} if member.name else {}), **line})
                better += [r] if old["best_step"] == reached["step"] else []
        members.append(old)
    return _replaced(best, now.variables, better), {**reached, "members": members}, lines


def _replaced(best, variables, better):
    """`best` with the weights of the models `better` taken from `variables`, in memory of its own."""
    def one(old, new):
        old, new = np.array(old), np.asarray(new)
        old[better] = new[better]
        return old

    return jax.tree.map(one, best, variables) if better else best


def _log(workdir, wandb, bar, lines, began):
    for line in lines:
        line["seconds"] = round(time.monotonic() - began, 3)
        metric_log.append(workdir, line)
    wandb.log({f"{line['member']}/{k}" if "member" in line and k != "step" else k: v
               for line in lines for k, v in line.items() if k != "member"})
    if lines:
        shown = {"loss": "train_loss", "validation": "validation_loss"}
        bar.set_postfix({short: f"{np.mean([line[name] for line in lines]):.3f}" for short, name in shown.items()})


def _write_runs(parts, records, now, best, reached, workdir, folders):
    """A run folder for every member that has not diverged: what `train` would have left, but for rounding."""
    environment, lines = files.read_json(workdir / "env.json"), metric_log.read(workdir)
    for r, (member, record) in enumerate(zip(parts.members, records, strict=True)):
        if reached["members"][r]["stopped"] == early_stopping.DIVERGED:
            continue
        kept = [parts.channels.index(name) for name in member.channels]

        def alone(tree, shapes, r=r, kept=kept):
            return state.stack_one(cohort.narrow(state.member(tree, r), shapes, kept, len(parts.channels)))

        folder, step = pathlib.Path(folders[member.name]), int(now.step[r])
        record = run_record.continued(folder, record)
        run_record.write(folder, record)
        files.write_json(folder / "env.json", environment)
        metric_log.rewrite(
            folder,
            [{k: v for k, v in line.items() if k != "member"} for line in lines if line.get("member") == member.name],
        )
        checkpoint.save(folder / "checkpoints", step, alone(now, parts.shapes[r]),
                        alone(best, parts.shapes[r].variables), {"step": step, "members": [reached["members"][r]]},
                        run_record.facts(record))
