"""Training: from a config and a data set to a run folder. The same command run again continues where it stopped."""

import dataclasses
import functools
import logging
import math
import os
import pathlib
import signal
import threading
import time

import jax
import numpy as np
import tqdm

from cellcycle_jax import augment, checkpoint, data, files, log, mesh, metrics, models, optim, run, state, steps
from cellcycle_jax.errors import EXIT_PREEMPTED, InputRefused, NonFiniteLoss, UsageError
from cellcycle_jax.model_input import MASKS, SCALES, require_compartments

CACHE_VARIABLE = "CELLCYCLE_JAX_CACHE"  # folder of compiled programs; unset: ~/.cache/cellcycle_jax/jax; "": no cache

# Field of the config, what it may be in words, and the test of it.
ALLOWED = (
    ("model.name", f"one of {', '.join(models.MODELS)}", lambda v: v in models.MODELS),
    ("model.filters", "at least 1", lambda v: v >= 1),
    ("model.depth", "0 to 8", lambda v: 0 <= v <= 8),
    ("model.dropout", "at least 0 and below 1", lambda v: 0 <= v < 1),
    ("data.mask", f"one of {', '.join(MASKS)}", lambda v: v in MASKS),
    ("data.scale", f"one of {', '.join(SCALES)}", lambda v: v in SCALES),
    ("augment.rotate_deg", "0 to 180", lambda v: 0 <= v <= 180),
    ("augment.shift", "0 to 0.5", lambda v: 0 <= v <= 0.5),
    ("augment.scale", "at least 0 and below 1", lambda v: 0 <= v < 1),
    ("augment.intensity", "0 to 2", lambda v: 0 <= v <= 2),
    ("optimizer.name", f"one of {', '.join(optim.OPTIMIZERS)}", lambda v: v in optim.OPTIMIZERS),
    ("optimizer.schedule", f"one of {', '.join(optim.SCHEDULES)}", lambda v: v in optim.SCHEDULES),
    ("optimizer.learning_rate", "above 0 and finite", lambda v: 0 < v < math.inf),
    ("optimizer.weight_decay", "at least 0 and finite", lambda v: 0 <= v < math.inf),
    ("train.batch_size", "at least 1", lambda v: v >= 1),
    ("train.steps", "at least 1", lambda v: v >= 1),
    ("train.eval_every", "at least 1", lambda v: v >= 1),
    ("train.checkpoint_every", "at least 1", lambda v: v >= 1),
    ("train.patience", "at least 0", lambda v: v >= 0),
    ("train.wandb", f"one of {', '.join(log.WANDB)}", lambda v: v in log.WANDB),
    ("evaluate.bootstraps", "at least 10", lambda v: v >= 10),
    ("evaluate.confidence", "above 0 and below 1, e.g. 0.95", lambda v: 0 < v < 1),
    ("predict.min_confidence", "0 to 1, e.g. 0.8", lambda v: 0 <= v <= 1),
    ("explain.cells", "at least 1", lambda v: v >= 1),
    ("discover.candidates", "at least 2", lambda v: v >= 2),
    ("seed", "0 to 2^31 - 1", lambda v: 0 <= v < 2**31),
)


@dataclasses.dataclass(frozen=True)
class Parts:
    """What the loop runs: compiled steps and the crops on the devices."""

    mesh: jax.sharding.Mesh
    start: state.TrainState
    train_step: object
    predict_step: object
    weights: np.ndarray  # f32 [P]
    train: dict  # arrays on every device
    validation: dict
    labels: np.ndarray  # i32, of the validation cells


def train(config, data_dir, workdir) -> None:
    """Train as `config` says and leave RUN/config.json, env.json, metrics.jsonl and checkpoints/ in `workdir`.

    Args:
        config: `configs.base.training()`, changed or not.
        data_dir: folder that `prepare` wrote.
        workdir: run folder; one that holds a run with the same config is continued, exactly as if uninterrupted.

    Raises:
        UsageError: a config value out of range, or another process trains in `workdir`.
        InputRefused: the data set lacks a channel, cell line or class.
        StoredStateRefused: the data set is damaged, or `workdir` holds another run.
        NonFiniteLoss: the loss became infinite or NaN; the message names the step.
        SystemExit: with code 75 after SIGTERM, the state saved.
    """
    check_config(config)
    with files.holding(pathlib.Path(workdir) / ".lock"):
        _train(config, data_dir, pathlib.Path(workdir))


def _train(config, data_dir, workdir):
    splits = {split: _labelled(config, data_dir, split) for split in ("train", "validation")}
    _require_classes(splits)
    record = run.describe(config, data_dir, splits["train"])
    run.claim(workdir, record)
    _enable_cache()
    environment = log.environment()
    files.write_json(workdir / "env.json", environment)
    devices = environment["devices"]
    print(f"training on {len(devices)} x {devices[0]} ({environment['platform']})", flush=True)
    parts = _prepare(config, splits, record)
    wandb = log.Wandb(config.train.wandb, record["training"], workdir, record["run_id"])
    try:
        _run(config, parts, workdir, wandb)
    finally:
        wandb.finish()


def check_config(config) -> None:
    """Refuse values out of range, before anything is loaded.

    Raises:
        UsageError: names the field, its value and what is allowed.
    """
    for name, allowed, test in ALLOWED:
        value = functools.reduce(getattr, name.split("."), config)
        if not test(value):
            raise UsageError(f"config.{name}={value!r} is not allowed; it must be {allowed}")


def _labelled(config, data_dir, split):
    crops = data.take_lines(data.load_crops(data_dir, split), config.data.cell_lines)
    crops = data.take(crops, crops.label >= 0)
    require_compartments(crops, config.data.mask, config.data.scale)
    return crops


def _require_classes(splits):
    counts = {split: np.bincount(crops.label, minlength=len(crops.classes)) for split, crops in splits.items()}
    if counts["train"].min() == 0 or counts["validation"].sum() == 0:
        classes = splits["train"].classes
        found = "; ".join(f"{split}: {dict(zip(classes, n.tolist(), strict=True))}" for split, n in counts.items())
        raise InputRefused(f"a class has no labelled cell to train on, or validation is empty (cells by split: "
                           f"{found}); add fields, or change the labelling or the split")


def _enable_cache():
    folder = os.environ.get(CACHE_VARIABLE, str(pathlib.Path.home() / ".cache" / "cellcycle_jax" / "jax"))
    if folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def _prepare(config, splits, record):
    devices = mesh.make_mesh()
    crops = splits["train"]
    channels = data.channel_indices(crops, record["channels"])
    model, inputs = run.model_of(config, crops.classes), run.inputs_of(config, channels)
    chosen = config.optimizer
    optimizer = optim.make_optimizer(chosen.name, chosen.learning_rate, chosen.weight_decay, chosen.schedule,
                                     config.train.steps)
    weights = steps.class_weights(crops.label, len(crops.classes), config.train.balance)
    augmentation = functools.partial(augment.augment, **config.augment.to_dict())
    start = state.create_state(model, optimizer, config.seed, (*crops.image.shape[1:3], len(channels)))
    return Parts(
        mesh=devices,
        start=mesh.replicate(devices, start),
        train_step=steps.make_train_step(model, optimizer, inputs, augmentation, weights, devices),
        predict_step=steps.make_predict_step(model, inputs, devices),
        weights=weights,
        train=mesh.replicate(devices, data.arrays_of(crops)),
        validation=mesh.replicate(devices, data.arrays_of(splits["validation"])),
        labels=splits["validation"].label,
    )


def _run(config, parts, workdir, wandb):
    now, best, progress = _resume(parts, workdir)
    done = int(now.step)
    total, every, batch = config.train.steps, config.train.eval_every, config.train.batch_size
    size, waiting = mesh.padded_size(batch, parts.mesh), []
    start = time.monotonic()
    with _Interruptible() as stop, tqdm.tqdm(total=total, initial=done, desc="train", unit="step") as bar:
        while done < total and not progress["stopped"]:
            index = steps.batch_indices(config.seed, done, len(parts.train["label"]), batch)
            now, sums = parts.train_step(now, parts.train, *mesh.pad_batch(index, size))
            done += 1
            waiting.append(sums)
            asked = stop.asked  # read once: the signal may come between any two lines
            scored = done % every == 0 or done == total
            if scored or done % config.train.checkpoint_every == 0 or len(waiting) >= 50 or asked:
                progress = _collect(progress, waiting, done)
                waiting = []
            if scored:
                best, progress, record = _score(config, parts, now, best, progress)
                record["seconds"] = round(time.monotonic() - start, 3)
                log.append(workdir, record)
                wandb.log(record)
                bar.set_postfix(loss=f"{record['train_loss']:.3f}", validation=f"{record['validation_loss']:.3f}")
            if done % config.train.checkpoint_every == 0 or done == total or progress["stopped"] or asked:
                checkpoint.save(workdir / "checkpoints", done, now, best, progress)
            bar.update()
            if asked and done < total and not progress["stopped"]:
                logging.warning("stopped after step %d, state saved; run the same command again to continue", done)
                raise SystemExit(EXIT_PREEMPTED)


def _resume(parts, workdir):
    folder = workdir / "checkpoints"
    step = checkpoint.newest_step(folder)
    log.rewind(workdir, step or 0)
    host = _copy(parts.start.variables)
    if step is None:
        # Weighted sums since the last score, and how the best score stands.
        nothing = {"loss": 0.0, "correct": 0.0, "count": 0.0}
        return parts.start, host, {"sums": nothing, "best_loss": None, "best_step": 0, "bad": 0, "stopped": False}
    now, best, progress = checkpoint.restore(folder, step, parts.start, host)
    return mesh.replicate(parts.mesh, now), best, progress


def _collect(progress, waiting, done):
    """Add the sums of the last steps; reading them is what waits for the devices, so it is not done at every step."""
    sums = dict(progress["sums"])
    for offset, one in enumerate(jax.device_get(waiting)):
        step = done - len(waiting) + offset + 1
        if not math.isfinite(one["loss"]):
            raise NonFiniteLoss(f"the loss of step {step} is {float(one['loss'])}; lower optimizer.learning_rate, or "
                                "look for crops with extreme values")
        sums = {name: sums[name] + float(one[name]) for name in sums}
    return {**progress, "sums": sums}


def _score(config, parts, now, best, progress):
    logits = steps.predict_logits(parts.predict_step, now.variables, parts.validation, config.train.batch_size,
                                  parts.mesh)
    scores = _validation_scores(logits, parts.labels, parts.weights)
    step, sums = int(now.step), progress["sums"]
    if not math.isfinite(scores["validation_loss"]):
        raise NonFiniteLoss(f"the validation loss after step {step} is {scores['validation_loss']}; "
                            "lower optimizer.learning_rate")
    means = {f"train_{new}": sums[old] / sums["count"] for new, old in (("loss", "loss"), ("accuracy", "correct"))}
    record = {"step": step, **means, **scores}
    better = progress["best_loss"] is None or scores["validation_loss"] < progress["best_loss"]
    bad = 0 if better else progress["bad"] + 1
    progress = {
        "sums": dict.fromkeys(sums, 0.0),
        "best_loss": scores["validation_loss"] if better else progress["best_loss"],
        "best_step": step if better else progress["best_step"],
        "bad": bad,
        "stopped": bool(config.train.patience and bad >= config.train.patience),
    }
    return _copy(now.variables) if better else best, progress, record


def _copy(tree):
    """A copy in host memory; on a CPU `device_get` may only look at memory that the next step is given to reuse."""
    return jax.tree.map(np.array, tree)


def _validation_scores(logits, label, weights):
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    weight = weights[label].astype(np.float64)
    loss = -(weight * logs[np.arange(len(label)), label]).sum() / weight.sum()
    return {"validation_loss": float(loss), "validation_accuracy": float(metrics.accuracy(label, np.exp(logs))[0]),
            "validation_balanced_accuracy": float(metrics.balanced_accuracy(label, np.exp(logs))[0])}


class _Interruptible:
    """Turns the first SIGTERM into `asked`; a second one ends the process at once."""

    def __enter__(self):
        self.asked, self._previous = False, None
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._ask)
        return self

    def _ask(self, *_):
        self.asked = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def __exit__(self, *_):
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
