"""Architectures: `(image f32 [B, S, S, K], train) -> (logits f32 [B, P], taps {name: f32 [B, h, w, D]})`.

A new architecture is one file beside these and one line in `MODELS`.
"""

import flax.linen as nn

from cellcycle_jax.models.nagao2020 import NagaoCNN
from cellcycle_jax.models.resnet import ResNet

MODELS = {
    "nagao2020": NagaoCNN,
    "resnet": ResNet,
}


def build(name: str, classes: int, filters: int, depth: int, dropout: float) -> nn.Module:
    """The model called `name`, without parameters.

    Args:
        name: a key of `MODELS`.
        classes: number P of classes.
        filters: channels of the first convolution.
        depth: stages after the first.
        dropout: share of units dropped before the last layer while training.

    Raises:
        KeyError: the name is in no line of `MODELS`.
    """
    return MODELS[name](classes=classes, filters=filters, depth=depth, dropout=dropout)
