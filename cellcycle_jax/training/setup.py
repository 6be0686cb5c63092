"""What training runs: the models before their first step, the compiled programs, and the cells."""

import dataclasses
import functools

import jax
import numpy as np

from cellcycle_jax import extensions
from cellcycle_jax.dataset import crop_arrays, model_input
from cellcycle_jax.devices import memory, mesh, model_sharding
from cellcycle_jax.errors import UsageError
from cellcycle_jax.explain.attribution import activations
from cellcycle_jax.models.network import Network
from cellcycle_jax.runs import state, trained_run
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.training import augment, batches, cohort, compiled_steps, optimizers, train_step

PROGRAMS = 32  # kept in this process for further runs


@dataclasses.dataclass(frozen=True)
class TrainingSetup:
    """What the loop runs: compiled programs, the cells, and the models before the first step."""

    layout: model_sharding.Layout
    members: list[cohort.Member]
    shapes: list  # per member, the state it has as a model of its own, shapes only
    channels: tuple[str, ...]
    start: state.TrainState  # of the members, in host memory
    traits: state.ModelSettings  # of all models, on the devices
    weights: list[np.ndarray]  # per member, f32 [P], weight of each class
    program: object
    predict: object
    resident: batches.DeviceBatches | None  # the cells of training on the devices, or
    crops: crop_arrays.Crops | None  # in memory or on disk
    scored: batches.EvaluationCells
    labels: np.ndarray  # i32, of the validation cells

    def of_members(self, tree):
        """The reverse of `Layout.padded`: how many devices there are does not show in it."""
        if self.layout.models == len(self.members):
            return tree
        return jax.tree.map(lambda a: a[: len(self.members)], jax.device_get(tree))


def load(config, data: OpenData, models: int):
    """What is known of the cells; their pixels are still on disk.

    Args:
        config: training config.
        data: the data set.
        models: number of models that are trained as one program.

    Returns:
        Where the crops go ('device', 'host' or 'disk'), and [crops of training, crops of validation].

    Raises:
        UsageError: several models, and the crops do not fit on the device.
        InputRefused, StoredStateRefused: the data set cannot be used.
    """
    splits = []
    for split in ("train", "validation"):
        splits.append(crop_arrays.with_labels(data.crops(split), config.data.labels))
    needed = splits[0].pixel_bytes + splits[1].pixel_bytes
    placement = memory.place(config.data.placement, needed)
    if models > 1 and placement != "device":
        raise UsageError(f"data.placement={placement!r}: models trained as one program need their cells on the device "
                         f"({needed / 2**30:.1f} GiB); train them one by one (sweep --index)")
    for crops in splits:
        present = crops.compartments_present[crops.label >= 0]
        model_input.require_compartments(present, config.data.mask, config.data.scale)
    return placement, splits


def refuse_unusable_model(configs: dict, crops) -> None:
    """Refuse a model that cannot be made or applied, or has no activation config.explain.tap, before it is trained.

    Args:
        configs: name -> training config.
        crops: of the training split.

    Raises:
        UsageError: names what is wrong with the options of the model, with a model outside the repository, or the
            activations that there are.
    """
    for config in configs.values():
        model = trained_run.model_of(config, crops.classes)
        if config.explain.tap == "last" and not extensions.is_own(config.model.name):
            continue
        channels = crop_arrays.channel_indices(crops, config.data.channels)
        shape = (*crops.image.shape[1:3], len(channels))
        with extensions.named_failures(config.model.name, "model.name", f"cannot be applied to crops of shape {shape}"):
            variables = jax.eval_shape(functools.partial(state.init_variables, model, 0, shape))
            taps = activations.tap_names(Network(model, variables), shape)
        activations.resolve_tap(taps, config.explain.tap)


def assemble(members, splits, placement: str) -> TrainingSetup:
    """Make everything that the loop runs.

    Args:
        members: of the cohort, in which only `cohort.FREE` differs.
        splits: [crops of training, crops of validation], as `load` gives them.
        placement: where they go; pixels of cells that no model uses are not read.
    """
    config = members[0].config
    layout = model_sharding.choose_layout(len(members), mesh.make_mesh())
    train, members = _used(splits[0], members, "train")
    validation, members = _used(splits[1], members, "validation")
    if placement != "disk":
        train = crop_arrays.in_memory(train)
        validation = crop_arrays.in_memory(validation)
    channels = cohort.all_channels(members, train.channels)
    positions = crop_arrays.channel_indices(train, channels)
    model = trained_run.model_of(config, train.classes)
    optimizer = (config.optimizer.name, config.optimizer.schedule, config.train.steps)
    start, shapes = cohort.make_start(model, _any_optimizer(*optimizer), members, channels, train.image.shape[1])
    weights = []
    traits = []
    for member in members:
        labels = train.label[member.train]
        weights.append(train_step.class_weights(labels, len(train.classes), config.train.balance_classes))
        traits.append(_traits(member, channels, weights[-1]))
    augmentation = {"channels": positions, "stored": len(train.channels), **config.augment.to_dict()}
    is_resident = placement == "device"
    seen = (positions, config.data.mask, config.data.scale)
    program, predict = _programs(model, optimizer, seen, tuple(augmentation.items()), layout, not is_resident)
    return TrainingSetup(
        layout=layout,
        members=members,
        shapes=shapes,
        channels=channels,
        start=start,
        traits=layout.padded(state.stack(traits)),
        weights=weights,
        program=program,
        predict=predict,
        resident=_resident(train, members, layout) if is_resident else None,
        crops=None if is_resident else train,
        scored=batches.EvaluationCells(validation, config.train.batch_size, layout, is_resident),
        labels=validation.label,
    )


@functools.lru_cache(maxsize=PROGRAMS)
def _any_optimizer(name: str, schedule: str, steps: int):
    """An optimiser whose state is that of all others which differ in learning rate and weight decay only."""
    return optimizers.make_optimizer(name, schedule, steps, 1.0, 0.0)


@functools.lru_cache(maxsize=PROGRAMS)
def _programs(model, optimizer, seen, augmentation, layout, streamed: bool):
    """The compiled programs of training and of prediction: the next run of such models takes them as they are.

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`.
        optimizer: name, schedule and steps of `optimizers.make_optimizer`.
        seen: positions of the channels, mask and scale of `model_input.model_inputs`.
        augmentation: options of `augment.augment`, as (name, value) pairs.
        layout: of the models.
        streamed: as of `compiled_steps.make_train_program`.
    """
    channels, mask, scale = seen
    inputs = functools.partial(model_input.model_inputs, channels=channels, mask=mask, scale=scale)
    step = train_step.make_train_step(
        model,
        functools.partial(optimizers.make_optimizer, *optimizer),
        inputs,
        functools.partial(augment.augment, **dict(augmentation)),
        layout,
    )
    loops_on_cpu = getattr(model, "loops_on_cpu", False)
    train = compiled_steps.make_train_program(step, layout, streamed, loops_on_cpu)
    return train, compiled_steps.make_predict_program(model, inputs, layout)


def _resident(crops, members, layout):
    orders = [batches.Order(member.config.seed, member.train) for member in members]
    orders += orders[:1] * (layout.models - len(orders))
    return batches.DeviceBatches(crops, orders, members[0].config.train.batch_size, layout)


def _used(crops, members, part):
    """The crops that any member uses, and the members with their rows among these."""
    used = np.unique(np.concatenate([getattr(member, part) for member in members]))
    renumbered = []
    for member in members:
        rows = np.searchsorted(used, getattr(member, part))
        renumbered.append(dataclasses.replace(member, **{part: rows}))
    return crop_arrays.take(crops, used), renumbered


def _traits(member, channels, weights):
    config = member.config
    return state.make_settings(
        config.seed,
        np.isin(channels, member.channels),
        config.optimizer.learning_rate,
        config.optimizer.weight_decay,
        config.model.dropout,
        weights,
    )


def make_feed(parts: TrainingSetup, first: int):
    """The cells of the steps from `first` on, and which entries of a batch count, f32 [B] on the devices."""
    layout = parts.layout
    member = parts.members[0]
    train = member.config.train
    size = layout.batch_size(train.batch_size)
    valid = (np.arange(size) < train.batch_size).astype(jax.numpy.result_type(float))
    valid = mesh.put_global(valid, layout.per_cell())
    if parts.resident:
        return parts.resident, valid
    order = batches.Order(member.config.seed, member.train)
    return batches.StreamedBatches(parts.crops, order, train.batch_size, layout, first, train.steps), valid
