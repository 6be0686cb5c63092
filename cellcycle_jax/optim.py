"""Optimisers: how fast, in which direction, and which parameters are kept small."""

import math

import jax
import optax

WARM_UP = 0.05  # share of the steps over which the rate rises
OPTIMIZERS = ("adamw", "rmsprop", "sgd")
SCHEDULES = ("cosine", "constant")


def make_schedule(name: str, learning_rate: float, steps: int):
    """Learning rate by step: 'constant', or 'cosine', which rises over 5 % of the steps and falls to zero."""
    if name == "constant":
        return optax.constant_schedule(learning_rate)
    warm_up = max(1, math.ceil(WARM_UP * steps))
    return optax.warmup_cosine_decay_schedule(learning_rate / warm_up, learning_rate, warm_up, max(steps, warm_up + 1))


def decayed(params):
    """Which parameters are decayed: kernels, not biases or scales of norms, which have one axis."""
    return jax.tree.map(lambda p: p.ndim > 1, params)


def make_optimizer(name: str, learning_rate: float, weight_decay: float, schedule: str, steps: int):
    """The optimiser called `name`, with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Args:
        name: adamw, rmsprop or sgd (with Nesterov momentum 0.9).
        learning_rate: highest rate.
        weight_decay: share of a kernel taken off per step, times the rate.
        schedule: cosine or constant.
        steps: most training steps; the cosine ends there.

    Returns:
        optax.GradientTransformation.
    """
    direction = {
        "adamw": optax.scale_by_adam,
        "rmsprop": lambda: optax.scale_by_rms(decay=0.9, eps=1e-7),
        "sgd": lambda: optax.trace(decay=0.9, nesterov=True),
    }[name]()
    return optax.chain(
        direction,
        optax.add_decayed_weights(weight_decay, mask=decayed),
        optax.scale_by_learning_rate(make_schedule(schedule, learning_rate, steps)),
    )
