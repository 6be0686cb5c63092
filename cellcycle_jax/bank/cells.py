"""The cells that are measured: their images, regions, and the directions that each has of its own."""

import dataclasses
import functools

import numpy as np
from scipy import ndimage

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays

LEAST_PX = 12  # pixels that a region must have to be measured
LEAST_ELONGATION = 1.05  # of a nucleus whose long axis is known
REGIONS = ("nucleus", "cytoplasm")
NEIGHBOUR = "neighbour"
BODY = "cell body"


@dataclasses.dataclass(frozen=True)
class Cells:
    """N cells in crops of S x S px with C channels, one nucleus in the middle of each.

    Attributes:
        images: f32 [N, S, S, C], background at 0.
        nucleus: bool [N, S, S].
        cytoplasm: bool [N, S, S], the cell's body without nuclei.
        other_nuclei: bool [N, S, S].
        channels: names of the C channels.
        um_per_px: size of a pixel; 1 where it is not known, lengths are in px then.
    """

    images: np.ndarray
    nucleus: np.ndarray
    cytoplasm: np.ndarray
    other_nuclei: np.ndarray
    channels: tuple[str, ...]
    um_per_px: float

    def __len__(self) -> int:
        return len(self.images)

    @property
    def length_unit(self) -> str:
        """Unit of lengths; pixels where their size is not known, which is then given as 1."""
        return "um" if self.um_per_px != 1 else "px"

    def region(self, name: str) -> np.ndarray:
        """Mask bool [N, S, S] of one of REGIONS; empty in cells where it has fewer than LEAST_PX pixels."""
        mask = getattr(self, name)
        return mask & (mask.sum((1, 2)) >= LEAST_PX)[:, None, None]

    def signal(self, channel: str, region: str) -> np.ndarray:
        """What a channel shows above the background in a region, f32 [N, S, S], 0 elsewhere."""
        plane = self.images[..., self.channels.index(channel)]
        return np.where(self.region(region), np.maximum(plane, 0), 0)

    def plane(self, channel: str) -> np.ndarray:
        """A channel, f32 [N, S, S]."""
        return self.images[..., self.channels.index(channel)]

    @functools.cached_property
    def offsets(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of each pixel from the centre of its cell's nucleus, f64 [N, S, S] each."""
        centre = centroid(self.nucleus)
        rows, columns = np.indices(self.nucleus.shape[1:])
        return rows - centre[:, 0, None, None], columns - centre[:, 1, None, None]

    @functools.cached_property
    def radius_px(self) -> np.ndarray:
        """Radius f64 [N] of a disc as large as the nucleus."""
        return np.sqrt(np.maximum(self.nucleus.sum((1, 2)), 1) / np.pi)

    @functools.cached_property
    def inner_depth(self) -> np.ndarray:
        """Distance of each pixel of the nucleus from its rim, f32 [N, S, S], px; 0 outside."""
        return _distances(self.nucleus)

    @functools.cached_property
    def outer_distance(self) -> np.ndarray:
        """Distance of each pixel from the own nucleus, f32 [N, S, S], px; 0 inside."""
        return _distances(~self.nucleus)

    @functools.cached_property
    def axis(self) -> np.ndarray:
        """Unit vector (row, column) f64 [N, 2] along each nucleus; NaN of one that is as wide as long."""
        rows, columns = self.offsets
        yy = region_mean(rows * rows, self.nucleus)
        xx = region_mean(columns * columns, self.nucleus)
        yx = region_mean(rows * columns, self.nucleus)
        angle = 0.5 * np.arctan2(2 * yx, xx - yy)
        half = np.hypot((xx - yy) / 2, yx)
        middle = (xx + yy) / 2
        elongation = np.sqrt((middle + half) / np.maximum(middle - half, 1e-9))
        vector = np.stack([np.sin(angle), np.cos(angle)], axis=1)
        return np.where((elongation >= LEAST_ELONGATION)[:, None], vector, np.nan)

    @functools.cached_property
    def directions(self) -> dict[str, np.ndarray]:
        """Unit vectors (row, column) f64 [N, 2] from the nucleus to what lies beside it, by its name.

        For each channel the middle of what is brighter than most of the cytoplasm; the cell body; the nearest other
        nucleus. NaN where there is none.
        """
        vectors = {channel: _unit(self.centres_beside[channel]) for channel in self.channels}
        vectors[BODY] = _unit(weighted_centre(self.cytoplasm.astype(float), self.offsets))
        distance = np.hypot(*self.offsets)
        near = self.other_nuclei * np.exp(-distance / 4.0)
        vectors[NEIGHBOUR] = _unit(weighted_centre(near, self.offsets))
        return vectors

    @functools.cached_property
    def centres_beside(self) -> dict[str, np.ndarray]:
        """From the nucleus to the middle of what is bright in the cytoplasm of each channel, f64 [N, 2], px."""
        return {channel: weighted_centre(self.bright(channel), self.offsets) for channel in self.channels}

    def bright(self, channel: str) -> np.ndarray:
        """By how much each pixel of the cytoplasm exceeds four in five others there, f32 [N, S, S]."""
        mask = self.region("cytoplasm")
        plane = np.where(mask, self.plane(channel), np.nan)
        with np.errstate(all="ignore"):
            level = _quantile(plane, 0.8)
        return np.where(mask, np.maximum(self.plane(channel) - level[:, None, None], 0), 0)


def cells_of(crops: crop_arrays.Crops, channels) -> Cells:
    """The cells of crops, in units of their field's reference, as networks see them without a mask."""
    indices = crop_arrays.channel_indices(crops, channels)
    stats = crops.intensity_stats[:, None, None, list(indices)]
    signal = crops.image[..., list(indices)].astype(np.float32) * crops.image_scale[:, None, None, list(indices)]
    signal = signal - stats[..., schema.INTENSITY_STATS.index("background")]
    unit = stats[..., schema.INTENSITY_STATS.index("reference")]
    images = np.where(unit > 0, signal / np.where(unit > 0, unit, 1), 0)
    bit = schema.Compartment
    nucleus = crops.compartments & int(bit.NUCLEUS) > 0
    other_nuclei = crops.compartments & int(bit.OTHER_NUCLEI) > 0
    body = crops.compartments & int(bit.BODY) > 0
    um_per_px = crops.known_um_per_px
    return Cells(
        images=images.astype(np.float32),
        nucleus=nucleus,
        cytoplasm=body & ~nucleus & ~other_nuclei,
        other_nuclei=other_nuclei,
        channels=tuple(channels),
        um_per_px=um_per_px if np.isfinite(um_per_px) else 1.0,
    )


def centroid(mask) -> np.ndarray:
    """Mean row and column of masks [N, S, S], f64 [N, 2]; the middle of the crop where a mask is empty."""
    rows, columns = np.indices(mask.shape[1:])
    count = mask.sum((1, 2))
    middle = (mask.shape[1] - 1) / 2
    centre = np.stack([(mask * rows).sum((1, 2)), (mask * columns).sum((1, 2))], axis=1)
    return np.where(count[:, None] > 0, centre / np.maximum(count, 1)[:, None], middle)


def weighted_centre(weight, offsets) -> np.ndarray:
    """Mean of the offsets of pixels by weights f [N, S, S], f64 [N, 2]; NaN where all weights are 0."""
    total = weight.sum((1, 2))
    safe = np.where(total > 0, total, np.nan)
    rows, columns = offsets
    return np.stack([(weight * rows).sum((1, 2)) / safe, (weight * columns).sum((1, 2)) / safe], axis=1)


def region_mean(values, mask) -> np.ndarray:
    """Mean of values f [N, S, S] over masks bool [N, S, S], f64 [N]; NaN where a mask is empty."""
    count = mask.sum((1, 2))
    total = np.einsum("nij,nij->n", values, mask, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def smooth(planes, sigma_px: float) -> np.ndarray:
    """Gaussian mean of planes f32 [N, S, S]."""
    return ndimage.gaussian_filter(planes, (0, sigma_px, sigma_px), truncate=3.0)


def _unit(vectors):
    length = np.hypot(vectors[:, 0], vectors[:, 1])
    return vectors / np.where(length > 1e-6, length, np.nan)[:, None]


def _distances(masks):
    distances = np.empty(masks.shape, np.float32)
    for n, mask in enumerate(masks):
        distances[n] = ndimage.distance_transform_edt(mask) if not mask.all() else np.inf
    return distances


def _quantile(planes, share: float):
    """A quantile f32 [N] of what is finite in each of planes [N, S, S]; NaN where nothing is."""
    flat = np.sort(planes.reshape(len(planes), -1), axis=1)  # NaN stand last
    count = np.isfinite(flat).sum(1)
    index = np.clip((share * (count - 1)).round().astype(int), 0, None)
    value = np.take_along_axis(flat, index[:, None], axis=1)[:, 0]
    return np.where(count > 0, value, 0)
