"""What the fields of a prepare config may be; the sources, which grow, are checked in `all_fields.check`."""

import math

from cellcycle_jax import schema
from data_prep.cells.sizes import LARGEST_CROP_PX
from data_prep.dataset import split
from data_prep.labelling import methods
from data_prep.reading import channel_names
from data_prep.reading.calibration import ALLOWED_UM, is_usual
from data_prep.reading.field import quantity_error
from data_prep.reading.projection import PROJECTIONS
from data_prep.segmentation.segment import SEGMENTERS


def _size(value):
    """Whether a length is 0, for unknown, or one that a pixel may have, um."""
    return value == 0 or is_usual(value)


def _rising(pair):
    return len(pair) == 2 and 0 <= pair[0] < pair[1] < math.inf


def _shares(values):
    return len(values) == 3 and min(values) > 0 and abs(sum(values) - 1) < 1e-6


def _markers(names, config):
    others = config.channels.nucleus not in names or config.phase.method == "two_markers"
    return len(set(names)) == len(names) and others


def _other_channels(names, channels):
    return len(set(names)) == len(names) and not set(channels.markers) & set(names)


def _free(names):
    return not any(schema.is_reserved(str(name)) for name in names)


def _codes(texts):
    pairs = [str(text).partition("=") for text in texts]
    return all(code and name for code, _, name in pairs) and all(
        len({pair[i] for pair in pairs}) == len(pairs) for i in (0, 2))


def _colours(names):
    shown = [name for name in names if name]
    return not names or (len(names) == 3 and bool(shown) and len(set(shown)) == len(shown))


CLASSES = {"two_markers": (2, 3), "column": range(2, 100), "folder": range(2, 100)}  # how many; else two

_BOUNDS = "{:g} to {:g} um".format(*ALLOWED_UM)
FREE = f"names that begin with none of the words {', '.join(schema.FIRST_WORDS)}, as columns of the table do"

# Field, what is allowed, test of the value in the whole config.
ALLOWED = (
    ("workers", "0 to 1,024", lambda v, c: 0 <= v <= 1_024),
    ("max_fields", "0 to 10^9", lambda v, c: 0 <= v <= 10**9),
    ("pixel_um", f"0 for unknown, or {_BOUNDS}", lambda v, c: _size(v)),
    ("channel_names", "different names in the order of the file, or texts old=new with different olds",
     lambda v, c: channel_names.fit(v)),
    ("channel_names", FREE, lambda v, c: _free(channel_names.renames(v).values() or v)),
    ("channel_codes", FREE, lambda v, c: _free(str(text).partition("=")[2] for text in v)),
    ("rgb", FREE, lambda v, c: _free(v)),
    ("channel_codes", "texts code=name, codes and names all different", lambda v, c: _codes(v)),
    ("projection", "max, mean, focus", lambda v, c: v in PROJECTIONS),
    ("rgb", "nothing, or three different names with \"\" for none", lambda v, c: _colours(v)),
    ("channels.nucleus", "the name of a channel", lambda v, c: v),
    ("channels.markers", "different names; the nucleus' only with phase.method='two_markers'", _markers),
    ("channels.stains", "different names, not the marker's", lambda v, c: _other_channels(v, c.channels)),
    ("illumination", "surface, none", lambda v, c: v in ("surface", "none")),
    ("segmentation.method", ", ".join(SEGMENTERS), lambda v, c: v in SEGMENTERS),
    ("segmentation.nucleus_diameter", "0 to measure it, or 1 to 10,000", lambda v, c: v == 0 or 1 <= v <= 10_000),
    ("reference.by", "field, plate", lambda v, c: v in ("field", "plate")),
    ("reference.nucleus", "g1_peak, median", lambda v, c: v in ("g1_peak", "median")),
    ("quality.min_area", "0 to below 1", lambda v, c: 0 <= v < 1),
    ("quality.max_area", "above 1", lambda v, c: 1 < v < math.inf),
    ("quality.min_solidity", "0 to below 1", lambda v, c: 0 <= v < 1),
    ("quality.min_focus", "0 to below 1", lambda v, c: 0 <= v < 1),
    ("quality.max_saturated", "0 to 1", lambda v, c: 0 <= v <= 1),
    ("quality.mitotic_brightness", "above 1", lambda v, c: 1 < v < math.inf),
    ("crop.size_px", f"a multiple of 8 from 16 to {LARGEST_CROP_PX:,}",
     lambda v, c: 16 <= v <= LARGEST_CROP_PX and v % 8 == 0),
    ("crop.um_per_px", f"0 for the field's pixels, or {_BOUNDS}", lambda v, c: _size(v)),
    ("crop.assumed_um_per_px", f"-1, 0, or {_BOUNDS}", lambda v, c: v == -1 or _size(v)),
    ("crop.body_um", "0 to 1,000 um", lambda v, c: 0 <= v <= 1_000),
    ("phase.method", ", ".join(methods.METHODS), lambda v, c: v in methods.METHODS),
    ("reference.nucleus", "g1_peak, where phase.method is 'dna_content'",
     lambda v, c: v == "g1_peak" or c.phase.method != "dna_content"),
    ("phase.column", "the name of a column, where phase.method is 'column'",
     lambda v, c: v or c.phase.method != "column"),
    ("phase.classes", "different names: two (column, folder: two or more; two_markers: two or three)",
     lambda v, c: len(set(v)) == len(v) and len(v) in CLASSES.get(c.phase.method, (2,))),
    ("phase.abstain", "between 0 and 0.5", lambda v, c: 0 < v < 0.5),
    ("phase.low", "two rising numbers, not negative", lambda v, c: _rising(v)),
    ("phase.high", "two rising numbers, not negative", lambda v, c: _rising(v)),
    ("phase.min_cells", "0 to 10^9", lambda v, c: 0 <= v <= 10**9),
    ("split.by", ", ".join(split.UNITS), lambda v, c: v in split.UNITS),
    ("split.seed", "0 to 2^31 - 1", lambda v, c: 0 <= v < 2**31),
    ("split.fractions", "three positive numbers that add up to 1", lambda v, c: _shares(v)),
)


def refuse_values(config) -> None:
    """Refuse the first value that is out of range or of the wrong kind.

    Raises:
        UsageError: names the field, its value and what is allowed.
    """
    for name, words, test in ALLOWED:
        value = config
        for part in name.split("."):
            value = value[part]
        try:
            fits = test(value, config)
        except TypeError:  # text where a number belongs
            fits = False
        if not fits:
            raise quantity_error(name, value, words)
