"""A small residual network that keeps absolute brightness: DNA content is what tells G1 from G2."""

import math
from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp

from cellcycle_jax.models.cpu.convolve import in_flax
from cellcycle_jax.models.pooling import mean_pool2, space_to_depth2

SMALLEST_MAP = 8  # px; maps of this size are not halved again, so that a Grad-CAM map keeps its detail


class Block(nn.Module):
    """Pre-activation residual block: x + convolutions of relu(norm(x)), He et al. 2016, arXiv:1603.05027.

    Normalisation (GroupNorm, so nothing depends on the batch or on how it is divided over devices) stands inside the
    branch only. The shortcut is linear, so that how bright a cell is reaches the end of the network.

    Attributes:
        filters: channels D of the output.
        convolutions: 3 x 3 convolutions in the branch.
        first: the first block does not halve height and width; the others do, down to `SMALLEST_MAP`.
        dtype: as of `ResNet`.
    """

    filters: int
    convolutions: int
    first: bool
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x):
        """`x` f32 [B, h, w, d] -> f32 [B, h or h // 2, w or w // 2, D]."""
        wide = jnp.promote_types(self.dtype, "float32")
        types = {"dtype": self.dtype, "param_dtype": wide}
        convolution = {"conv_general_dilated": in_flax, **types}
        if not self.first and min(x.shape[1:3]) > SMALLEST_MAP:
            x = mean_pool2(x)
        shortcut = x
        if x.shape[-1] != self.filters:
            projection = nn.Conv(self.filters, (1, 1), use_bias=False, name="shortcut", **convolution)
            shortcut = projection(x)
        for i in range(1, self.convolutions + 1):
            size = group_size(x.shape[-1])
            norm = nn.GroupNorm(num_groups=None, group_size=size, name=f"norm{i}", **types)
            conv = nn.Conv(self.filters, (3, 3), name=f"conv{i}", **convolution)
            x = conv(nn.relu(norm(x)))
        return shortcut + x


def group_size(channels: int) -> int:
    """The largest of 8, 4, 2 and 1 channels that divides `channels`: what GroupNorm normalises together."""
    return math.gcd(channels, 8)


class ResNet(nn.Module):
    """A stem at half the resolution, depth + 1 residual blocks with twice the channels each, mean over the map, dense.

    On two CPU cores the large maps cost most, so the stem sees 2 x 2 pixels at once and only the last block, on the
    smallest map, has two convolutions. The last map is averaged and mapped linearly to the logits: the case in which
    Grad-CAM is exact (it equals the class activation map).

    Attributes:
        classes: number P of classes.
        filters: channels of the stem and the first stage.
        depth: stages after the first.
        dropout: share of units dropped before the last layer while training.
        dtype: 'float32', 'bfloat16' or 'float64', what the network computes in. Parameters, sums over a map and the
            last layer are float32, or float64 with 'float64'.
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
        self.first = nn.Conv(self.filters, (3, 3), conv_general_dilated=in_flax, dtype=self.dtype, param_dtype=wide)
        blocks = []
        for stage in range(self.depth + 1):
            convolutions = 2 if stage == self.depth else 1
            blocks.append(Block(self.filters * 2**stage, convolutions, stage == 0, self.dtype))
        self.blocks = blocks
        self.drop = nn.Dropout(self.dropout)
        self.head = nn.Dense(self.classes, dtype=wide, param_dtype=wide)

    def __call__(self, image, train: bool):
        """Logits and taps (`stem`, `stage1`, `stage2`, ...) of `image` f32 [B, S, S, K]."""
        taps = {}
        pixels = space_to_depth2(image.astype(self.dtype))
        x = nn.relu(self.first(pixels))
        x = taps["stem"] = self.perturb("stem", x)
        for i, block in enumerate(self.blocks, start=1):
            name = f"stage{i}"
            x = block(x)
            if i > self.depth:
                x = nn.relu(x)
            x = taps[name] = self.perturb(name, x)
        x = x.mean(axis=(1, 2), dtype=jnp.promote_types(self.dtype, "float32"))
        return self.head(self.drop(x, deterministic=not train)), taps
