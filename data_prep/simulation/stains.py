"""What each stain of one cell looks like: DNA, Golgi, microtubule plus ends and the nuclear marker.

Brightness 1 is the unit of the whole simulation: a well stained pixel, before the strength of
a cell's or field's stain.
"""

import numpy as np
from scipy import ndimage

from data_prep.simulation.layout import Nucleus
from data_prep.simulation.lines import Line

DNA_BRIGHTNESS = 0.5  # of the typical newborn nucleus
MARKER_BRIGHTNESS = 0.055  # of the nucleus, per fold of the typical G1 marker
COMET_UM = 1.3  # length of an EB1 comet
COMET_POINTS = 6


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
    rho, mask = np.minimum(nucleus.rho, 1), nucleus.mask
    if mitotic:
        density = np.exp(0.35 * texture) * (1.05 - rho**2) ** 0.5
    else:
        density = (1.03 - rho**2) ** line.edge_softness * np.exp(line.chromatin_texture * texture)
        # Heterochromatin lines the envelope.
        density *= 1 + 0.9 * line.chromatin_texture * np.exp(-(((rho - 0.93) / 0.06) ** 2))
        n = rng.integers(line.nucleoli[0], line.nucleoli[1] + 1)
        holes = _spots(rng, nucleus, n, rng.uniform(0.9, 1.7, n) / pixel_um, reach=0.62, sharp=True)
        density *= 1 - line.nucleolus_depth * np.minimum(holes, 1)
        n = rng.integers(line.chromocentres[0], line.chromocentres[1] + 1)
        sizes = rng.uniform(0.45, 0.85, n) / pixel_um
        density += 2.2 * density.mean() * _spots(rng, nucleus, n, sizes, reach=0.88, sharp=False)
    density = np.where(mask, density, 0)
    return (density / density.sum()).astype(np.float32)


def golgi(rng, nucleus: Nucleus, allowed: np.ndarray, area_um2, scatter_um, ribbon, angle, pixel_um: float):
    """The Golgi of one cell: curved cisternae and vesicles along the nuclear rim.

    Args:
        rng: NumPy generator.
        nucleus: the outline, in the middle of the patch.
        allowed: f32 [P, P], 0 outside the cell's body and 1 inside; less over the nucleus.
        area_um2: area covered.
        scatter_um: sd of the pieces' places along the rim.
        ribbon: 0: pieces lie in any direction, 1: along the rim.
        angle: direction of the Golgi from the nucleus, radians; None: vesicles all over the body, as in mitosis.
        pixel_um: um per px.

    Returns:
        (brightness f32 [P, P], mask bool [P, P] of round(area / px^2) pixels, or all allowed ones if those are fewer).
    """
    half = allowed.shape[0] // 2
    n = max(int(round(area_um2 / 1.8)), 6)
    if angle is None:
        inside_y, inside_x = np.nonzero(allowed == 1)
        chosen = rng.integers(0, max(len(inside_y), 1), n)
        centre_y, centre_x = (inside_y[chosen] - half, inside_x[chosen] - half) if len(inside_y) else np.zeros((2, n))
        length, tilt = np.full(n, 0.3 / pixel_um), rng.uniform(0, np.pi, n)
    else:
        along = rng.standard_normal(n)
        along = (along - along.mean()) / along.std() * scatter_um / pixel_um  # exactly the scatter asked for
        place = angle + along / (nucleus.radius_at(angle) + 1.5 / pixel_um)
        away = nucleus.radius_at(place) + (0.8 + np.abs(rng.normal(0, 0.4 * scatter_um + 0.4, n))) / pixel_um
        centre_y, centre_x = away * np.sin(place), away * np.cos(place)
        length = np.where(rng.random(n) < 0.25, 0.3, rng.uniform(1.2, 3.2, n)) / pixel_um
        tilt = place + np.pi / 2 + (1 - ribbon) * rng.normal(0, 1.2, n)
    bend, step = rng.normal(0, 0.6, n), np.linspace(-0.5, 0.5, 9)[:, None]
    y = centre_y + length * step * np.sin(tilt + bend * step) + half
    x = centre_x + length * step * np.cos(tilt + bend * step) + half
    weight = np.broadcast_to(rng.uniform(0.5, 1.5, n), y.shape)
    spots = splat(allowed.shape, y.ravel(), x.ravel(), weight.ravel())
    shine = (ndimage.gaussian_filter(spots, 0.33 / pixel_um) + 1e-9) * allowed
    # The area is a cue, so it is met by counting pixels: the brightest ones are the Golgi.
    count = min(max(int(round(area_um2 / pixel_um**2)), 1), int((allowed > 0).sum()))
    edge = np.partition(shine.ravel(), -count)[-count]
    mask = shine >= edge
    # Brightness is the same at any area: stain per area of membrane.
    shine = np.where(mask, np.minimum(shine / edge, 12) ** 0.6, 0.7 * (shine / edge) ** 2)
    return (shine / shine[mask].mean()).astype(np.float32), mask


def comets(rng, inside_y, inside_x, n: int, poles, pixel_um: float):
    """Points of `n` EB1 comets that point away from the centrosome.

    Args:
        rng: NumPy generator.
        inside_y: int [m], rows of the pixels of the cell's body outside its nucleus.
        inside_x: int [m], their columns.
        n: number of comets.
        poles: f64 [1 or 2, 2], (y, x) of the centrosome, or of both poles of a spindle, px.
        pixel_um: um per px.

    Returns:
        (y, x, brightness), f64 [n * COMET_POINTS] each; the head of a comet is its brightest point.
    """
    away = np.min(np.hypot(inside_y[:, None] - poles[:, 0], inside_x[:, None] - poles[:, 1]), axis=1)
    weight = np.cumsum(1 + 2 * np.exp(-away * pixel_um / 5))  # more of them near the centrosome
    chosen = np.searchsorted(weight, rng.random(n) * weight[-1])
    y = inside_y[chosen] + rng.uniform(-0.5, 0.5, n)
    x = inside_x[chosen] + rng.uniform(-0.5, 0.5, n)
    nearest = np.argmin((y[:, None] - poles[:, 0]) ** 2 + (x[:, None] - poles[:, 1]) ** 2, axis=1)
    course = np.arctan2(y - poles[nearest, 0], x - poles[nearest, 1]) + rng.normal(0, 0.3, n)
    back = np.linspace(0, 1, COMET_POINTS)[:, None]
    length = COMET_UM / pixel_um * rng.uniform(0.7, 1.3, n)
    brightness = np.exp(-1.6 * back) * rng.uniform(0.7, 1.3, n)
    y, x = y - back * length * np.sin(course), x - back * length * np.cos(course)
    return y.ravel(), x.ravel(), brightness.ravel()


def splat(shape, y, x, weight) -> np.ndarray:
    """Add points with weights to an empty image, f32 of `shape`, by bilinear sharing; points outside are lost."""
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    fy, fx = y - y0, x - x0
    image = np.zeros(shape[0] * shape[1])
    for dy, wy in ((0, 1 - fy), (1, fy)):
        for dx, wx in ((0, 1 - fx), (1, fx)):
            yy, xx = y0 + dy, x0 + dx
            good = (yy >= 0) & (yy < shape[0]) & (xx >= 0) & (xx < shape[1])
            image += np.bincount((yy * shape[1] + xx)[good], (weight * wy * wx)[good], minlength=image.size)
    return image.reshape(shape).astype(np.float32)


def _spots(rng, nucleus, n, size_px, reach, sharp):
    """Sum of `n` round spots inside the nucleus, f32 [P, P]; `sharp` gives them a flat top and an edge."""
    half = nucleus.half_px
    angle = rng.uniform(-np.pi, np.pi, n)
    distance = np.sqrt(rng.random(n)) * reach * nucleus.radius_at(angle)
    y, x = np.ogrid[-half : half + 1, -half : half + 1]
    total = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for k in range(n):
        square = (y - distance[k] * np.sin(angle[k])) ** 2 + (x - distance[k] * np.cos(angle[k])) ** 2
        square = square / size_px[k] ** 2
        total += np.exp(-(square**2)) if sharp else np.exp(-square)
    return total
