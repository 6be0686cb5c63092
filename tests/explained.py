"""Cells and a run whose network is known: it reads DNA for one class and Golgi for the other."""

import flax.linen as nn
import numpy as np

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.models.network import Network
from cellcycle_jax.runs import trained_run
from cellcycle_jax.runs.open_data import OpenData
from configs.base import training

SIDE = 32


class Brightness(nn.Module):
    """Class 1 where the second channel is bright, class 0 where the first is: its maps are the channels themselves."""

    @nn.compact
    def __call__(self, image, train):
        x = self.perturb("last", nn.avg_pool(image, (4, 4), (4, 4)))
        return nn.Dense(2)(x.mean((1, 2))), {"last": x}


def make_crops(n=24, labelled=True):
    """Crops with a nucleus in the middle of channel 0 and a stain to its right in channel 1."""
    rng = np.random.default_rng(0)
    image = np.zeros((n, SIDE, SIDE, 3), np.uint16)
    image[:, 10:22, 8:20, 0] = 200
    label = np.where(np.arange(n) % 2, 1, 0).astype(np.int32)
    image[label == 1, 12:20, 20:28, 1] = 300
    image = image + rng.integers(100, 110, image.shape).astype(np.uint16)
    compartments = np.zeros((n, SIDE, SIDE), np.uint8)
    compartments[:, 10:22, 8:20] = int(schema.Compartment.NUCLEUS)
    compartments[:, 12:20, 20:28] = int(schema.Compartment.ORGANELLE)
    stats = np.tile(np.array([100, 100, 5, 200], np.float32), (n, 3, 1))
    label = label if labelled else np.full(n, schema.NO_LABEL, np.int32)
    text = {name: np.array([f"{name}{i % 10}" for i in range(n)]) for name in schema.EXAMPLE_TEXTS}
    text["cell_id"] = np.array([f"cell{i}" for i in range(n)])
    known = int(schema.Compartment.NUCLEUS | schema.Compartment.ORGANELLE)
    return crop_arrays.Crops(
        image=image, image_scale=np.ones((n, 3), np.float32), compartments=compartments,
        compartments_present=np.full(n, known, np.uint8), label=label, intensity_stats=stats,
        um_per_px=np.full(n, 0.5, np.float32), **text, channels=("DNA", "Golgi", "CENPF"), classes=("G1/S", "G2"),
        markers=("CENPF",), nucleus="DNA", stains=("Golgi",), group_by="field",
    )


def make_run(folder, seen=("DNA", "Golgi"), data=None):
    """A run with a network whose answer is known."""
    model = Brightness()
    kernel = np.array([[4.0, -4.0], [-12.0, 12.0]], np.float32)
    variables = {"params": {"Dense_0": {"kernel": kernel, "bias": np.zeros(2, np.float32)}}}
    config = training()
    config.data.mask = "none"  # the crops above know no cell body
    config.explain.cells_per_class = 10
    return trained_run.Run(
        workdir=folder,
        config=config,
        run_id="a1b2c3",
        data=OpenData(folder),
        channels=seen,
        classes=("G1/S", "G2"),
        markers=("CENPF",),
        crop_px=SIDE,
        network=Network(model, variables),
        step=30,
    )
