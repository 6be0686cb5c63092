"""What each stain of one cell looks like: DNA, Golgi, microtubule plus ends and the nuclear marker.

Brightness 1 is the unit of the whole simulation: a well stained pixel, before the strength of
a cell's or field's stain.
"""

import dataclasses

import numpy as np
from scipy import ndimage

from data_prep.simulation.layout import Nucleus
from data_prep.simulation.lines import Line

DNA_BRIGHTNESS = 0.5  # of the typical newborn nucleus
MARKER_BRIGHTNESS = 0.055  # of the nucleus, per fold of the typical G1 marker
COMET_UM = 1.3  # length of an EB1 comet
COMET_POINTS = 6


@dataclasses.dataclass(frozen=True)
class GolgiLook:
    """What the Golgi of one cell looks like.

    Attributes:
        area_um2: area covered.
        scatter_um: sd of the places of its stacks and vesicles along the nuclear rim.
        ribbon: 0: stacks lie in any direction, 1: along the rim.
        angle: direction of the Golgi from the nucleus, radians; None: vesicles all over the body, as in mitosis.
    """

    area_um2: float
    scatter_um: float
    ribbon: float
    angle: float | None


def chromatin(rng, nucleus: Nucleus, texture: np.ndarray, line: Line, mitotic: bool, pixel_um: float) -> np.ndarray:
    """Share of a nucleus' DNA in each pixel, f32 [P, P], sum 1, 0 outside its mask.

    Args:
        rng: NumPy generator.
        nucleus: the outline.
        texture: f32 [P, P], noise of mean 0 and sd 1.
        line: texture, nucleoli and chromocentres of the line.
        mitotic: draw condensed chromosomes instead.
        pixel_um: um per px.
    """
    rho = np.minimum(nucleus.rho, 1)
    if mitotic:
        density = np.exp(0.35 * texture) * (1.05 - rho**2) ** 0.5
    else:
        density = (1.03 - rho**2) ** line.edge_softness * np.exp(line.chromatin_texture * texture)
        # Heterochromatin lines the envelope.
        envelope = np.exp(-(((rho - 0.93) / 0.06) ** 2))
        density *= 1 + 0.9 * line.chromatin_texture * envelope
        n = rng.integers(line.nucleoli[0], line.nucleoli[1] + 1)
        sizes_px = rng.uniform(0.9, 1.7, n) / pixel_um
        nucleoli = _spots(rng, nucleus, sizes_px, reach=0.62, sharp=True)
        density *= 1 - line.nucleolus_depth * np.minimum(nucleoli, 1)
        n = rng.integers(line.chromocentres[0], line.chromocentres[1] + 1)
        sizes_px = rng.uniform(0.45, 0.85, n) / pixel_um
        chromocentres = _spots(rng, nucleus, sizes_px, reach=0.88, sharp=False)
        density += 2.2 * density.mean() * chromocentres
    density = np.where(nucleus.mask, density, 0)
    return (density / density.sum()).astype(np.float32)


def golgi(rng, nucleus: Nucleus, allowed: np.ndarray, look: GolgiLook, pixel_um: float):
    """The Golgi of one cell: curved cisternae and vesicles along the nuclear rim.

    Args:
        rng: NumPy generator.
        nucleus: the outline, in the middle of the patch.
        allowed: f32 [P, P], 0 outside the cell's body and 1 inside; less over the nucleus.
        look: area, scatter and direction.
        pixel_um: um per px.

    Returns:
        (brightness f32 [P, P], mask bool [P, P] of round(area / px^2) pixels, or all allowed ones if those are fewer).
    """
    half = allowed.shape[0] // 2
    n = max(int(round(look.area_um2 / 1.8)), 6)
    if look.angle is None:
        middle_y, middle_x, length, tilt = _scattered_vesicles(rng, allowed, n, pixel_um)
    else:
        middle_y, middle_x, length, tilt = _perinuclear_strands(rng, nucleus, look, n, pixel_um)
    bend = rng.normal(0, 0.6, n)
    step = np.linspace(-0.5, 0.5, 9)[:, None]
    direction = tilt + bend * step
    y = middle_y + length * step * np.sin(direction) + half
    x = middle_x + length * step * np.cos(direction) + half
    weight = np.broadcast_to(rng.uniform(0.5, 1.5, n), y.shape)
    points = splat(allowed.shape, y.ravel(), x.ravel(), weight.ravel())
    stain = (ndimage.gaussian_filter(points, 0.33 / pixel_um) + 1e-9) * allowed
    # The area is a cue, so it is met by counting pixels: the brightest ones are the Golgi.
    area_px = max(int(round(look.area_um2 / pixel_um**2)), 1)
    area_px = min(area_px, int((allowed > 0).sum()))
    edge = np.partition(stain.ravel(), -area_px)[-area_px]
    mask = stain >= edge
    # Brightness is the same at any area: stain per area of membrane.
    inside = np.minimum(stain / edge, 12) ** 0.6
    outside = 0.7 * (stain / edge) ** 2
    brightness = np.where(mask, inside, outside)
    return (brightness / brightness[mask].mean()).astype(np.float32), mask


def _scattered_vesicles(rng, allowed, n, pixel_um):
    """Vesicles anywhere in the body beside the nucleus, or in its middle where there is no such pixel.

    Returns:
        y and x from the nucleus' centre, length (px) and tilt (radians), [n] each.
    """
    half = allowed.shape[0] // 2
    rows, columns = np.nonzero(allowed == 1)
    chosen = rng.integers(0, max(len(rows), 1), n)
    if len(rows) == 0:
        rows = columns = np.array([half])
    length = np.full(n, 0.3 / pixel_um)
    tilt = rng.uniform(0, np.pi, n)
    return rows[chosen] - half, columns[chosen] - half, length, tilt


def _perinuclear_strands(rng, nucleus, look, n, pixel_um):
    """Stacks, and one vesicle for three of them, along the nuclear rim around the Golgi's direction.

    Returns:
        y and x from the nucleus' centre, length (px) and tilt (radians), f64 [n] each.
    """
    along = rng.standard_normal(n)
    # The sample has exactly the scatter asked for.
    along = (along - along.mean()) / along.std() * look.scatter_um / pixel_um
    angle = look.angle + along / (nucleus.radius_at(look.angle) + 1.5 / pixel_um)
    gap_um = 0.8 + np.abs(rng.normal(0, 0.4 * look.scatter_um + 0.4, n))
    away = nucleus.radius_at(angle) + gap_um / pixel_um
    is_vesicle = rng.random(n) < 0.25
    length_um = np.where(is_vesicle, 0.3, rng.uniform(1.2, 3.2, n))
    tilt = angle + np.pi / 2 + (1 - look.ribbon) * rng.normal(0, 1.2, n)
    return away * np.sin(angle), away * np.cos(angle), length_um / pixel_um, tilt


def comets(rng, inside_y, inside_x, n: int, poles, pixel_um: float) -> np.ndarray:
    """Points of `n` EB1 comets that point away from the centrosome.

    Args:
        rng: NumPy generator.
        inside_y: int [m], rows of the pixels of the cell's body outside its nucleus.
        inside_x: int [m], their columns.
        n: number of comets.
        poles: f64 [1 or 2, 2], (y, x) of the centrosome, or of both poles of a spindle, px.
        pixel_um: um per px.

    Returns:
        f64 [3, n * COMET_POINTS]: y, x and brightness; the head of a comet is its brightest point.
    """
    distance = np.hypot(inside_y[:, None] - poles[:, 0], inside_x[:, None] - poles[:, 1])
    weight = 1 + 2 * np.exp(-distance.min(axis=1) * pixel_um / 5)  # more of them near the centrosome
    up_to = np.cumsum(weight)
    chosen = np.searchsorted(up_to, rng.random(n) * up_to[-1])
    head_y = inside_y[chosen] + rng.uniform(-0.5, 0.5, n)
    head_x = inside_x[chosen] + rng.uniform(-0.5, 0.5, n)
    to_poles_y = head_y[:, None] - poles[:, 0]
    to_poles_x = head_x[:, None] - poles[:, 1]
    nearest = np.argmin(to_poles_y**2 + to_poles_x**2, axis=1)
    outward = np.arctan2(head_y - poles[nearest, 0], head_x - poles[nearest, 1])
    direction = outward + rng.normal(0, 0.3, n)
    back = np.linspace(0, 1, COMET_POINTS)[:, None]
    length = COMET_UM / pixel_um * rng.uniform(0.7, 1.3, n)
    brightness = np.exp(-1.6 * back) * rng.uniform(0.7, 1.3, n)
    y = head_y - back * length * np.sin(direction)
    x = head_x - back * length * np.cos(direction)
    return np.stack([y.ravel(), x.ravel(), brightness.ravel()])


def splat(shape, y, x, weight) -> np.ndarray:
    """Add points with weights to an empty image, f32 of `shape`, by bilinear sharing; points outside are lost."""
    height, width = shape
    top = np.floor(y).astype(int)
    left = np.floor(x).astype(int)
    down = y - top
    right = x - left
    image = np.zeros(height * width)
    for row, row_share in ((top, 1 - down), (top + 1, down)):
        for column, column_share in ((left, 1 - right), (left + 1, right)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            pixel = row * width + column
            share = weight * row_share * column_share
            image += np.bincount(pixel[inside], share[inside], minlength=image.size)
    return image.reshape(shape).astype(np.float32)


def _spots(rng, nucleus, sizes_px, reach, sharp):
    """Sum of round spots inside the nucleus, f32 [P, P]; `sharp` gives them a flat top and an edge."""
    half = nucleus.half_px
    angle = rng.uniform(-np.pi, np.pi, len(sizes_px))
    distance = np.sqrt(rng.random(len(sizes_px))) * reach * nucleus.radius_at(angle)
    centre_y = distance * np.sin(angle)
    centre_x = distance * np.cos(angle)
    y, x = np.ogrid[-half : half + 1, -half : half + 1]
    total = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for k, size_px in enumerate(sizes_px):
        square = ((y - centre_y[k]) ** 2 + (x - centre_x[k]) ** 2) / size_px**2
        if sharp:
            square = square**2
        total += np.exp(-square)
    return total
