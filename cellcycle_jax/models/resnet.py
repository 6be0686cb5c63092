"""A small residual network that keeps absolute brightness: DNA content is what tells G1 from G2."""

import flax.linen as nn
import jax.numpy as jnp

from cellcycle_jax.models.cpu.convolution import in_flax
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
        types = {"dtype": self.dtype, "param_dtype": jnp.promote_types(self.dtype, "float32")}
        if not self.first and min(x.shape[1:3]) > SMALLEST_MAP:
            x = mean_pool2(x)
        shortcut = x
        if x.shape[-1] != self.filters:
            shortcut = nn.Conv(self.filters, (1, 1), use_bias=False, conv_general_dilated=in_flax,
                               name="shortcut", **types)(x)
        for i in range(1, self.convolutions + 1):
            norm = nn.GroupNorm(num_groups=None, group_size=group_size(x.shape[-1]), name=f"norm{i}", **types)
            conv = nn.Conv(self.filters, (3, 3), conv_general_dilated=in_flax, name=f"conv{i}", **types)
            x = conv(nn.relu(norm(x)))
        return shortcut + x


def group_size(channels: int) -> int:
    """Largest number of channels, up to 8, that divides `channels`: what GroupNorm normalises together."""
    return next(size for size in (8, 4, 2, 1) if channels % size == 0)


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

    classes: int
    filters: int
    depth: int
    dropout: float
    dtype: str = "float32"

    def setup(self):
        """Name the layers."""
        wide, last = jnp.promote_types(self.dtype, "float32"), self.depth
        self.first = nn.Conv(self.filters, (3, 3), conv_general_dilated=in_flax, dtype=self.dtype, param_dtype=wide)
        self.blocks = [Block(self.filters * 2**i, 1 if i < last else 2, i == 0, self.dtype) for i in range(last + 1)]
        self.drop = nn.Dropout(self.dropout)
        self.head = nn.Dense(self.classes, dtype=wide, param_dtype=wide)

    def __call__(self, image, train: bool):
        """Logits and taps (`stem`, `stage1`, `stage2`, ...) of `image` f32 [B, S, S, K]."""
        taps = {}
        x = taps["stem"] = self.perturb("stem", nn.relu(self.first(space_to_depth2(image.astype(self.dtype)))))
        for i, block in enumerate(self.blocks, start=1):
            x = block(x) if i <= self.depth else nn.relu(block(x))
            x = taps[f"stage{i}"] = self.perturb(f"stage{i}", x)
        x = x.mean(axis=(1, 2), dtype=jnp.promote_types(self.dtype, "float32"))
        return self.head(self.drop(x, deterministic=not train)), taps
