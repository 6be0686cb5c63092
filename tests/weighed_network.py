"""A network with a weight for every pixel, and cells for it: what it reads is known."""

import flax.linen as nn
import numpy as np

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.regions.explained_cells import ExplainedCells
from cellcycle_jax.models.network import Network
from cellcycle_jax.runs import trained_run
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.schema import Compartment
from configs.base import training

SIDE = 16
UPPER = np.broadcast_to(np.arange(SIDE)[:, None] < SIDE // 2, (SIDE, SIDE))
NUCLEUS = np.zeros((SIDE, SIDE), bool)
NUCLEUS[1:7, 4:12] = True
CORNER = np.zeros((SIDE, SIDE), bool)
CORNER[-2:, -2:] = True  # out of reach of the cell
CHANNELS = ("DNA", "Golgi", "Tubulin")


class Weighed(nn.Module):
    """A weight for every pixel, channel and class."""

    classes: int

    @nn.compact
    def __call__(self, image, train):
        x = self.perturb("last", image)
        return nn.Dense(self.classes, name="head")(x.reshape(len(x), -1)), {"last": x}


def make_run(where, channel=1, channels=2, classes=2, folder="", **of_data):
    """A run whose logit of class p is p times the mean of one channel over some places, bool [S, S]."""
    weights = np.zeros((*where.shape, channels, classes), np.float32)
    weights[where, channel] = np.arange(classes) / where.sum()
    variables = {"params": {"head": {"kernel": weights.reshape(-1, classes), "bias": np.zeros(classes, np.float32)}}}
    config = training()
    config.data.mask = "none"
    config.data.update(of_data)
    names = CHANNELS[:channels] if channels < 4 else tuple(f"C{k}" for k in range(channels))
    return trained_run.Run(
        workdir=folder,
        config=config,
        run_id="a1b2c3",
        data=OpenData(folder),
        channels=names,
        classes=tuple(f"class{p}" for p in range(classes)),
        markers=(),
        crop_px=SIDE,
        network=Network(Weighed(classes), variables),
        step=30,
    )


def make_crops(label, image, present=int(Compartment.NUCLEUS | Compartment.BODY), fields=8, classes=2):
    """Crops of cells whose body is the upper half; `fields` fields hold all classes alike."""
    n, of = len(label), np.arange(len(label)) // 6 % fields
    text = {name: np.full(n, name) for name in schema.EXAMPLE_TEXTS} | {
        "cell_id": np.array([f"cell{i}" for i in range(n)]), "group_id": np.array([f"f{k}" for k in of]),
        "field_id": np.array([f"f{k}" for k in of])}
    bits = UPPER * int(Compartment.BODY) | NUCLEUS * int(Compartment.NUCLEUS)
    channels = image.shape[-1]
    return crop_arrays.Crops(
        image=image, image_scale=np.ones((n, channels), np.float32),
        compartments=np.tile(np.broadcast_to(bits, (SIDE, SIDE)).astype(np.uint8), (n, 1, 1)),
        compartments_present=np.full(n, present, np.uint8), label=np.asarray(label, np.int32),
        intensity_stats=np.tile(np.float32([100, 100, 5, 200]), (n, channels, 1)),
        um_per_px=np.full(n, 0.5, np.float32), **text,
        channels=CHANNELS[:channels] if channels < 4 else tuple(f"C{k}" for k in range(channels)),
        classes=tuple(f"class{p}" for p in range(classes)), markers=(), nucleus="DNA", stains=(), group_by="field",
    )


def pictures(label, where, channel=1, channels=2, noise=20.0):
    """u16 [N, S, S, K]: one channel is brighter by 200 with each class over `where`, the rest is noise about 400."""
    rng = np.random.default_rng(0)
    image = rng.normal(400, noise, (len(label), SIDE, SIDE, channels))
    image[..., channel] += 200 * np.asarray(label)[:, None, None] * where
    return image.clip(0).astype(np.uint16)


def make_cells(network, label, where=UPPER, channel=1, **of_crops):
    """Cells as the network sees them."""
    crops = make_crops(label, pictures(label, where, channel, len(network.channels)),
                       classes=len(network.classes), **of_crops)
    images = network.images(crops)
    return ExplainedCells(network, crops, images, methods.logits_of(network.network, images))
