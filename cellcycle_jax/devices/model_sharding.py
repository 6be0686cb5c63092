"""What is divided over the devices: each batch, or the models of a cohort."""

import dataclasses

import jax
from jax.sharding import Mesh, NamedSharding

from cellcycle_jax.devices.mesh import pad_to, padded_size, put_global, replicated, sharded


@dataclasses.dataclass(frozen=True)
class Layout:
    """How R models and their batches lie on the devices: each batch is divided over them, or the models are.

    Attributes:
        mesh: the devices.
        models: their number R, a multiple of the number of devices where models are divided.
        by_host: whether the host starts the models one by one, and their steps where a loop would be slow.
    """

    mesh: Mesh
    models: int
    by_host: bool

    @property
    def vectorised(self) -> bool:
        """Whether the models run side by side, divided over the devices, and each batch lies whole on its device."""
        return self.models > 1 and not self.by_host

    @property
    def devices_of_a_batch(self) -> int:
        """Devices that a batch is divided over."""
        return 1 if self.vectorised else self.mesh.size

    @property
    def per_model(self) -> NamedSharding:
        """Sharding of per-model arrays [R, ...]."""
        return sharded(self.mesh) if self.vectorised else replicated(self.mesh)

    def per_cell(self, axis: int = 0) -> NamedSharding:
        """Of what each cell of a batch has, the cells along one axis."""
        return replicated(self.mesh) if self.vectorised else sharded(self.mesh, axis)

    def padded(self, tree):
        """Pad per-member arrays to R models, and place them for the compiled step.

        Models that the host starts one by one stay in its memory until it is their turn.
        """
        full = jax.tree.map(lambda leaf: pad_to(leaf, self.models, axis=0), tree)
        if self.by_host and self.models > 1:
            return full
        return put_global(full, self.per_model)

    def batch_size(self, batch: int) -> int:
        """Cells that a program is given for a batch: a multiple of the number of devices where they are divided."""
        return batch if self.vectorised else padded_size(batch, self.mesh)


def choose_layout(members: int, mesh, by_host: bool | None = None) -> Layout:
    """The layout of a cohort, filled up to a multiple of the number of devices where its models are divided.

    On an accelerator models run side by side. On a CPU the host starts one model after the other: grouped convolutions,
    which models side by side become, are slow there. So is the gradient of a convolution of flax in a compiled loop, 10
    to 40 times: XLA leaves its axes in an order for which its CPU code is slow. So the host also starts each step,
    unless the model says that its convolutions avoid this, as `models.cpu.convolve` does.

    Args:
        members: models of the cohort.
        mesh: the devices.
        by_host: as in `Layout`; None: as said above.
    """
    if by_host is None:
        by_host = mesh.devices.flat[0].platform == "cpu"
    layout = Layout(mesh, members, by_host)
    if layout.vectorised:
        return dataclasses.replace(layout, models=padded_size(members, mesh))
    return layout
