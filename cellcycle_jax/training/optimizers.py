"""Optimisers: how fast, in which direction, and which parameters are kept small."""

import math

import jax
import optax

WARM_UP = 0.05  # share of the steps over which the rate rises


def make_schedule(name: str, steps: int):
    """Learning rate by step, relative to the highest.

    Args:
        name: 'constant', or 'cosine', which rises over 5 % of the steps and falls to zero.
        steps: most training steps.

    Returns:
        step i32 [] -> f32 [], 0..1.
    """
    if name == "constant":
        return optax.constant_schedule(1.0)
    warm_up = max(1, math.ceil(WARM_UP * steps))
    return optax.warmup_cosine_decay_schedule(1 / warm_up, 1.0, warm_up, max(steps, warm_up + 1))


def decayed(params):
    """Which parameters are decayed: kernels, not biases or scales of norms, which have one axis."""
    return jax.tree.map(lambda p: p.ndim > 1, params)


def make_optimizer(name: str, schedule: str, steps: int, learning_rate, weight_decay):
    """The optimiser called `name`, with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Args:
        name: adamw, rmsprop or sgd (with Nesterov momentum 0.9).
        schedule: cosine or constant.
        steps: most training steps; the cosine ends there.
        learning_rate: highest rate; a number, or f32 [] inside a jitted step.
        weight_decay: share of a kernel taken off per step, times the rate; a number or f32 [].

    Returns:
        optax.GradientTransformation; its state depends neither on the rate nor on the decay.
    """
    direction = {
        "adamw": optax.scale_by_adam,
        "rmsprop": lambda: optax.scale_by_rms(decay=0.9, eps=1e-7),
        "sgd": lambda: optax.trace(decay=0.9, nesterov=True),
    }[name]()
    relative = make_schedule(schedule, steps)
    return optax.chain(
        direction,
        optax.add_decayed_weights(weight_decay, mask=decayed),
        optax.scale_by_learning_rate(lambda step: learning_rate * relative(step)),
    )
