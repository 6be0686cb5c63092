"""One step of training: which cells it reads, what a model sees of them, augmentation, loss and update; pure."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental.layout import Layout as MemoryLayout
from jax.experimental.layout import with_layout_constraint
from jax.sharding import PartitionSpec

from cellcycle_jax.dataset.model_input import model_images
from cellcycle_jax.devices.mesh import AXIS
from cellcycle_jax.devices.model_sharding import Layout

SUMS = ("loss", "correct", "count")  # of each step, over the cells that count


@functools.lru_cache(maxsize=256)
def _order(seed: int, epoch: int, n: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(n).astype(np.int32)


def batch_indices(seed: int, step: int, n: int, batch: int, steps: int = 1) -> np.ndarray:
    """Which cells form the batches of some steps: a function of (seed, step) only, so a resumed run continues exactly.

    Each epoch goes through all cells once, in an order drawn from (seed, epoch); a batch may span epochs.

    Args:
        seed: of the run.
        step: number of the first step, from 0.
        n: cells in the split.
        batch: cells in a batch.
        steps: number of steps.

    Returns:
        i32 [steps, batch], entries 0..n-1.
    """
    numbers = np.arange(step * batch, (step + steps) * batch)
    epochs, positions = np.divmod(numbers, n)
    cells = np.zeros(len(numbers), np.int32)
    for epoch in np.unique(epochs).tolist():
        in_epoch = epochs == epoch
        cells[in_epoch] = _order(seed, epoch, n)[positions[in_epoch]]
    return cells.reshape(steps, batch)


def class_weights(label, classes: int, balance: bool) -> np.ndarray:
    """Weight of each class in the loss: n / (P * count) if `balance`, else 1.

    Args:
        label: i32 [n], 0..P-1, every class present.
        classes: number P of classes.
        balance: whether to weigh classes by their inverse frequency.

    Returns:
        f32 [P]; the mean over the cells is 1.
    """
    if not balance:
        return np.ones(classes, np.float32)
    counts = np.bincount(label, minlength=classes)
    return (len(label) / (classes * counts)).astype(np.float32)


def weighted_loss(logits, label, valid, weights):
    """Sum of the weighted cross-entropy over the valid cells, in nats.

    Args:
        logits: f32 [B, P].
        label: i32 [B].
        valid: f32 [B], 0 for cells that do not count.
        weights: f32 [P].
    """
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    return jnp.sum(jnp.where(valid > 0, losses * weights[label], 0.0))


def make_train_step(model, optimizer, inputs, augmentation, layout: Layout):
    """One step of one model, to be put into a program by `compiled_steps.make_train_program`.

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`.
        optimizer: `(learning_rate, weight_decay) -> optax transformation`.
        inputs: `(image, image_scale, compartments, intensity_stats) -> f32 [B, S, S, K]`: `model_inputs` with choices
            made.
        augmentation: `(key, f32 [B, S, S, K]) -> f32 [B, S, S, K]`: `augment.augment` with choices made.
        layout: of the models on the devices.

    Returns:
        `(traits, state, cells, valid f32 [B]) -> (state, sums)`, where cells are B rows of `crop_arrays.arrays_of` and
        sums holds loss, correct and count over the valid cells.
    """
    devices = layout.devices_of_a_batch
    by_device = devices > 1 and getattr(model, "independent_cells", False)
    gradient_of = _gradient_of(model, parts=devices if by_device else 1)
    if by_device:
        gradient_of = _added_over_devices(gradient_of, layout.mesh)

    def step(traits, state, cells, valid):
        key = jax.random.fold_in(jax.random.wrap_key_data(traits.key), state.step)
        key_augment, key_dropout = jax.random.split(key)
        image = augmentation(key_augment, model_images(inputs, cells))
        image = jnp.where(traits.channel_mask, image, 0.0)
        gradients, sums, batch_stats = gradient_of(
            state.params, state.batch_stats, image, cells["label"], valid, traits, key_dropout
        )
        count = jnp.maximum(sums["count"], 1.0)
        gradients = jax.tree.map(lambda gradient: gradient / count, gradients)
        update = optimizer(traits.learning_rate, traits.weight_decay).update
        updates, opt_state = update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        new_state = state.replace(
            step=state.step + 1, params=params, batch_stats=batch_stats, opt_state=opt_state
        )
        return new_state, sums

    return step


def _gradient_of(model, parts: int):
    """The gradient of the summed loss of a batch, or of one of its `parts`, with respect to the parameters.

    Returns:
        `(params, batch_stats, image, label, valid, traits, key) -> (gradients, sums, batch_stats)`.
    """
    own_dropout = getattr(model, "dropout", None)  # None of a class that has no such field

    def objective(params, batch_stats, image, label, valid, traits, key):
        with nn.intercept_methods(_dropping(own_dropout, traits.dropout, parts)):
            (logits, _), changed = model.apply(
                {"params": params, "batch_stats": batch_stats},
                image,
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
        loss = weighted_loss(logits, label, valid, traits.class_weights)
        correct = jnp.sum(valid * (logits.argmax(-1) == label))
        sums = {"loss": loss, "correct": correct, "count": valid.sum()}
        return loss, (sums, changed.get("batch_stats", {}))

    def gradient_of(params, batch_stats, image, label, valid, traits, key):
        image = jax.lax.platform_dependent(image, cpu=_row_major, default=lambda image: image)
        gradients, (sums, new_stats) = jax.grad(objective, has_aux=True)(
            params, batch_stats, image, label, valid, traits, key
        )
        return gradients, sums, new_stats

    return gradient_of


def _added_over_devices(gradient_of, devices):
    """`gradient_of` of a batch that is divided over devices: each takes that of its part, and they are added up once.

    Left to the compiler, every layer that it cannot divide has the devices wait for each other. Only for models in
    which no cell of a batch has to do with another.
    """

    def of_part(*arguments):
        gradients, sums, batch_stats = gradient_of(*arguments)
        gradients, sums = jax.lax.psum((gradients, sums), AXIS)
        return gradients, sums, batch_stats

    whole = PartitionSpec()
    divided = PartitionSpec(AXIS)
    in_specs = (whole, whole, divided, divided, divided, whole, whole)
    return jax.shard_map(of_part, mesh=devices, in_specs=in_specs, out_specs=whole, check_vma=False)


def _dropping(own: float | None, rate, parts: int):
    """Dropout layers of rate `own` drop the share `rate`, a number inside the program, instead; of None none do.

    In one of several `parts` of a batch they drop what they would drop of this part in the whole batch.
    """

    def call(layer_call, arguments, options, context):
        layer = context.module
        is_dropout = isinstance(layer, nn.Dropout) and context.method_name == "__call__"
        if not is_dropout or layer.rate != own or _is_deterministic(layer, arguments, options):
            return layer_call(*arguments, **options)
        x = arguments[0]
        shape = [1 if axis in layer.broadcast_dims else size for axis, size in enumerate(x.shape)]
        stays = _draw_of_part(layer.make_rng(layer.rng_collection), 1 - rate, shape, parts)
        return jnp.where(stays, (x / (1 - rate)).astype(x.dtype), 0)

    return call


def _draw_of_part(key, probability, shape, parts):
    """Draws bool of this shape: of one part of a batch, those that a draw for the whole batch has there."""
    if parts == 1 or shape[0] == 1:
        return jax.random.bernoulli(key, probability, shape)
    whole_batch = jax.random.bernoulli(key, probability, (parts * shape[0], *shape[1:]))
    first = jax.lax.axis_index(AXIS) * shape[0]
    return jax.lax.dynamic_slice_in_dim(whole_batch, first, shape[0])


def _is_deterministic(layer, arguments, options):
    """Whether a dropout layer is called so that it drops nothing, as flax decides it."""
    by_position = arguments[1] if len(arguments) > 1 else layer.deterministic
    return options.get("deterministic", by_position)


def _row_major(image):
    """`image`, its axes in this order in memory.

    On a CPU the order that the first convolution's gradient wants would spread back into the look-ups of the
    augmentation, which then take 20 ms more for 64 crops of 64 px.
    """
    return with_layout_constraint(image, MemoryLayout(major_to_minor=(0, 1, 2, 3)))
