"""What the fields of a training config may hold."""

import functools
import math

from cellcycle_jax import models
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.dataset.model_input import MASKS, SCALES
from cellcycle_jax.devices import memory
from cellcycle_jax.errors import UsageError
from cellcycle_jax.extensions import OWN, is_own
from cellcycle_jax.runs import wandb_log

MANY = 10**9
DTYPES = ("float32", "bfloat16", "float64")
OPTIMIZERS = ("adamw", "rmsprop", "sgd")
SCHEDULES = ("cosine", "constant")

# Field of the config, what it may be in words, and the test of it.
ALLOWED = (
    ("model.name", f"one of {', '.join(models.MODELS)}, {OWN}", lambda v: v in models.MODELS or is_own(v)),
    ("model.filters", "1 to 4096", lambda v: 1 <= v <= 4096),
    ("model.depth", "0 to 8", lambda v: 0 <= v <= 8),
    ("model.dropout", "at least 0 and below 1", lambda v: 0 <= v < 1),
    ("model.dtype", f"one of {', '.join(DTYPES)}", lambda v: v in DTYPES),
    ("data.placement", f"one of {', '.join(memory.PLACEMENTS)}", lambda v: v in memory.PLACEMENTS),
    ("data.mask", f"one of {', '.join(MASKS)}", lambda v: v in MASKS),
    ("data.labels", f"one of {', '.join(crop_arrays.LABELS)}", lambda v: v in crop_arrays.LABELS),
    ("data.scale", f"one of {', '.join(SCALES)}", lambda v: v in SCALES),
    ("augment.rotate_deg", "0 to 180", lambda v: 0 <= v <= 180),
    ("augment.shift", "0 to 0.5", lambda v: 0 <= v <= 0.5),
    ("augment.scale", "at least 0 and below 1", lambda v: 0 <= v < 1),
    ("augment.intensity", "0 to 2", lambda v: 0 <= v <= 2),
    ("optimizer.name", f"one of {', '.join(OPTIMIZERS)}", lambda v: v in OPTIMIZERS),
    ("optimizer.schedule", f"one of {', '.join(SCHEDULES)}", lambda v: v in SCHEDULES),
    ("optimizer.learning_rate", "above 0 and finite", lambda v: 0 < v < math.inf),
    ("optimizer.weight_decay", "at least 0 and finite", lambda v: 0 <= v < math.inf),
    ("train.batch_size", "1 to 65,536", lambda v: 1 <= v <= 65_536),
    ("train.steps", "1 to 10^9", lambda v: 1 <= v <= MANY),
    ("train.eval_every", "1 to 10^9", lambda v: 1 <= v <= MANY),
    ("train.checkpoint_every", "1 to 10^9", lambda v: 1 <= v <= MANY),
    ("train.patience", "0 to 10^9", lambda v: 0 <= v <= MANY),
    ("train.wandb", f"one of {', '.join(wandb_log.MODES)}", lambda v: v in wandb_log.MODES),
    ("evaluate.bootstraps", "10 to 1,000,000", lambda v: 10 <= v <= 1_000_000),
    ("evaluate.interval_level", "above 0 and below 1, e.g. 0.95", lambda v: 0 < v < 1),
    ("predict.min_confidence", "0 to 1, e.g. 0.8", lambda v: 0 <= v <= 1),
    ("explain.cells_per_class", "1 to 1,000,000", lambda v: 1 <= v <= 1_000_000),
    ("explain.limits.surroundings", "0 to 1", lambda v: 0 <= v <= 1),
    ("explain.limits.brightness", "0 to 1", lambda v: 0 <= v <= 1),
    ("explain.limits.shortcut_interval_level", "above 0 and below 1, e.g. 0.99", lambda v: 0 < v < 1),
    ("explain.limits.batch_auroc", "0 to 1", lambda v: 0 <= v <= 1),
    ("explain.limits.map_correlation", "0 to 1", lambda v: 0 <= v <= 1),
    ("explain.limits.trivial_correlation", "0 to 1", lambda v: 0 <= v <= 1),
    ("explain.limits.edit_slope", "above 0 and finite", lambda v: 0 < v < math.inf),
    ("explain.limits.region_share", "0 to 1", lambda v: 0 <= v <= 1),
    ("explain.limits.explained_r2", "0 to 1", lambda v: 0 <= v <= 1),
    ("explain.limits.small_gap", "0 to 1", lambda v: 0 <= v <= 1),
    ("discover.n_candidates", "2 to 1,000", lambda v: 2 <= v <= 1_000),
    ("seed", "0 to 2^31 - 1", lambda v: 0 <= v < 2**31),
)


def check_config(config) -> None:
    """Refuse values out of range, before anything is loaded.

    Raises:
        UsageError: names the field, its value and what is allowed.
    """
    for name, allowed, test in ALLOWED:
        value = functools.reduce(getattr, name.split("."), config)
        if not test(value):
            raise UsageError(f"config.{name}={value!r} is not allowed; it must be {allowed}")
