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

from cellcycle_jax import stored_config
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import InputRefused, UsageError
from cellcycle_jax.runs import state

# Fields of the training config in which models of one cohort may differ; whatever else differs needs another program.
FREE = ("seed", "data.channels", "data.cell_lines", "optimizer.learning_rate", "optimizer.weight_decay",
        "model.dropout")
ONE_BY_ONE = "train such models one by one (sweep --index)"  # advice to a user
TOLERANCE = 1e-4  # largest difference between the logits of a masked model and of the smaller one


@dataclasses.dataclass(frozen=True)
class Member:
    """One model of a cohort."""

    name: str  # '' for a model that is trained alone
    config: object  # its training config
    channels: tuple[str, ...]  # what it sees, in order
    train: np.ndarray  # i64 [n], rows of the cells that it is trained on
    validation: np.ndarray  # i64 [m], rows of the cells that its weights are chosen by

    def channels_among(self, channels) -> list[int]:
        """Positions of its channels among those of the largest model."""
        return [channels.index(name) for name in self.channels]


def make_member(name: str, config, train: crop_arrays.Crops, validation: crop_arrays.Crops) -> Member:
    """The member that a training config describes, on all its labelled cells.

    Raises:
        UsageError, InputRefused: a channel, cell line or class is not there.
    """
    channels = tuple(train.channels[i] for i in crop_arrays.channel_indices(train, config.data.channels))
    train_rows = crop_arrays.labelled_rows(train, config.data.cell_lines)
    validation_rows = crop_arrays.labelled_rows(validation, config.data.cell_lines)
    train_cells = np.bincount(train.label[train_rows], minlength=len(train.classes))
    validation_cells = np.bincount(validation.label[validation_rows], minlength=len(validation.classes))
    if train_cells.min() == 0 or validation_cells.sum() == 0:
        prefix = f"{name}: " if name else ""
        train_by_class = dict(zip(train.classes, train_cells.tolist(), strict=True))
        validation_by_class = dict(zip(train.classes, validation_cells.tolist(), strict=True))
        raise InputRefused(f"{prefix}a class has no labelled cell to train on, or validation is empty (cells by "
                           f"split: train: {train_by_class}; validation: {validation_by_class}); add fields, or "
                           "change the labelling or the split")
    return Member(name, config, channels, train_rows, validation_rows)


def key_of(config) -> str:
    """Equal for configs that can be one program."""
    fields = stored_config.flat(config.to_dict())
    for name in FREE:
        del fields[name]
    return json.dumps(fields, sort_keys=True)


def all_channels(members, stored) -> tuple[str, ...]:
    """The channels of the largest model: a single member's in its own order, otherwise the union in data-set order.

    Raises:
        UsageError: a member of several names its channels in another order.
    """
    choices = {member.channels for member in members}
    if len(choices) == 1:
        return members[0].channels
    for member in members:
        if list(member.channels) != sorted(member.channels, key=stored.index):
            raise UsageError(f"{member.name}: data.channels={','.join(member.channels)} is trained together with other "
                             f"choices, so it must follow the order of the data set: {', '.join(stored)}")
    used = set().union(*choices)
    return tuple(sorted(used, key=stored.index))


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

    def widen_array(array, target):
        axis, positions = _channel_axis(array.shape, target.shape, kept, of)
        array = np.asarray(array)
        if axis is None:
            return array
        wide = np.zeros(target.shape, array.dtype)
        np.moveaxis(wide, axis, 0)[positions] = np.moveaxis(array, axis, 0)
        return wide

    return jax.tree.map(widen_array, small, large)


def narrow(large, small, kept, of: int):
    """The reverse of `widen`: arrays shaped as `small`, taken out of `large`."""

    def narrow_array(array, target):
        axis, positions = _channel_axis(target.shape, array.shape, kept, of)
        array = np.asarray(array)
        return array if axis is None else np.take(array, positions, axis=axis)

    return jax.tree.map(narrow_array, large, small)


def _channel_axis(small, large, channels, of):
    """The axis on which two shapes differ, and where the entries of the small one lie on the large one's.

    Returns:
        axis and positions i64 [size of the small one's axis]; (None, None) where the shapes are equal.
    """
    differing = [axis for axis, (few, many) in enumerate(zip(small, large, strict=True)) if few != many]
    if not differing:
        return None, None
    axis = differing[0]
    blocks = large[axis] // of
    counts_channels = large[axis] == blocks * of and small[axis] == blocks * len(channels)
    if len(differing) > 1 or not counts_channels:
        raise UsageError(f"with {of} channels the model has weights of shape {large}, with {len(channels)} of "
                         f"{small}; no axis counts channels alone, so none can be masked; {ONE_BY_ONE}")
    block_starts = of * np.arange(blocks)
    return axis, (block_starts[:, None] + channels).ravel()


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
    image_shape = (size, size, len(channels))
    create = {}  # by number of channels, as the shapes
    shapes = {}
    for count in sorted({len(channels)} | {len(member.channels) for member in members}):
        create[count] = state.make_create(model, optimizer, (size, size, count))
        shapes[count] = jax.eval_shape(create[count], 0)
    full = shapes[len(channels)]
    dropouts = {member.config.model.dropout for member in members}
    if len(dropouts) > 1:
        _require_own_dropout(model, full.variables, image_shape)
    states = []
    own_shapes = []
    checked = {channels}
    for member in members:
        count = len(member.channels)
        positions = member.channels_among(channels)
        own = jax.device_get(create[count](member.config.seed))
        wide = widen(own, full, positions, len(channels))
        if member.channels not in checked:
            _require_equal_logits(model, own, wide, positions, image_shape, member.name)
            checked.add(member.channels)
        states.append(wide)
        own_shapes.append(shapes[count])
    return state.stack(states), own_shapes


def _require_equal_logits(model, small, large, channels, image_shape, name):
    """Refuse an architecture that mixes channels in a way that `widen` does not know."""
    image = np.random.default_rng(0).uniform(0, 2, (2, *image_shape)).astype(np.float32)
    is_shown = np.isin(np.arange(image_shape[-1]), channels)
    masked = np.where(is_shown, image, 0).astype(np.float32)
    logits_of = jax.jit(lambda variables, image: model.apply(variables, image, train=False)[0])
    difference = logits_of(small.variables, image[..., channels]) - logits_of(large.variables, masked)
    largest = np.abs(np.asarray(difference)).max()
    if not largest <= TOLERANCE:  # NaN is refused too
        raise UsageError(f"model {type(model).__name__} with channels masked is not the smaller model (the logits of "
                         f"{name} differ by {largest:.2g}); {ONE_BY_ONE}")


def _require_own_dropout(model, variables, shape):
    """Refuse an architecture whose dropout is not that of the config alone, which models of a cohort may differ in."""
    rates = set()

    def note(layer_call, arguments, options, context):
        if isinstance(context.module, nn.Dropout) and context.method_name == "__call__":
            rates.add(context.module.rate)
        return layer_call(*arguments, **options)

    def apply(variables, image):
        rngs = {"dropout": jax.random.key(0)}
        with nn.intercept_methods(note):
            return model.apply(variables, image, train=True, rngs=rngs, mutable=True)[0]

    jax.eval_shape(apply, variables, jax.ShapeDtypeStruct((1, *shape), np.float32))
    own_dropout = getattr(model, "dropout", None)
    if rates != {own_dropout}:
        drops = sorted(rates) or "nothing"
        raise UsageError(f"model.dropout differs between models that are trained together, but {type(model).__name__} "
                         f"drops {drops} where the config says {own_dropout}; {ONE_BY_ONE}")
