"""What the fields of a training config may hold."""

import math

from cellcycle_jax import allowed_values, models
from cellcycle_jax.allowed_values import between, from_to_below, one_of, one_of_or_own, within
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.dataset.model_input import MASKS, SCALES
from cellcycle_jax.devices import memory
from cellcycle_jax.errors import UsageError
from cellcycle_jax.runs import wandb_log

MANY = 10**9
DTYPES = ("float32", "bfloat16", "float64")
OPTIMIZERS = ("adamw", "rmsprop", "sgd")
SCHEDULES = ("cosine", "constant")
KEPT_WEIGHTS = ("last", "best")

ALLOWED = (
    ("model.name", one_of_or_own(models.MODELS)),
    ("model.filters", within(1, 4096)),
    ("model.depth", within(0, 8)),
    ("model.dropout", from_to_below(0, 1)),
    ("model.dtype", one_of(DTYPES)),
    ("data.placement", one_of(memory.PLACEMENTS)),
    ("data.mask", one_of(MASKS)),
    ("data.labels", one_of(crop_arrays.LABELS)),
    ("data.scale", one_of(SCALES)),
    ("augment.rotate_deg", within(0, 180)),
    ("augment.shift", within(0, 0.5)),
    ("augment.scale", from_to_below(0, 1)),
    ("augment.intensity", within(0, 2)),
    ("optimizer.name", one_of(OPTIMIZERS)),
    ("optimizer.schedule", one_of(SCHEDULES)),
    ("optimizer.learning_rate", between(0, math.inf)),
    ("optimizer.weight_decay", from_to_below(0, math.inf)),
    ("train.batch_size", within(1, 65_536)),
    ("train.steps", within(1, MANY)),
    ("train.eval_every", within(1, MANY)),
    ("train.checkpoint_every", within(1, MANY)),
    ("train.kept_weights", one_of(KEPT_WEIGHTS)),
    ("train.patience", within(0, MANY)),
    ("train.wandb", one_of(wandb_log.MODES)),
    ("evaluate.interval_level", between(0, 1)),
    ("predict.min_confidence", within(0, 1)),
    ("explain.cells_per_class", within(1, 1_000_000)),
    ("explain.limits.surroundings", within(0, 1)),
    ("explain.limits.brightness", within(0, 1)),
    ("explain.limits.shortcut_interval_level", between(0, 1)),
    ("explain.limits.batch_auroc", within(0, 1)),
    ("explain.limits.map_correlation", within(0, 1)),
    ("explain.limits.trivial_correlation", within(0, 1)),
    ("explain.limits.edit_slope", between(0, math.inf)),
    ("explain.limits.region_share", within(0, 1)),
    ("explain.limits.explained_r2", within(0, 1)),
    ("explain.limits.unnamed_share", within(0, 1)),
    ("explain.limits.small_gap", within(0, 1)),
    ("discover.n_candidates", within(2, 1_000)),
    ("seed", within(0, 2**31 - 1)),
)


def check_config(config) -> None:
    """Refuse values out of range, before anything is loaded.

    Raises:
        UsageError: names the field, its value and what is allowed.
    """
    allowed_values.refuse_values(config, ALLOWED)
    if config.train.patience and config.train.kept_weights != "best":
        raise UsageError(f"config.train.patience={config.train.patience} stops training by scores on validation cells, "
                         "and config.train.kept_weights='last' keeps weights that no such score chose; allowed is "
                         "patience 0, or config.train.kept_weights=best with it")
