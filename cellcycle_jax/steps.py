"""The jitted steps: gather, choice of channels, normalising, augmentation, loss and update in one program.

The crops of a split stay on the device as stored integers and are passed as an argument: captured, they would become
constants of the program, which takes tens of seconds to compile.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental.layout import Layout, with_layout_constraint

from cellcycle_jax.mesh import divided, pad_batch, padded_size, replicated


def batch_indices(seed: int, step: int, n: int, batch: int) -> np.ndarray:
    """Which cells form the batch of a step: a function of (seed, step) only, so a resumed run continues exactly.

    Each epoch goes through all cells once, in an order drawn from (seed, epoch); a batch may span epochs.

    Args:
        seed: of the run.
        step: number of the step, from 0.
        n: cells in the split.
        batch: cells in a batch.

    Returns:
        i32 [batch], entries 0..n-1.
    """
    places = np.arange(step * batch, (step + 1) * batch)
    epochs = places // n
    order = {epoch: np.random.default_rng((seed, epoch)).permutation(n) for epoch in np.unique(epochs).tolist()}
    return np.array([order[e][p] for e, p in zip(epochs.tolist(), (places % n).tolist(), strict=True)], np.int32)


def class_weights(label, classes: int, balance: bool) -> np.ndarray:
    """Weight of each class in the loss: n / (P * count) if `balance`, else 1.

    Args:
        label: i32 [n], 0..P-1, every class present.
        classes: number P of classes.
        balance: whether to weigh classes by their inverse frequency.

    Returns:
        f32 [P]; the mean over the cells is 1.
    """
    counts = np.bincount(label, minlength=classes)
    return (len(label) / (classes * counts) if balance else np.ones(classes)).astype(np.float32)


def weighted_loss(logits, label, valid, weights):
    """Sum of the weighted cross-entropy over the valid cells, in nats.

    Args:
        logits: f32 [B, P].
        label: i32 [B].
        valid: f32 [B], 0 for cells that do not count.
        weights: f32 [P].
    """
    each = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    return jnp.sum(jnp.where(valid > 0, each * weights[label], 0.0))


def make_train_step(model, optimizer, inputs, augmentation, weights, mesh=None):
    """The training step as one compiled program.

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`.
        optimizer: optax transformation.
        inputs: `(image, image_scale, compartments, norm) -> f32 [B, S, S, K]`: `model_inputs` with choices made.
        augmentation: `(key, f32 [B, S, S, K]) -> f32 [B, S, S, K]`: `augment.augment` with choices made.
        weights: f32 [P], weight of each class.
        mesh: devices over which batches are divided; None for the default device.

    Returns:
        `(state, arrays, index i32 [B], valid f32 [B]) -> (state, sums)`, where arrays is `data.arrays_of` of the split
        and sums holds loss, correct and count over the valid cells. The state passed in is given up (donated).
    """
    weights = np.asarray(weights, np.float32)

    def objective(params, batch_stats, image, label, valid, key):
        (logits, _), changed = model.apply({"params": params, "batch_stats": batch_stats}, image, train=True,
                                           rngs={"dropout": key}, mutable=["batch_stats"])
        loss = weighted_loss(logits, label, valid, jnp.asarray(weights))
        correct = jnp.sum(valid * (logits.argmax(-1) == label))
        sums = {"loss": loss, "correct": correct, "count": valid.sum()}
        return loss / jnp.maximum(valid.sum(), 1.0), (sums, changed.get("batch_stats", {}))

    def step(state, arrays, index, valid):
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
        key_augment, key_dropout = jax.random.split(key)
        image = augmentation(key_augment, _seen(inputs, arrays, index))
        image = jax.lax.platform_dependent(image, cpu=_row_major, default=lambda image: image)
        gradient = jax.grad(objective, has_aux=True)
        gradients, (sums, batch_stats) = gradient(state.params, state.batch_stats, image, arrays["label"][index], valid,
                                                  key_dropout)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return state.replace(step=state.step + 1, params=params, batch_stats=batch_stats, opt_state=opt_state), sums

    if mesh is None:
        return jax.jit(step, donate_argnums=0)
    whole, parts = replicated(mesh), divided(mesh)
    return jax.jit(step, donate_argnums=0, in_shardings=(whole, whole, parts, parts), out_shardings=whole)


def make_predict_step(model, inputs, mesh=None):
    """The prediction step as one compiled program: `(variables, arrays, index i32 [B]) -> logits f32 [B, P]`.

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`.
        inputs: as in `make_train_step`.
        mesh: devices over which batches are divided; None for the default device.
    """

    def predict(variables, arrays, index):
        return model.apply(variables, _seen(inputs, arrays, index), train=False)[0]

    if mesh is None:
        return jax.jit(predict)
    whole = replicated(mesh)
    return jax.jit(predict, in_shardings=(whole, whole, divided(mesh)), out_shardings=whole)


def predict_logits(predict, variables, arrays, batch: int, mesh=None) -> np.ndarray:
    """Logits of all cells in `arrays`, batch by batch; the last batch is filled up, so only one program is compiled.

    Args:
        predict: what `make_predict_step` returned.
        variables: of the model.
        arrays: `data.arrays_of` of N cells, on the device or not.
        batch: cells at a time.
        mesh: as given to `make_predict_step`.

    Returns:
        f32 [N, P].
    """
    n = len(arrays["label"])
    size = padded_size(batch, mesh) if mesh else batch
    starts = range(0, n, size)
    found = [predict(variables, arrays, pad_batch(np.arange(s, min(s + size, n)), size)[0]) for s in starts]
    return np.concatenate([np.asarray(logits) for logits in found])[:n]


def _seen(inputs, arrays, index):
    return inputs(*(arrays[name][index] for name in ("image", "image_scale", "compartments", "norm")))


def _row_major(image):
    """`image`, its axes in this order in memory.

    On a CPU the order that the first convolution's gradient wants would spread back into the look-ups of the
    augmentation, which then take 20 ms more for 64 crops of 64 px.
    """
    return with_layout_constraint(image, Layout(major_to_minor=(0, 1, 2, 3)))
