"""The convolutional network of Nagao et al. 2020 (doi 10.1091/mbc.E20-03-0187)."""

import flax.linen as nn

from cellcycle_jax.models.pooling import max_pool2


class NagaoCNN(nn.Module):
    """[Conv3x3 relu maxpool] (depth + 1) times, each with twice the channels; dense relu, dropout, dense.

    The taps `conv1`, `conv2`, ... are the activations of the convolutions before pooling.

    Attributes:
        classes: number P of classes.
        filters: channels n of the first convolution; the i-th after it has n * 2^i.
        depth: convolutions after the first.
        dropout: share of units dropped before the last layer while training.
    """

    classes: int
    filters: int
    depth: int
    dropout: float

    def setup(self):
        """Name the layers."""
        self.convs = [nn.Conv(self.filters * 2**i, (3, 3)) for i in range(self.depth + 1)]
        self.hidden = nn.Dense(self.filters * 2 ** (self.depth + 1))
        self.drop = nn.Dropout(self.dropout)
        self.head = nn.Dense(self.classes)

    def __call__(self, image, train: bool):
        """Logits and taps of `image` f32 [B, S, S, K]; S must be at least 2^(depth + 1)."""
        x, taps = image, {}
        for i, conv in enumerate(self.convs, start=1):
            name = f"conv{i}"
            x = taps[name] = self.perturb(name, nn.relu(conv(x)))
            x = max_pool2(x)
        x = nn.relu(self.hidden(x.reshape(x.shape[0], -1)))
        return self.head(self.drop(x, deterministic=not train)), taps
