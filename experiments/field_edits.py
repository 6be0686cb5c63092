"""How a simulated field is edited: as a microscope, a preparation or a plate layout would change it.

Each edit changes a field in place and returns classes that follow the change, text [N], "" for none; or None where it
has nothing to do with the class.
"""

import dataclasses

import numpy as np
import pandas as pd
from scipy import ndimage, spatial

SHOWN = (0, 1, 2)  # positions of DNA, Golgi and EB1
DNA, GOLGI, EB1, MARKER = range(4)
MOSTLY = 0.85  # share of the cells of a field, or of a half of it, that are of its class
NEAR_PX = 45  # within which a neighbour counts
MARK_ASIDE_PX = (-9, 6)  # from the middle of a cell to a mark
CROSS = np.array([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]).T  # rows and columns about its middle
NUCLEUS_PX = 15  # radius of a nucleus
PATCH = 0.3  # radius of a patch, of the height of its field
CLASSES = ("a", "b")


@dataclasses.dataclass
class Field:
    """A simulated field that is edited.

    Attributes:
        name: of its file.
        image: f64 [C, H, W], camera units.
        nuclei: i [H, W], label image.
        cells: truth of the cells in it, with centre_y_px, centre_x_px, cell_label and class_name.
        order: place in the order in which the fields were taken, 0 to 1; any order.
    """

    name: str
    image: np.ndarray
    nuclei: np.ndarray
    cells: pd.DataFrame
    order: float

    @property
    def is_second(self) -> bool:
        """Whether it is of the second half of the fields."""
        return self.order >= 0.5

    @property
    def centres(self) -> np.ndarray:
        """Centres of the cells, f64 [N, 2], px."""
        return self.cells[["centre_y_px", "centre_x_px"]].to_numpy(float)

    def span(self, channel: int) -> float:
        """From the dark to the bright places of a channel, camera units."""
        low, high = np.percentile(self.image[channel], (5, 99))
        return high - low

    def background(self, channel: int) -> float:
        """The dark places of a channel, camera units."""
        return float(np.percentile(self.image[channel], 5))


def _mostly(is_second, rng) -> np.ndarray:
    """Classes, text [N], of which `MOSTLY` are the second where `is_second`, bool [N], and the first elsewhere."""
    share = np.where(is_second, MOSTLY, 1 - MOSTLY)
    return np.where(rng.random(len(share)) < share, "b", "a")


def _of_field(field, rng):
    return _mostly(np.full(len(field.cells), field.is_second), rng)


def _gain(field, times, channels=SHOWN):
    """Multiply what is above the background, by a factor for all pixels or one for each, f64 [H, W]."""
    for channel in channels:
        dark = field.background(channel)
        field.image[channel] = dark + times * (field.image[channel] - dark)


def _noise(field, strength, rng):
    for channel in SHOWN:
        field.image[channel] += rng.normal(0, strength * field.span(channel), field.image[channel].shape)


def _blur(field, sigma_px, where=1.0):
    """Put the shown channels out of focus; `where`, f64 [H, W], is 1 where wholly and 0 where not."""
    for channel in SHOWN:
        blurred = ndimage.gaussian_filter(field.image[channel], sigma_px)
        field.image[channel] = (1 - where) * field.image[channel] + where * blurred


def gain_of_field(field, strength, rng):
    """Brighter light in half of the fields."""
    if field.is_second:
        _gain(field, 1 + strength)
    return _of_field(field, rng)


def noise_of_field(field, strength, rng):
    """A noisier camera in half of the fields."""
    if field.is_second:
        _noise(field, strength, rng)
    return _of_field(field, rng)


def focus_of_field(field, strength, rng):
    """Half of the fields are out of focus."""
    if field.is_second:
        _blur(field, strength)
    return _of_field(field, rng)


def one_stain_of_field(field, strength, rng):
    """A stronger stain of the Golgi in half of the fields."""
    if field.is_second:
        _gain(field, 1 + strength, (GOLGI,))
    return _of_field(field, rng)


def shifted_stain_of_field(field, strength, rng):
    """A filter that shifts the picture of the Golgi by some px in half of the fields."""
    if field.is_second:
        field.image[GOLGI] = ndimage.shift(field.image[GOLGI], (strength, -strength), order=1, mode="nearest")
    return _of_field(field, rng)


def saturated_field(field, strength, rng):
    """An exposure so long that, in half of the fields, all above a share of each channel's span is as bright."""
    if field.is_second:
        for channel in SHOWN:
            most = field.background(channel) + strength * field.span(channel)
            field.image[channel] = np.minimum(field.image[channel], most)
    return _of_field(field, rng)


def striped_field(field, strength, rng):
    """A camera whose rows differ, in half of the fields."""
    if field.is_second:
        height = field.image.shape[1]
        for channel in SHOWN:
            field.image[channel] += rng.normal(0, strength * field.span(channel), height)[:, None]
    return _of_field(field, rng)


def coarse_grey_levels(field, strength, rng):
    """Pictures of few grey levels, as much as `strength` counts apart, in half of the fields."""
    if field.is_second:
        for channel in SHOWN:
            field.image[channel] = np.round(field.image[channel] / strength) * strength
    return _of_field(field, rng)


def bleaching(field, strength, rng):
    """The stains fade from field to field, and the classes were taken one after the other, mostly."""
    _gain(field, 1 - strength * field.order)
    share = 1 - MOSTLY + (2 * MOSTLY - 1) * field.order
    return np.where(rng.random(len(field.cells)) < share, "b", "a")


def _whole_field(field):
    return np.full(len(field.cells), "b" if field.is_second else "a")


def noise_of_well(field, strength, rng):
    """A noisier camera in the wells of one class."""
    if field.is_second:
        _noise(field, strength, rng)
    return _whole_field(field)


def focus_of_well(field, strength, rng):
    """The wells of one class are out of focus."""
    if field.is_second:
        _blur(field, strength)
    return _whole_field(field)


def gain_of_well(field, strength, rng):
    """Brighter light in the wells of one class."""
    if field.is_second:
        _gain(field, 1 + strength)
    return _whole_field(field)


def _half(field):
    return field.centres[:, 1] > field.image.shape[2] / 2


def ramp(field, strength, rng):
    """More light from one side to the other, and a class in each half."""
    across = np.linspace(0, 1, field.image.shape[2])
    for channel in SHOWN:
        field.image[channel] += strength * field.span(channel) * across
    return np.where(_half(field), "b", "a")


def ramp_mostly(field, strength, rng):
    """The same, with most cells of a class in each half."""
    ramp(field, strength, rng)
    return _mostly(_half(field), rng)


def ramp_of_one_stain(field, strength, rng):
    """The same in EB1 only."""
    across = np.linspace(0, 1, field.image.shape[2])
    field.image[EB1] += strength * field.span(EB1) * across
    return _mostly(_half(field), rng)


def shading(field, strength, rng):
    """All stains are brighter towards one side, as without a flat field, and mostly one class lies there."""
    across = 1 + strength * np.linspace(-0.5, 0.5, field.image.shape[2])
    _gain(field, across)
    return _mostly(_half(field), rng)


def _patch(field, rng):
    """A round patch at a random place of the field: f64 [H, W], 1 inside and 0 outside, and where cells are in it."""
    height, width = field.image.shape[1:]
    middle = rng.uniform(0.25, 0.75, 2) * (height, width)
    inside = _discs(field, [middle], PATCH * height)
    y, x = np.round(field.centres).astype(int).T
    is_in = inside[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return ndimage.gaussian_filter(inside.astype(float), 5), is_in


def bleached_patch(field, strength, rng):
    """A patch that was lit before, elsewhere in each field, where all stains are weaker and mostly one class lies."""
    patch, is_in = _patch(field, rng)
    _gain(field, 1 - strength * patch)
    return _mostly(is_in, rng)


def patch_out_of_focus(field, strength, rng):
    """A patch that is out of focus, elsewhere in each field, as over a bubble, where mostly one class lies."""
    patch, is_in = _patch(field, rng)
    _blur(field, strength, patch)
    return _mostly(is_in, rng)


def _from_middle(field):
    """How far from the middle of the field each cell is, 0 to 1 at the edges' middles."""
    middle = np.array(field.image.shape[1:]) / 2
    return np.hypot(*((field.centres - middle) / middle).T)


def curved_focus(field, strength, rng):
    """The edge of the field is out of focus, and mostly one class lies there."""
    height, width = field.image.shape[1:]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    away = np.clip(np.hypot(y, x), 0, 1)
    _blur(field, strength, away)
    return _mostly(_from_middle(field) > 0.75, rng)


def _neighbours(field):
    tree = spatial.cKDTree(field.centres)
    return np.array([len(near) - 1 for near in tree.query_ball_point(field.centres, NEAR_PX)])


def crowding(field, strength, rng):
    """One class where it is full, the other where cells are alone."""
    number = _neighbours(field)
    return np.where(number >= 2, "b", np.where(number == 0, "a", ""))


def crowding_mostly(field, strength, rng):
    """The same, mostly."""
    number = _neighbours(field)
    return np.where((number >= 2) | (number == 0), _mostly(number >= 2, rng), "")


def _by_chance(field, rng):
    return np.where(rng.random(len(field.cells)) < 0.5, "a", "b")


def _discs(field, centres, radius_px):
    """Where any disc about some centres is, bool [H, W]."""
    y, x = np.ogrid[: field.image.shape[1], : field.image.shape[2]]
    inside = np.zeros(field.image.shape[1:], bool)
    for centre_y, centre_x in centres:
        inside |= (y - centre_y) ** 2 + (x - centre_x) ** 2 <= radius_px**2
    return inside


def speck_beside(field, strength, rng):
    """A bright speck of dirt beside the cells of one class."""
    classes = _by_chance(field, rng)
    angle = rng.uniform(0, 2 * np.pi, len(classes))
    beside = field.centres + 25 * np.column_stack([np.sin(angle), np.cos(angle)])
    where = _discs(field, beside[classes == "b"], 3) & (field.nuclei == 0)
    for channel in SHOWN:
        field.image[channel][where] += strength * field.span(channel)
    return classes


def haze_about(field, strength, rng):
    """Haze about the cells of one class, as of a medium that was not washed off."""
    classes = _by_chance(field, rng)
    of_class = field.centres[classes == "b"]
    ring = _discs(field, of_class, 30) & ~_discs(field, field.centres, 20)
    for channel in SHOWN:
        field.image[channel] += strength * field.span(channel) * ndimage.gaussian_filter(ring.astype(float), 2)
    return classes


def leak_into(channel):
    """The edit with which the marker leaks into a channel, and labels the cells."""
    def leak(field, strength, rng):
        field.image[channel] += strength * (field.image[MARKER] - field.background(MARKER))

    leak.__doc__ = "The marker leaks into a shown channel, and labels the cells."
    return leak


def _within(field, classes):
    """Nuclei and their surroundings within 6 px, of the cells of the second class, bool [H, W]."""
    of_class = field.cells["cell_label"].to_numpy()[classes == "b"]
    nuclei = np.isin(field.nuclei, of_class)
    return ndimage.binary_dilation(nuclei, iterations=6) & (nuclei | (field.nuclei == 0))


def noise_of_cell(field, strength, rng):
    """The picture is noisier in the cells of one class, as where a stage moved."""
    classes = _by_chance(field, rng)
    where = _within(field, classes)
    for channel in SHOWN:
        noise = rng.normal(0, strength * field.span(channel), where.shape)
        field.image[channel] += np.where(where, noise, 0)
    return classes


def focus_of_cell(field, strength, rng):
    """The cells of one class lie out of the focal plane."""
    classes = _by_chance(field, rng)
    where = ndimage.gaussian_filter(_within(field, classes).astype(float), 1)
    _blur(field, strength, where)
    return classes


def light_of_cell(field, strength, rng):
    """The cells of one class are brighter in all stains, as where some let more stain in; their nuclei look larger."""
    classes = _by_chance(field, rng)
    where = ndimage.gaussian_filter(_within(field, classes).astype(float), 1)
    _gain(field, 1 + strength * where)
    return classes


def shifted_stain_of_cell(field, strength, rng):
    """The picture of the Golgi is shifted by some px in the cells of one class."""
    classes = _by_chance(field, rng)
    where = ndimage.gaussian_filter(_within(field, classes).astype(float), 1)
    shifted = ndimage.shift(field.image[GOLGI], (strength, -strength), order=1, mode="nearest")
    field.image[GOLGI] = (1 - where) * field.image[GOLGI] + where * shifted
    return classes


def light_from_above(field, strength, rng):
    """The nuclei of one class are lit from the upper side in all stains."""
    classes = _by_chance(field, rng)
    rows = np.arange(field.image.shape[1])[:, None] + np.zeros(field.image.shape[2])
    upward = np.zeros(field.image.shape[1:])
    of_class = field.cells[classes == "b"]
    for centre_y, number in zip(of_class["centre_y_px"], of_class["cell_label"], strict=True):
        nucleus = field.nuclei == number
        upward[nucleus] = np.clip((centre_y - rows[nucleus]) / NUCLEUS_PX, -1, 1)
    _gain(field, 1 + strength * upward)
    return classes


def stamp(field, strength, rng):
    """A bright dot in the nucleus of one class, in DNA."""
    classes = _by_chance(field, rng)
    where = _discs(field, field.centres[classes == "b"], 2)
    field.image[DNA][where] *= 1 + strength
    return classes


def mark_aside(field, strength, rng):
    """A small cross beside the middle of each cell of one class, in EB1, as a program draws that marks cells."""
    classes = _by_chance(field, rng)
    height, width = field.image.shape[1:]
    for y, x in np.round(field.centres[classes == "b"]).astype(int) + MARK_ASIDE_PX:
        field.image[EB1][np.clip(y + CROSS[0], 0, height - 1), np.clip(x + CROSS[1], 0, width - 1)] += (
            strength * field.span(EB1)
        )
    return classes


def nothing(field, strength, rng):
    """As they are; the marker labels the cells."""


def uneven_light(field, strength, rng):
    """More light from one side to the other, which has nothing to do with the class."""
    across = np.linspace(0, 1, field.image.shape[2])
    for channel in SHOWN:
        field.image[channel] += strength * field.span(channel) * across


def uneven_stain(field, strength, rng):
    """Stains of different strength from field to field, which have nothing to do with the class."""
    for channel in SHOWN:
        _gain(field, rng.lognormal(0, strength), (channel,))


def marker_follows_dna(field, strength, rng):
    """The marker has the pattern of DNA, as a cyclin on chromatin: the amount is its own."""
    dark = field.background(MARKER)
    dna = np.clip(field.image[DNA] - field.background(DNA), 0, None)
    amount = ndimage.mean(field.image[MARKER] - dark, field.nuclei, field.cells["cell_label"])
    of_dna = ndimage.mean(dna, field.nuclei, field.cells["cell_label"])
    times = np.zeros(int(field.nuclei.max()) + 1)
    times[field.cells["cell_label"]] = amount / np.maximum(of_dna, 1)
    pattern = times[field.nuclei] * dna
    noise = rng.normal(0, 1, pattern.shape) * np.sqrt(np.maximum(pattern, 1))
    outside = np.where(field.nuclei > 0, dark, field.image[MARKER])
    field.image[MARKER] = outside + np.where(field.nuclei > 0, pattern + noise, 0)


def contact_inhibition(field, strength, rng):
    """Where it is full, fewer cells are of the second class: cells that touch stop dividing."""
    number = _neighbours(field)
    is_second = (field.cells["class_name"] == "G2").to_numpy()
    is_first = (field.cells["class_name"] == "G1/S").to_numpy()
    left_out = is_second & (number >= 2) & (rng.random(len(number)) < strength)
    return np.where(left_out, "", np.where(is_second, "b", np.where(is_first, "a", "")))
