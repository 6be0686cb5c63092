"""The objects of a stain (Golgi, comets) of one cell: taken off the cytoplasm, moved or zoomed, put back, measured.

An image of a stain is divided into its ground, which is the cytoplasm continued below the objects, and what each object
adds to it. The two add up to the image, so objects that stay where they are leave it as it is.
"""

import dataclasses
import functools

import numpy as np
from scipy import ndimage
from skimage import feature, segmentation

HALO_PX = 2  # how far the brightness of a object reaches beyond its outline
GROUND_PX = 3.0  # sigma of the smoothing that continues the cytoplasm below a object
PEAK_PX = 2  # least distance between the bright places of an object that is divided
FINE = 4  # a pixel is divided so often along each axis to measure the area of small objects
FAINT = 0.1  # share of the brightest object below which nothing counts as a object
WAYS = (1.0, 0.8, 0.6, 0.4, 0.2)  # shares of its way that are tried until a object stays in the cell


@dataclasses.dataclass(frozen=True)
class StainObjects:
    """The n objects of a stain.

    Attributes:
        number: i32 [S, S], object 1..n that a pixel belongs to with its halo, 0 none.
        mask: bool [S, S], the objects without their halo.
        body: bool [S, S], where objects may be.
        ground: f64 [S, S], the stain without its objects.
        excess: f64 [S, S], what the objects add.
        brightness: f64 [n], summed over each, above 0.
        centre: f64 [n, 2], of each, weighted by brightness, px.
    """

    number: np.ndarray
    mask: np.ndarray
    body: np.ndarray
    ground: np.ndarray
    excess: np.ndarray
    brightness: np.ndarray
    centre: np.ndarray

    def __len__(self) -> int:
        return len(self.brightness)

    @functools.cached_property
    def threshold(self) -> float:
        """The excess above which the objects have the area of their mask; at least FAINT of the highest."""
        ordered = np.sort(_fine(self.excess), axis=None)[::-1]
        size = int(self.mask.sum()) * FINE**2
        at_mask = float(ordered[min(size, ordered.size - 1)])
        return max(at_mask, FAINT * float(ordered[0]))


def find(channel: np.ndarray, mask: np.ndarray, body: np.ndarray, nucleus: np.ndarray) -> StainObjects:
    """The connected objects that lie at least half outside the nucleus, each of them whole.

    A object that reaches over the nucleus is not cut at its outline; one that lies mostly there is part of the ground.

    Args:
        channel: f32 [S, S], the stain, background at 0.
        mask: bool [S, S], where it forms objects.
        body: bool [S, S], the cell's body, nucleus included.
        nucleus: bool [S, S].
    """
    channel = channel.astype(np.float64)
    mask = mask & body
    part, n = ndimage.label(mask, np.ones((3, 3)))
    outside = np.zeros(n + 1, bool)
    outside[1:] = ndimage.mean(nucleus, part, np.arange(1, n + 1)) <= 0.5
    own = outside[part]
    if not own.any():
        no_number = np.zeros_like(part)
        no_excess = np.zeros_like(channel)
        return StainObjects(no_number, own, body, channel, no_excess, np.zeros(0), np.zeros((0, 2)))
    away, nearest = ndimage.distance_transform_edt(~own, return_indices=True)
    near = (away <= HALO_PX) & body & (own | ~mask)
    excess = channel - _ground(channel, near, body & ~mask & ~near, nucleus)
    number = np.where(near, part[tuple(nearest)], 0)
    added = np.maximum(excess, 0)
    brightness = np.bincount(number.ravel(), added.ravel(), n + 1)[1:]
    bright = np.flatnonzero(brightness > 0)
    new_numbers = np.arange(1, len(bright) + 1)
    renumbered = np.zeros(n + 1, np.int32)
    renumbered[bright + 1] = new_numbers
    number = renumbered[number]
    centre = np.reshape(ndimage.center_of_mass(added, number, new_numbers), (-1, 2))
    excess = np.where(number > 0, excess, 0)
    return StainObjects(number, own & (number > 0), body, channel - excess, excess, brightness[bright], centre)


def divided(objects: StainObjects) -> StainObjects:
    """The same objects, each divided into a piece for every bright place that is PEAK_PX or more from others."""
    if not len(objects):
        return objects
    added = np.maximum(objects.excess, 0)
    smooth = ndimage.gaussian_filter(added, 1.0)
    peaks = feature.peak_local_max(smooth, min_distance=PEAK_PX, labels=(objects.number > 0).astype(int))
    markers = np.zeros_like(objects.number)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    for number in set(range(1, len(objects) + 1)) - set(objects.number[tuple(peaks.T)].tolist()):
        row, column = np.rint(objects.centre[number - 1]).astype(int)
        markers[row, column] = markers.max() + 1
    number = segmentation.watershed(-smooth, markers, mask=objects.number > 0)
    brightness = np.bincount(number.ravel(), added.ravel())[1:]
    bright = np.flatnonzero(brightness > 0)
    renumbered = np.zeros(len(brightness) + 1, np.int32)
    renumbered[bright + 1] = np.arange(1, len(bright) + 1)
    number = renumbered[number]
    centre = np.reshape(ndimage.center_of_mass(added, number, np.arange(1, len(bright) + 1)), (-1, 2))
    return dataclasses.replace(objects, number=number, brightness=brightness[bright], centre=centre)


def _ground(channel, near, cytoplasm, nucleus):
    """The stain with `near` replaced by a smooth continuation of `cytoplasm`, inside and outside the nucleus apart."""
    ground = channel.copy()
    for region in (~nucleus, nucleus):
        source = cytoplasm & region
        if not source.any():
            source = cytoplasm
        level = np.median(channel[source]) if source.any() else 0.0
        weight = ndimage.gaussian_filter(source.astype(np.float64), GROUND_PX)
        total = ndimage.gaussian_filter(np.where(source, channel, 0), GROUND_PX)
        smooth = total / np.maximum(weight, 1e-12)
        continued = np.where(weight > 1e-3, smooth, level)
        replaced = near & region
        ground[replaced] = continued[replaced]
    return ground


def placed(objects: StainObjects, zoom: float = 1.0, way: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The stain with its objects zoomed about their centres, or moved.

    Args:
        objects: of the stain.
        zoom: of lengths; brightness per pixel is kept.
        way: f64 [n, 2], how far each is moved, px; None: not at all.

    Returns:
        The stain f64 [S, S], and where it now forms objects, bool [S, S]. What leaves the body is cut off.
    """
    grid = np.indices(objects.mask.shape).astype(np.float64)
    channel = objects.ground.copy()
    if way is None:
        way = np.zeros_like(objects.centre)
    for i in range(len(objects)):
        own = objects.number == i + 1
        centre = objects.centre[i, :, None, None]
        at = centre + (grid - centre - way[i, :, None, None]) / zoom
        reached = ndimage.map_coordinates(own.astype(np.float64), at, order=1) > 0  # a spline never quite ends
        channel[reached] += ndimage.map_coordinates(np.where(own, objects.excess, 0), at[:, reached], order=3)
    channel = np.where(objects.body, channel, objects.ground + objects.excess)
    return channel, (channel - objects.ground > objects.threshold) & objects.body


def scatter(objects: StainObjects, dose: float) -> np.ndarray:
    """How far each object has to move so that its way from their common centre changes by `dose`, f64 [n, 2], px."""
    common = objects.brightness @ objects.centre / objects.brightness.sum()
    return held(objects, dose * (objects.centre - common))


def held(objects: StainObjects, way: np.ndarray) -> np.ndarray:
    """`way` f64 [n, 2], px, shortened by steps of a fifth for each object that would leave the body."""
    allowed = np.zeros_like(way)
    for i, step in enumerate(way):
        pixels = np.argwhere((objects.number == i + 1) & objects.mask)
        for share in WAYS:
            moved = pixels + share * step
            if _inside(objects.body, np.floor(moved)) and _inside(objects.body, np.ceil(moved)):
                allowed[i] = share * step
                break
    return allowed


def _inside(body, pixels) -> bool:
    """Whether all pixels [n, 2] lie in the crop and in the body."""
    rows, columns = pixels.astype(int).T
    height, width = body.shape
    in_crop = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return bool(in_crop.all() and body[rows, columns].all())


def area(objects: StainObjects, channel: np.ndarray) -> float:
    """Area of the objects in an edited image of the stain, px^2, finer than a pixel.

    Counted is what stands out of the ground by more than the objects' own threshold, at which their unedited area is
    that of their mask.

    Args:
        objects: of the unedited stain.
        channel: f [S, S], the edited stain.
    """
    return area_above(np.where(objects.body, channel - objects.ground, 0), objects.threshold)


def area_above(channel: np.ndarray, threshold: float) -> float:
    """Area where f [S, S] is above a threshold, px^2, finer than a pixel."""
    return float((_fine(channel) > threshold).sum()) / FINE**2


def _fine(channel):
    return ndimage.zoom(channel, FINE, np.float64, order=1, grid_mode=True, mode="nearest")


def spread(objects: StainObjects, channel: np.ndarray) -> float:
    """How far the objects lie from their common centre in an edited image, px.

    Root of the second moment of brightness about its centre, less what the objects' own size contributed to it before;
    so it is right only for objects that keep their size.

    Args:
        objects: of the unedited stain.
        channel: f [S, S], the edited stain.
    """
    whole = _moment(np.maximum(objects.excess, 0))
    between = _moment(objects.brightness, objects.centre)
    added = np.where(objects.body, channel - objects.ground, 0)
    edited = _moment(np.maximum(added, 0))
    own_size = whole - between
    return float(np.sqrt(max(edited - own_size, 0.0)))


def _moment(weight, at=None):
    """Weighted mean square distance from the weighted centre; of the pixels of an image, or of the points `at`."""
    if at is None:
        at = np.argwhere(np.ones(weight.shape, bool))
    share = weight.ravel() / weight.sum()
    from_centre = at - share @ at
    return float(share @ (from_centre**2).sum(1))
