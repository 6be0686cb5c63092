"""Everything that training changes, as one pytree."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp


@flax.struct.dataclass
class TrainState:
    """State of training after `step` steps."""

    step: Any  # i32 []
    params: Any  # pytree of f32
    batch_stats: Any  # pytree of f32; empty for models without batch statistics
    opt_state: Any  # pytree of the optimiser
    key: Any  # u32 [2], data of the random key that every step folds its number into; never changes

    @property
    def variables(self) -> dict:
        """What `model.apply` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats}


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


def create_state(model, optimizer, seed: int, image_shape) -> TrainState:
    """The state before the first step.

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`.
        optimizer: optax transformation.
        seed: of the weights, and of everything random in training.
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
            key=jax.random.key_data(jax.random.key(seed)),
        )

    return create(seed)
