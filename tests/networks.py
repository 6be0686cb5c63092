"""Small networks for tests of explanations: with weights as after training, and some whose answer is known."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cellcycle_jax.models import build
from cellcycle_jax.models.network import Network
from cellcycle_jax.runs.state import init_variables


class Averaged(nn.Module):
    """Mean over the image and a dense layer: class activation maps have a closed form."""

    @nn.compact
    def __call__(self, image, train):
        x = self.perturb("image", image)
        return nn.Dense(2, name="head")(x.mean(axis=(1, 2))), {"image": x}


class Weighed(nn.Module):
    """A weight for every pixel, channel and class: maps of pixels have a closed form."""

    @nn.compact
    def __call__(self, image, train):
        x = self.perturb("image", image)
        return nn.Dense(3, name="head")(x.reshape(len(x), -1)), {"image": x}


class Squared(nn.Module):
    """Half the sum of squares, and its negative: the gradient is the image itself."""

    @nn.compact
    def __call__(self, image, train):
        x = self.perturb("image", image)
        energy = 0.5 * (x**2).sum((1, 2, 3))
        return jnp.stack([energy, -energy], axis=1), {"image": x}


def with_weights(model, image_shape, seed=0):
    """Variables of `model` as after training: every bias differs from zero. NumPy, of the model's dtype."""
    rng = np.random.default_rng(seed)

    def drawn(leaf):
        fan_in = max(1, np.prod(leaf.shape[:-1]))
        sd = 0.3 if len(leaf.shape) < 2 else np.sqrt(2 / fan_in)
        return rng.normal(scale=sd, size=leaf.shape).astype(leaf.dtype)

    return jax.tree.map(drawn, jax.eval_shape(lambda: init_variables(model, 0, image_shape)))


def network(name, image_shape, classes=2, filters=4, depth=2, dtype="float32"):
    """A registered model and its weights."""
    model = build(name, classes, filters, depth, 0.3, dtype)
    return Network(model, with_weights(model, image_shape))


def pictures(n, side, channels=3, seed=0):
    """Images f32 [n, side, side, channels]: a bright spot on a background near zero, each elsewhere."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    centre = rng.uniform(0.3, 0.7, (n, channels, 2)) * side
    spots = [[np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (side / 5) ** 2) for cy, cx in of_one] for of_one in centre]
    return (2 * np.moveaxis(np.array(spots), 1, -1) + rng.normal(0, 0.1, (n, side, side, channels))).astype(np.float32)
