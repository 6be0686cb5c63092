"""Labels -> one row of measurements per nucleus, named as CellProfiler names them, in um where the pixel size is known.

A measured feature is one function (image, labels, ...) -> {column: f64 [n]} and one line in `measure_cells`.
"""

import dataclasses

import numpy as np
from scipy import ndimage
from skimage import filters, segmentation

from cellcycle_jax import extensions
from cellcycle_jax.errors import UsageError
from data_prep.measurement.columns import Columns
from data_prep.measurement.regions import Regions
from data_prep.measurement.shape import centres, shape
from data_prep.measurement.texture import edge, texture
from data_prep.plane.smoothing import gaussian_mean
from data_prep.plane.threshold import median

OWN_FIELD = "measurements"  # of the config


def typical_diameter(labels: np.ndarray) -> float:
    """Diameter, px, of a disc as large as the median nucleus of `labels` i32 [H, W]; 24 where there is none."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    if len(areas) == 0:
        return 24.0
    return float(2 * np.sqrt(np.median(areas) / np.pi))


def cell_bodies(labels: np.ndarray, reach_px: float) -> np.ndarray:
    """The body of each cell: its nucleus and what lies within `reach_px` of it and nearer to it than to any other.

    Args:
        labels: i32 [H, W], nuclei.
        reach_px: how far a body reaches beyond its nucleus.

    Returns:
        i32 [H, W] with the nuclei's values.
    """
    return segmentation.expand_labels(labels, reach_px).astype(np.int32)


def stain_mask(channel: np.ndarray, bodies: np.ndarray, diameter_px: float) -> np.ndarray:
    """Where a stain forms objects (Golgi, comets): brighter than its surroundings, bool [H, W].

    Surroundings are a Gaussian of a quarter of the nuclear diameter; the cut is Otsu's over the cell bodies of the
    field.

    Args:
        channel: f32 [H, W].
        bodies: i32 [H, W], 0 outside cells.
        diameter_px: typical nuclear diameter.
    """
    fine = gaussian_mean(channel, 0.03 * diameter_px)
    contrast = fine - gaussian_mean(channel, 0.25 * diameter_px)
    inside = contrast[bodies > 0]
    if inside.size == 0 or np.ptp(inside) == 0:
        return np.zeros(channel.shape, bool)
    threshold = max(filters.threshold_otsu(inside), 0)
    return (contrast > threshold) & (bodies > 0)


def stain_peaks(channel: np.ndarray, bodies: np.ndarray, diameter_px: float) -> np.ndarray:
    """Where a stain has single bright spots (comets, vesicles), one True pixel per spot, bool [H, W].

    Local maxima of a difference of Gaussians of 2 % and 5 % of the nuclear diameter (about 0.3 and 0.7 um) that stand
    2.5 robust standard deviations out of the cell bodies of the field. Spots that a blurred mask would merge are
    counted apart.

    Args:
        channel: f32 [H, W].
        bodies: i32 [H, W], 0 outside cells.
        diameter_px: typical nuclear diameter.
    """
    fine = gaussian_mean(channel, 0.022 * diameter_px)
    contrast = fine - gaussian_mean(channel, 0.047 * diameter_px)
    inside = contrast[bodies > 0]
    if inside.size == 0:
        return np.zeros(channel.shape, bool)
    deviation = np.abs(inside - median(inside))
    noise = 1.4826 * median(deviation)
    candidates = np.flatnonzero((contrast > 2.5 * noise) & (bodies > 0))
    peaks = np.zeros(channel.shape, bool)
    peaks.ravel()[_summits(contrast, candidates)] = True
    return peaks


def _summits(image, candidates):
    """Those of `candidates`, flat indices into `image`, that none of their eight neighbours exceeds."""
    framed = np.pad(image, 1, constant_values=-np.inf)
    width = framed.shape[1]
    framed = framed.ravel()
    pixel = candidates + 2 * (candidates // image.shape[1]) + width + 1
    value = framed.take(pixel)
    is_summit = np.ones(len(candidates), bool)
    for row_above in (pixel - width, pixel, pixel + width):
        for neighbour in (row_above - 1, row_above, row_above + 1):
            is_summit &= value >= framed.take(neighbour)
    return candidates[is_summit]


@dataclasses.dataclass(frozen=True)
class LabelledField:
    """A field whose cells are measured.

    Attributes:
        image: background-subtracted f32 [H, W, C].
        labels, bodies: i32 [H, W], nuclei and cells with the same numbers, n of them, at least one; there may be gaps.
        channels: names of the C channels.
        nucleus: the one that shows DNA.
        masks: {channel: bool [H, W]}, the objects of each stain around the nucleus.
        pixel_um: um per px or None: then lengths are in px.
    """

    image: np.ndarray
    labels: np.ndarray
    bodies: np.ndarray
    channels: tuple[str, ...]
    nucleus: str
    masks: dict[str, np.ndarray]
    pixel_um: float | None

    @property
    def um_per_px(self) -> float:
        """What lengths in px are multiplied by: um per px, 1 where that is unknown."""
        return self.pixel_um or 1.0

    def plane(self, channel: str) -> np.ndarray:
        """One channel of the image, f32 [H, W]."""
        return self.image[..., self.channels.index(channel)]


def measure_cells(field: LabelledField, own=()) -> dict[str, np.ndarray]:
    """All measurements of one field.

    Args:
        field: with n nuclei.
        own: further features outside the repository, as `package.module:function`; each takes the field and returns
            {column: [n]}, in the order of `np.unique` of the labels.

    Returns:
        {column: f64 [n]} in the rising order of the labels that have pixels, as `regionprops_table` has them.

    Raises:
        InputRefused: two channels whose measurements have one name.
        UsageError: a feature of `own` cannot be imported, or does not return a value for each nucleus.
    """
    nucleus = field.nucleus
    labels = field.labels
    scale = field.um_per_px
    planes = dict(zip(field.channels, np.moveaxis(field.image, -1, 0), strict=True))
    nuclei = Regions.of(labels)
    cells = Regions.of(field.bodies)
    columns = Columns(shape(nuclei, scale))
    for name, plane in planes.items():
        columns |= intensity(plane, nuclei, "Nuclei", name)
        columns |= intensity(plane, cells, "Cells", name)
        columns |= texture(plane, nuclei, name)
    columns |= edge(planes[nucleus], nuclei, nucleus)
    diameter_px = typical_diameter(labels)
    for name, mask in field.masks.items():
        columns |= stain_objects(planes[name], mask, nuclei, cells, name, scale)
        columns |= stain_spots(planes[name], field.bodies, cells, diameter_px, name, scale)
    for path in own:
        columns |= _own_feature(path, field, len(nuclei.count))
    return columns


def _own_feature(path, field, n) -> dict[str, np.ndarray]:
    """The columns of a feature outside the repository, each f64 [n]."""
    measured = extensions.call(path, {}, OWN_FIELD, field)
    columns = {}
    for name, values in measured.items():
        values = np.asarray(values, np.float64)
        if values.shape != (n,):
            raise UsageError(
                f"config.{OWN_FIELD}: {path} returned {name} of shape {values.shape} for {n} nuclei; it must return a "
                "value for each of np.unique(labels) above 0"
            )
        columns[name] = values
    return columns


def intensity(channel, regions, place, name) -> dict[str, np.ndarray]:
    """Sum, mean, standard deviation and brightest pixel of a channel over each label.

    Args:
        channel: f32 [H, W].
        regions: of the labels.
        place: the compartment's name in the columns; name: the channel's.

    Returns:
        {column: f64 [n]}
    """
    values = channel.reshape(-1)[regions.pixels].astype(np.float64)
    total = regions.sum(values)
    highest = regions.max(values)
    mean = total / regions.count
    # The mean goes first, or the difference of two large sums would lose a small spread.
    values -= regions.spread(mean)
    values *= values
    variance = regions.sum(values) / regions.count
    return {
        f"{place}_Intensity_IntegratedIntensity_{name}": total,
        f"{place}_Intensity_MeanIntensity_{name}": mean,
        f"{place}_Intensity_StdIntensity_{name}": np.sqrt(variance),
        f"{place}_Intensity_MaxIntensity_{name}": highest,
    }


def stain_spots(channel, bodies, cells, diameter_px, name, scale) -> dict[str, np.ndarray]:
    """Number of bright spots of a stain in each cell's body, and their number per area of the body.

    Args:
        channel: f32 [H, W].
        bodies: i32 [H, W]; cells: their regions.
        diameter_px: typical nuclear diameter; name: the channel's; scale: um per px.

    Returns:
        {column: f64 [n]}
    """
    peaks = stain_peaks(channel, bodies, diameter_px)
    number = cells.sum(peaks.ravel()[cells.pixels])
    return {
        f"Cells_Number_Spots_{name}": number,
        f"Cells_Number_SpotDensity_{name}": number / (cells.count * scale**2),
    }


def stain_objects(channel, mask, nuclei, cells, name, scale) -> dict[str, np.ndarray]:
    """The objects of a stain that belong to each cell.

    Area; number of connected objects; spread: root mean square distance of the objects' pixels from their centre,
    weighted by brightness; distance of that centre from the nucleus' centre; summed brightness. A cell without objects
    has area 0 and no spread or distance (NaN).

    Args:
        channel: f32 [H, W].
        mask: bool [H, W], where the stain forms objects.
        nuclei, cells: regions of the nuclei and of the cells' bodies.
        name: the channel's; scale: um per px.

    Returns:
        {column: f64 [n]}
    """
    n = len(cells.count)
    inside = np.flatnonzero(mask.ravel()[cells.pixels])
    owner = cells.owner[inside]
    pixels = cells.pixels[inside]
    y, x = np.divmod(pixels, mask.shape[1])
    weight = np.maximum(channel.reshape(-1)[pixels], 0).astype(np.float64)
    total = np.bincount(owner, weight, n)
    safe_total = np.where(total > 0, total, np.nan)
    centre_y = np.bincount(owner, weight * y, n) / safe_total
    centre_x = np.bincount(owner, weight * x, n) / safe_total
    mean_square = np.bincount(owner, weight * (y * y + x * x), n) / safe_total
    variance = np.maximum(mean_square - centre_y**2 - centre_x**2, 0)
    nucleus_y, nucleus_x = centres(nuclei)
    distance = np.hypot(centre_y - nucleus_y, centre_x - nucleus_x)
    return {
        f"Cells_AreaShape_ObjectArea_{name}": np.bincount(owner, minlength=n) * scale**2,
        f"Cells_Number_Objects_{name}": _number_of_objects(mask, owner, pixels, n),
        f"Cells_Distance_Spread_{name}": np.sqrt(variance) * scale,
        f"Cells_Distance_FromNucleus_{name}": distance * scale,
        f"Cells_Intensity_ObjectIntensity_{name}": total,
    }


def _number_of_objects(mask, owner, pixels, n):
    """Connected objects of `mask` in each of n cells, f64 [n]; one that lies in two cells counts in both.

    Args:
        mask: bool [H, W].
        owner: index of the cell of each of `pixels`, flat indices into `mask`.
        pixels: those of the mask that lie in cells.
        n: number of cells.
    """
    number, last_number = ndimage.label(mask, np.ones((3, 3)))
    cell_and_object = owner * (last_number + 1) + number.ravel()[pixels]
    owner_of_object = np.unique(cell_and_object) // (last_number + 1)
    return np.bincount(owner_of_object, minlength=n).astype(np.float64)
