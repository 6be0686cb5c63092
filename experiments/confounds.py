"""Confounds that are planted into simulated fields, and clean fields that resemble them.

A field is edited as a microscope, a preparation or a plate layout would change it, and its cells get labels that follow
the edit. In fields without any biology (every effect 0) nothing else tells the labels, so a network that scores above
chance there uses the confound. Clean fields are labelled by their marker and have true cues.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import ndimage, spatial

SHOWN = (0, 1, 2)  # positions of DNA, Golgi and EB1
DNA, GOLGI, EB1, MARKER = range(4)
MOSTLY = 0.85  # share of the cells of a field, or of a half of it, that are of its class
NEAR_PX = 45  # within which a neighbour counts
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


@dataclasses.dataclass(frozen=True)
class Confound:
    """A kind of confound, or of clean fields.

    Attributes:
        edit: (field, strength, rng) -> class of each cell, text [N], "" for none; or None where the marker labels the
            cells. The field is edited in place.
        strengths: with which it is planted.
        tellable: whether data can tell it from biology.
        one_class_wells: whether each field is a well of one class.
        masks: `data.mask` with which networks are trained.
        effects: effects of the phase, of clean fields; {} of fields without biology.
        removable: whether it is in the picture, so that fields without it can be shown.
        tuned: whether the rules of the checks were chosen with it in sight.
    """

    edit: Callable
    strengths: tuple[float, ...] = (1.0,)
    tellable: bool = True
    one_class_wells: bool = False
    masks: tuple[str, ...] = ("cell", "none")
    effects: dict = dataclasses.field(default_factory=dict)
    removable: bool = True
    tuned: bool = False


def _mostly(is_second, rng) -> np.ndarray:
    """Classes, text [N], of which `MOSTLY` are the second where `is_second`, bool [N], and the first elsewhere."""
    share = np.where(is_second, MOSTLY, 1 - MOSTLY)
    return np.where(rng.random(len(share)) < share, "b", "a")


def _of_field(field, rng):
    return _mostly(np.full(len(field.cells), field.is_second), rng)


def _gain(field, times, channels=SHOWN):
    for channel in channels:
        dark = field.background(channel)
        field.image[channel] = dark + times * (field.image[channel] - dark)


def _noise(field, strength, rng):
    for channel in SHOWN:
        field.image[channel] += rng.normal(0, strength * field.span(channel), field.image[channel].shape)


def _blur(field, sigma_px):
    for channel in SHOWN:
        field.image[channel] = ndimage.gaussian_filter(field.image[channel], sigma_px)


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


def _from_middle(field):
    """How far from the middle of the field each cell is, 0 to 1 at the edges' middles."""
    middle = np.array(field.image.shape[1:]) / 2
    return np.hypot(*((field.centres - middle) / middle).T)


def curved_focus(field, strength, rng):
    """The edge of the field is out of focus, and mostly one class lies there."""
    height, width = field.image.shape[1:]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    away = np.clip(np.hypot(y, x), 0, 1)
    for channel in SHOWN:
        blurred = ndimage.gaussian_filter(field.image[channel], strength)
        field.image[channel] = (1 - away) * field.image[channel] + away * blurred
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


def _leak(channel):
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
    for channel in SHOWN:
        blurred = ndimage.gaussian_filter(field.image[channel], strength)
        field.image[channel] = (1 - where) * field.image[channel] + where * blurred
    return classes


def stamp(field, strength, rng):
    """A bright dot in the nucleus of one class, in DNA."""
    classes = _by_chance(field, rng)
    where = _discs(field, field.centres[classes == "b"], 2)
    field.image[DNA][where] *= 1 + strength
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


def beside_biology(confound: Confound, strength: float) -> Confound:
    """The same confound in fields with biology: cells keep a label where it agrees with their true class."""
    def edit(field, strength, rng):
        classes = confound.edit(field, strength, rng)
        truth = field.cells["class_name"].map({"G1/S": "a", "G2": "b"}).to_numpy()
        return np.where(classes == truth, classes, "")

    edit.__doc__ = f"{confound.edit.__doc__} The classes differ in biology, too."
    return dataclasses.replace(confound, edit=edit, strengths=(strength,), effects=ALL_CUES, tuned=False)


ALL_CUES = {"dna_content": 1.0, "nuclear_area": 0.4, "golgi_area": 0.9, "golgi_scatter": 1.0, "plus_end_density": 0.8}
IN_FIELDS_WITHOUT_BIOLOGY = {
    "gain of field": Confound(gain_of_field, (0.8,)),
    "noise of field": Confound(noise_of_field, (0.15,), tuned=True),
    "focus of field": Confound(focus_of_field, (1.5, 3.0)),
    "one stain of field": Confound(one_stain_of_field, (0.8,)),
    "bleaching": Confound(bleaching, (0.6,)),
    "noise of well": Confound(noise_of_well, (0.15,), tellable=False, one_class_wells=True, tuned=True),
    "focus of well": Confound(focus_of_well, (2.0,), tellable=False, one_class_wells=True),
    "gain of well": Confound(gain_of_well, (0.5,), tellable=False, one_class_wells=True),
    "ramp": Confound(ramp, (0.1, 0.3), tuned=True),
    "ramp, mostly": Confound(ramp_mostly, (0.2,)),
    "ramp of one stain": Confound(ramp_of_one_stain, (0.3,)),
    "curved focus": Confound(curved_focus, (2.0, 4.0)),
    "crowding": Confound(crowding, removable=False, tuned=True),
    "crowding, mostly": Confound(crowding_mostly, removable=False),
    "speck beside": Confound(speck_beside, (0.5, 1.5), masks=("none",)),
    "haze about": Confound(haze_about, (0.3, 0.8), masks=("none",)),
    "leak into Golgi": Confound(_leak(GOLGI), (0.04, 0.08), tuned=True),
    "leak into EB1": Confound(_leak(EB1), (0.08,)),
    "leak into DNA": Confound(_leak(DNA), (0.2,), tellable=False, tuned=True),  # both are in the nucleus
    "noise of cell": Confound(noise_of_cell, (0.2,), tellable=False, tuned=True),
    "focus of cell": Confound(focus_of_cell, (2.0,), tellable=False, tuned=True),
    "stamp": Confound(stamp, (1.5,), tellable=False),
}
BESIDE_BIOLOGY = {  # strength
    "gain of field": 0.8,
    "focus of field": 3.0,
    "one stain of field": 0.8,
    "bleaching": 0.6,
    "focus of well": 2.0,
    "ramp, mostly": 0.3,
    "curved focus": 4.0,
    "speck beside": 1.5,
    "haze about": 0.8,
    "focus of cell": 2.0,
}
CONFOUNDS = IN_FIELDS_WITHOUT_BIOLOGY | {
    f"{kind}, beside biology": beside_biology(IN_FIELDS_WITHOUT_BIOLOGY[kind], strength)
    for kind, strength in BESIDE_BIOLOGY.items()
}
CLEAN = {
    "all cues": Confound(nothing, effects=ALL_CUES, tuned=True),
    "DNA": Confound(nothing, effects={"dna_content": 1.0}),
    "size": Confound(nothing, effects={"nuclear_area": 0.8}),
    "Golgi": Confound(nothing, effects={"golgi_area": 1.5, "golgi_scatter": 2.0}),
    "plus ends": Confound(nothing, effects={"plus_end_density": 2.0}),
    "uneven light": Confound(uneven_light, (0.2,), effects=ALL_CUES),
    "uneven stain": Confound(uneven_stain, (0.4,), effects=ALL_CUES),
    "marker that follows DNA": Confound(marker_follows_dna, effects=ALL_CUES),
    "contact inhibition": Confound(contact_inhibition, (0.7,), effects=ALL_CUES),
}
