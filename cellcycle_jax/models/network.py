"""A model with its weights, as one value that JAX takes apart and puts together."""

from typing import Any

import flax.linen as nn
import flax.struct

MEANS = "tap_means"  # collection of flax in which a model leaves means of its taps


@flax.struct.dataclass
class Network:
    """A Flax module and its weights; a pytree of the weights, in which the module is fixed.

    Attributes:
        model: `(image f32 [B, S, S, K], train) -> (logits f32 [B, P], taps {name: f32 [B, h, w, D]})`.
        variables: {"params": ..., "batch_stats": ...} of the model.
    """

    model: nn.Module = flax.struct.field(pytree_node=False)
    variables: Any

    def __call__(self, image, perturbations: dict | None = None):
        """Logits f32 [B, P] and taps of images f32 [B, S, S, K], as for a prediction.

        Args:
            image: f32 [B, S, S, K].
            perturbations: {tap: f32 [B, h, w, D]}, what is added to the taps; None: nothing.
        """
        variables = self.variables
        if perturbations is not None:
            variables = {**variables, "perturbations": perturbations}
        return self.model.apply(variables, image, train=False)

    def embeddings(self, image):
        """Logits f32 [B, P] of images f32 [B, S, S, K], and {tap: f32 [B, D]}, the mean of each tap over its positions.

        A model may say the mean of a tap itself, where it has it without the tap: `self.sow(MEANS, tap, mean)`.
        """
        (logits, taps), told = self.model.apply(self.variables, image, train=False, mutable=[MEANS])
        own_means = told.get(MEANS, {})
        means = {}
        for name, tap in taps.items():
            means[name] = own_means[name][0] if name in own_means else tap.mean(axis=(1, 2))
        return logits, means

    def logits(self, image):
        """Logits f32 [B, P] of images f32 [B, S, S, K]."""
        return self(image)[0]
