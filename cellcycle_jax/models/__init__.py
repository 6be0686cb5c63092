"""Architectures: `(image f32 [B, S, S, K], train) -> (logits f32 [B, P], taps {name: f32 [B, h, w, D]})`.

A new architecture is one file beside these and one line in `MODELS`.
"""

import importlib

import flax.linen as nn

# name in the config -> "file:class"; imported when it is asked for
MODELS = {
    "nagao2020": "nagao2020:NagaoCNN",
    "resnet": "resnet:ResNet",
}


def build(name: str, classes: int, filters: int, depth: int, dropout: float, dtype: str = "float32") -> nn.Module:
    """The model called `name`, without parameters.

    Args:
        name: a key of `MODELS`.
        classes: number P of classes.
        filters: channels of the first convolution.
        depth: stages after the first.
        dropout: share of units dropped before the last layer while training.
        dtype: 'float32', 'bfloat16' or 'float64', what the network computes in.

    Raises:
        KeyError: the name is in no line of `MODELS`.
    """
    file, kind = MODELS[name].split(":")
    architecture = getattr(importlib.import_module(f"cellcycle_jax.models.{file}"), kind)
    return architecture(classes=classes, filters=filters, depth=depth, dropout=dropout, dtype=dtype)
