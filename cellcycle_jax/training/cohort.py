"""Many models as one program: what they may differ in, and how a model that sees fewer channels is one of them.

All models of a cohort have the shapes of the largest. One that sees fewer channels gets zeros for the others, and the
weights that would read them are zero and stay so: it starts with the weights of the smaller model, drawn with the
smaller model's fan-in, and is that model at every step, but for rounding.
"""

import dataclasses
import json

import flax.linen as nn
import jax
import numpy as np

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import InputRefused, UsageError
from cellcycle_jax.runs import state

# Fields of the training config in which models of one cohort may differ; whatever else differs needs another program.
FREE = ("seed", "data.channels", "data.cell_lines", "optimizer.learning_rate", "optimizer.weight_decay",
        "model.dropout")
TOLERANCE = 1e-4  # largest difference between the logits of a masked model and of the smaller one


@dataclasses.dataclass(frozen=True)
class Member:
    """One model of a cohort."""

    name: str  # '' for a model that is trained alone
    config: object  # its training config
    channels: tuple[str, ...]  # what it sees, in order
    train: np.ndarray  # i64 [n], rows of the cells that it is trained on
    validation: np.ndarray  # i64 [m], rows of the cells that its weights are chosen by


def make_member(name: str, config, train: crop_arrays.Crops, validation: crop_arrays.Crops) -> Member:
    """The member that a training config describes, on all its labelled cells.

    Raises:
        UsageError, InputRefused: a channel, cell line or class is not there.
    """
    channels = tuple(train.channels[i] for i in crop_arrays.channel_indices(train, config.data.channels))
    rows = [crop_arrays.labelled_rows(crops, config.data.cell_lines) for crops in (train, validation)]
    counts = [np.bincount(crops.label[r], minlength=len(crops.classes)) for crops, r in
              zip((train, validation), rows, strict=True)]
    if counts[0].min() == 0 or counts[1].sum() == 0:
        found = "; ".join(f"{split}: {dict(zip(train.classes, n.tolist(), strict=True))}"
                          for split, n in zip(("train", "validation"), counts, strict=True))
        raise InputRefused(f"{name + ': ' if name else ''}a class has no labelled cell to train on, or validation is "
                           f"empty (cells by split: {found}); add fields, or change the labelling or the split")
    return Member(name, config, channels, *rows)


def key_of(config) -> str:
    """Equal for configs that can be one program."""
    config = config.copy_and_resolve_references()
    with config.unlocked():
        for name in FREE:
            *path, field = name.split(".")
            place = config
            for part in path:
                place = place[part]
            del place[field]
    return json.dumps(config.to_dict(), sort_keys=True)


def all_channels(members, stored) -> tuple[str, ...]:
    """The channels of the largest model: a single member's in its own order, otherwise the union in data-set order.

    Raises:
        UsageError: a member of several names its channels in another order.
    """
    if len({m.channels for m in members}) == 1:
        return members[0].channels
    for member in members:
        if list(member.channels) != sorted(member.channels, key=stored.index):
            raise UsageError(f"{member.name}: data.channels={','.join(member.channels)} is trained together with other "
                             f"choices, so it must follow the order of the data set: {', '.join(stored)}")
    return tuple(name for name in stored if any(name in member.channels for member in members))


def widen(small, large, kept, of: int):
    """Weights of a model that sees some channels as those of the model that sees all, zero where it reads the others.

    Args:
        small: pytree of arrays.
        large: pytree of arrays or shapes of the larger model.
        kept: positions of the channels of the small model among those of the large one, rising.
        of: number of channels of the large one.

    Returns:
        Pytree of NumPy arrays shaped as `large`. An axis on which the two differ counts channels fastest, as every
        reshaping of a channels-last image does.

    Raises:
        UsageError: the two differ in another way.
    """

    def one(a, b):
        a, (axis, places) = np.asarray(a), _differing(a.shape, b.shape, kept, of)
        if axis is None:
            return a
        out = np.zeros(b.shape, a.dtype)
        np.moveaxis(out, axis, 0)[places] = np.moveaxis(a, axis, 0)
        return out

    return jax.tree.map(one, small, large)


def narrow(large, small, kept, of: int):
    """The reverse of `widen`: arrays shaped as `small`, taken out of `large`."""

    def one(a, b):
        a, (axis, places) = np.asarray(a), _differing(b.shape, a.shape, kept, of)
        return a if axis is None else np.take(a, places, axis=axis)

    return jax.tree.map(one, large, small)


def _differing(small, large, kept, of):
    """The axis on which two shapes differ and the places of the small one's entries there; (None, None) where none."""
    axes = [i for i, (a, b) in enumerate(zip(small, large, strict=True)) if a != b]
    if not axes:
        return None, None
    axis, blocks = axes[0], large[axes[0]] // of
    if len(axes) > 1 or (blocks * of, blocks * len(kept)) != (large[axis], small[axis]):
        raise UsageError(f"with {of} channels the model has weights of shape {large}, with {len(kept)} of {small}; no "
                         "axis counts channels alone, so none can be masked; train such models one by one "
                         "(sweep --index)")
    return axis, np.concatenate([block * of + np.asarray(kept) for block in range(blocks)])


def make_start(model, optimizer, members, channels, size: int) -> tuple[state.TrainState, list]:
    """The state of all members before the first step.

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`, for any number of channels.
        optimizer: optax transformation.
        members: of the cohort.
        channels: of the largest model.
        size: height and width of the crops, px.

    Returns:
        The state, stacked along a first axis R in host memory, and for each member the state that the small model
        would have (shapes only), which `narrow` needs.

    Raises:
        UsageError: with channels masked the architecture is not the smaller model.
    """
    create, shapes, states = {}, {}, []  # the first two by number of channels
    for count in sorted({len(channels), *(len(m.channels) for m in members)}):
        create[count] = state.make_create(model, optimizer, (size, size, count))
        shapes[count] = jax.eval_shape(create[count], 0)
    full = shapes[len(channels)]
    if len({member.config.model.dropout for member in members}) > 1:
        _require_own_dropout(model, full.variables, (size, size, len(channels)))
    checked = {channels}
    for member in members:
        kept = [channels.index(name) for name in member.channels]
        own = jax.device_get(create[len(kept)](member.config.seed))
        states.append(widen(own, full, kept, len(channels)))
        if member.channels not in checked:
            _require_equal_logits(model, own, states[-1], kept, (size, size, len(channels)), member)
            checked.add(member.channels)
    return state.stack(states), [shapes[len(member.channels)] for member in members]


def _require_equal_logits(model, small, large, kept, shape, member):
    """Refuse an architecture that mixes channels in a way that `widen` does not know."""
    image = np.random.default_rng(0).uniform(0, 2, (2, *shape)).astype(np.float32)
    masked = np.where(np.isin(np.arange(shape[-1]), kept), image, 0).astype(np.float32)
    apply = jax.jit(lambda variables, image: model.apply(variables, image, train=False)[0])
    difference = np.abs(np.asarray(apply(small.variables, image[..., kept]) - apply(large.variables, masked))).max()
    if not difference <= TOLERANCE:
        raise UsageError(f"model {type(model).__name__} with channels masked is not the smaller model (the logits of "
                         f"{member.name} differ by {difference:.2g}); train such models one by one (sweep --index)")


def _require_own_dropout(model, variables, shape):
    """Refuse an architecture whose dropout is not that of the config alone, which models of a cohort may differ in."""
    rates = []

    def note(layer_call, arguments, options, context):
        if isinstance(context.module, nn.Dropout) and context.method_name == "__call__":
            rates.append(context.module.rate)
        return layer_call(*arguments, **options)

    def apply(variables, image):
        with nn.intercept_methods(note):
            return model.apply(variables, image, train=True, rngs={"dropout": jax.random.key(0)}, mutable=True)[0]

    jax.eval_shape(apply, variables, jax.ShapeDtypeStruct((1, *shape), np.float32))
    if set(rates) != {model.dropout}:
        raise UsageError(f"model.dropout differs between models that are trained together, but {type(model).__name__} "
                         f"drops {sorted(set(rates)) or 'nothing'} where the config says {model.dropout}; train such "
                         "models one by one (sweep --index)")
