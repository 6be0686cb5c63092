"""What training changes, and what may differ between models that are trained as one program, as pytrees."""

import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np


@flax.struct.dataclass
class TrainState:
    """State of one model after `step` steps. Stacked along a first axis R it is the state of R models."""

    step: Any  # i32 []
    params: Any  # pytree of f32
    batch_stats: Any  # pytree of f32; empty for models without batch statistics
    opt_state: Any  # pytree of the optimiser

    @property
    def variables(self) -> dict:
        """What `model.apply` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats}


@flax.struct.dataclass
class ModelSettings:
    """What a training step takes as numbers, so that models which differ in it are one program. Never changes."""

    key: Any  # u32 [2], data of the random key that every step folds its number into
    channel_mask: Any  # bool [K], which channels the model sees; the others are zero
    learning_rate: Any  # f32 [], highest rate
    weight_decay: Any  # f32 []
    dropout: Any  # f32 [], share of units dropped
    class_weights: Any  # f32 [P], weight of each class in the loss


def make_settings(
    seed: int, channel_mask, learning_rate: float, weight_decay: float, dropout: float, class_weights
) -> ModelSettings:
    """The settings of one model, in host memory; numbers are f64 where JAX knows them, else f32.

    Args:
        seed: of the random key.
        channel_mask: bool [K].
        learning_rate, weight_decay, dropout: numbers.
        class_weights: f [P].
    """
    number = jnp.result_type(float)
    key = jax.random.key_data(jax.random.key(seed))
    return ModelSettings(
        key=np.asarray(key),
        channel_mask=np.asarray(channel_mask, bool),
        learning_rate=np.asarray(learning_rate, number),
        weight_decay=np.asarray(weight_decay, number),
        dropout=np.asarray(dropout, number),
        class_weights=np.asarray(class_weights, number),
    )


def stack(trees):
    """Equal pytrees as one, stacked along a new first axis, in host memory."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def stack_one(tree):
    """A pytree of arrays with a first axis of length one."""
    return jax.tree.map(lambda leaf: leaf[None], tree)


def member(tree, number: int):
    """Entry `number` of the first axis of every leaf, in host memory: a copy, which later steps cannot overwrite."""
    return jax.tree.map(lambda leaf: np.array(leaf[number]), tree)


def init_variables(model, seed: int, image_shape) -> dict:
    """New weights: {'params', 'batch_stats'}.

    Keys are of the kind 'rbg': with the default kind the program that draws all layers takes ten seconds to compile on
    a CPU. The price is that another kind of device may draw other weights from the same seed.

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`.
        seed: of the weights.
        image_shape: (S, S, K) of the crops the model sees.
    """
    key = jax.random.key(seed, impl="rbg")
    variables = model.init(key, jnp.zeros((1, *image_shape), jnp.float32), train=False)
    return {"params": variables["params"], "batch_stats": variables.get("batch_stats", {})}


@functools.lru_cache(maxsize=32)
def make_create(model, optimizer, image_shape):
    """A compiled function `seed -> TrainState` before the first step; of equal arguments the same one.

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`.
        optimizer: optax transformation.
        image_shape: (S, S, K) of the crops the model sees.
    """

    @jax.jit
    def create(seed):
        variables = init_variables(model, seed, image_shape)
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=variables["params"],
            batch_stats=variables["batch_stats"],
            opt_state=optimizer.init(variables["params"]),
        )

    return create
