"""The convolutional network of Nagao et al. 2020 (doi 10.1091/mbc.E20-03-0187)."""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp

from cellcycle_jax.models.cpu.convolution import (
    Convolution,
    conv_relu,
    conv_relu_pool,
    conv_relu_pool_and_mean,
)
from cellcycle_jax.models.network import MEANS
from cellcycle_jax.models.pooling import max_pool2


class NagaoCNN(nn.Module):
    """[Conv3x3 relu maxpool] (depth + 1) times, each with twice the channels; dense relu, dropout, dense.

    The taps `conv1`, `conv2`, ... are the activations of the convolutions before pooling. One that is not perturbed, or
    by a number only, stands beside the way to the logits, so a compiled program that does not use it does not compute
    it. Where only the mean of a tap is asked for, it is taken while the tap is in the cache.

    Attributes:
        classes: number P of classes.
        filters: channels n of the first convolution; the i-th after it has n * 2^i.
        depth: convolutions after the first.
        dropout: share of units dropped before the last layer while training.
        dtype: 'float32', 'bfloat16' or 'float64', what the network computes in. Parameters and the last layer are
            float32, or float64 with 'float64'.
    """

    independent_cells: ClassVar[bool] = True  # no cell of a batch has to do with another
    loops_on_cpu: ClassVar[bool] = True  # its convolutions are those of models.cpu

    classes: int
    filters: int
    depth: int
    dropout: float
    dtype: str = "float32"

    def setup(self):
        """Name the layers."""
        wide = jnp.promote_types(self.dtype, "float32")
        self.convs = [Convolution(self.filters * 2**i, self.dtype) for i in range(self.depth + 1)]
        self.hidden = nn.Dense(self.filters * 2 ** (self.depth + 1), dtype=self.dtype, param_dtype=wide)
        self.drop = nn.Dropout(self.dropout)
        self.head = nn.Dense(self.classes, dtype=wide, param_dtype=wide)

    def __call__(self, image, train: bool):
        """Logits and taps of `image` f32 [B, S, S, K]; S must be at least 2^(depth + 1)."""
        x = image.astype(self.dtype)
        taps = {}
        for i, conv in enumerate(self.convs, start=1):
            name = f"conv{i}"
            kernel, bias = conv(x.shape[-1])
            taps[name] = self.perturb(name, conv_relu(x, kernel, bias))
            perturbed = jnp.ndim(self.get_variable("perturbations", name, 0)) > 0
            if perturbed:
                x = max_pool2(taps[name])
            elif self.is_mutable_collection(MEANS):
                x, mean = conv_relu_pool_and_mean(x, kernel, bias)
                self.sow(MEANS, name, mean)
            else:
                x = conv_relu_pool(x, kernel, bias)
        x = nn.relu(self.hidden(x.reshape(x.shape[0], -1)))
        return self.head(self.drop(x, deterministic=not train)), taps
