"""A model with its weights, as one value that JAX takes apart and puts together."""

from typing import Any

import flax.linen as nn
import flax.struct


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

    def logits(self, image):
        """Logits f32 [B, P] of images f32 [B, S, S, K]."""
        return self(image)[0]
