"""What the fields of a prepare config may be; the sources, which grow, are checked in `all_fields.check`.

A test takes the value of the field and the whole config, and says whether the value is allowed.
"""

import math
import operator

from cellcycle_jax import extensions, schema
from cellcycle_jax.extensions import OWN, is_own
from data_prep.cells.sizes import LARGEST_CROP_PX
from data_prep.dataset import split
from data_prep.labelling import methods
from data_prep.reading import channel_names
from data_prep.reading.calibration import ALLOWED_UM, is_usual
from data_prep.reading.field import quantity_error
from data_prep.reading.projection import PROJECTIONS
from data_prep.segmentation.segment import SEGMENTERS


def _within(low, high):
    """A test for numbers from `low` to `high`, both allowed."""

    def test(value, config):
        return low <= value <= high

    return test


def _between(low, high):
    """A test for numbers between `low` and `high`, neither allowed."""

    def test(value, config):
        return low < value < high

    return test


def _below_one(value, config):
    return 0 <= value < 1


def _one_of(allowed):
    """A test for one of some values."""

    def test(value, config):
        return value in allowed

    return test


def _one_of_or_own(registered):
    """A test for a registered name, or the path of something outside the repository."""

    def test(value, config):
        return value in registered or is_own(value)

    return test


def _own_functions(paths, config):
    return _all_differ(paths) and all(is_own(path) for path in paths)


def _pixel_size(value, config):
    """0 for unknown, or a length that a pixel may have, um."""
    return value == 0 or is_usual(value)


def _assumed_pixel_size(value, config):
    return value == -1 or _pixel_size(value, config)


def _crop_size(value, config):
    return 16 <= value <= LARGEST_CROP_PX and value % 8 == 0


def _rising(pair, config):
    return len(pair) == 2 and 0 <= pair[0] < pair[1] < math.inf


def _shares(values, config):
    return len(values) == 3 and min(values) > 0 and abs(sum(values) - 1) < 1e-6


def _all_differ(values):
    return len(set(values)) == len(values)


def _markers(names, config):
    shows_nucleus = config.channels.nucleus in names
    return _all_differ(names) and (not shows_nucleus or config.labels.method == "two_markers")


def _stains(names, config):
    return _all_differ(names) and not set(config.channels.markers) & set(names)


def _free(names, config):
    """Whether no name begins as columns of the table do."""
    return not any(schema.is_reserved(str(name)) for name in names)


def _free_channel_names(texts, config):
    new_names = channel_names.renames(texts).values()
    return _free(new_names or texts, config)


def _free_channel_codes(texts, config):
    return _free([str(text).partition("=")[2] for text in texts], config)


def _channel_names(texts, config):
    return channel_names.fit(texts)


def _channel_codes(texts, config):
    """Whether texts are CODE=NAME, codes and names all different."""
    codes = []
    names = []
    for text in texts:
        code, _, name = str(text).partition("=")
        if not code or not name:
            return False
        codes.append(code)
        names.append(name)
    return _all_differ(codes) and _all_differ(names)


def _colours(names, config):
    """Whether names are those of red, green and blue, "" for none; () where no file is in colour."""
    used = list(filter(None, names))
    return not names or (len(names) == 3 and bool(used) and _all_differ(used))


def _reference(value, config):
    return value == "g1_peak" or config.labels.method != "dna_content"


def _column(value, config):
    return value or config.labels.method != "column"


def _classes(names, config):
    method = config.labels.method
    return _all_differ(names) and len(names) in (SEVERAL if is_own(method) else CLASSES.get(method, (2,)))


SEVERAL = range(2, 100)
CLASSES = {"two_markers": (2, 3), "column": SEVERAL, "folder": SEVERAL}  # how many; else two

_BOUNDS = "{:g} to {:g} um".format(*ALLOWED_UM)
FREE = f"names that begin with none of the words {', '.join(schema.FIRST_WORDS)}, as columns of the table do"

# Field, what is allowed, test.
ALLOWED = (
    ("workers", "0 to 1,024", _within(0, 1_024)),
    ("max_fields", "0 to 10^9", _within(0, 10**9)),
    ("pixel_um", f"0 for unknown, or {_BOUNDS}", _pixel_size),
    (
        "channel_names",
        "different names in the order of the file, or texts old=new with different olds",
        _channel_names,
    ),
    ("channel_names", FREE, _free_channel_names),
    ("channel_codes", FREE, _free_channel_codes),
    ("rgb", FREE, _free),
    ("channel_codes", "texts code=name, codes and names all different", _channel_codes),
    ("projection", "max, mean, focus", _one_of(PROJECTIONS)),
    ("rgb", "nothing, or three different names with \"\" for none", _colours),
    ("channels.nucleus", "the name of a channel", lambda value, config: value),
    ("channels.markers", "different names; the nucleus' only with labels.method='two_markers'", _markers),
    ("channels.stains", "different names, not the marker's", _stains),
    ("illumination", "surface, none", _one_of(("surface", "none"))),
    ("segmentation.method", f"{', '.join(SEGMENTERS)}, {OWN}", _one_of_or_own(SEGMENTERS)),
    ("measurements", "different texts package.module:function", _own_functions),
    (
        "segmentation.nucleus_diameter",
        "0 to measure it, or 1 to 10,000",
        lambda value, config: value == 0 or 1 <= value <= 10_000,
    ),
    ("reference.by", "field, plate", _one_of(("field", "plate"))),
    ("reference.nucleus", "g1_peak, median", _one_of(("g1_peak", "median"))),
    ("quality.min_area", "0 to below 1", _below_one),
    ("quality.max_area", "above 1", _between(1, math.inf)),
    ("quality.min_solidity", "0 to below 1", _below_one),
    ("quality.min_focus", "0 to below 1", _below_one),
    ("quality.max_saturated", "0 to 1", _within(0, 1)),
    ("quality.mitotic_brightness", "above 1", _between(1, math.inf)),
    ("crop.size_px", f"a multiple of 8 from 16 to {LARGEST_CROP_PX:,}", _crop_size),
    ("crop.um_per_px", f"0 for the field's pixels, or {_BOUNDS}", _pixel_size),
    ("crop.assumed_um_per_px", f"-1, 0, or {_BOUNDS}", _assumed_pixel_size),
    ("crop.cell_margin_um", "0 to 1,000 um", _within(0, 1_000)),
    ("labels.method", f"{', '.join(methods.METHODS)}, {OWN}", _one_of_or_own(methods.METHODS)),
    ("reference.nucleus", "g1_peak, where labels.method is 'dna_content'", _reference),
    ("labels.column", "the name of a column, where labels.method is 'column'", _column),
    (
        "labels.classes",
        "different names: two (column, folder, your own: two or more; two_markers: two or three)",
        _classes,
    ),
    ("labels.abstain", "between 0 and 0.5", _between(0, 0.5)),
    ("labels.low_range", "two rising numbers, not negative", _rising),
    ("labels.high_range", "two rising numbers, not negative", _rising),
    ("labels.min_cells", "0 to 10^9", _within(0, 10**9)),
    ("split.by", ", ".join(split.UNITS), _one_of(split.UNITS)),
    ("split.seed", "0 to 2^31 - 1", _within(0, 2**31 - 1)),
    ("split.fractions", "three positive numbers that add up to 1", _shares),
)


def require_own_parts(config) -> None:
    """Import what the config names outside the repository.

    Raises:
        UsageError: something cannot be imported; names the field.
    """
    extensions.find(config.segmentation.method, SEGMENTERS, "segmentation.method")
    extensions.find(config.labels.method, methods.METHODS, "labels.method")
    for path in config.measurements:
        extensions.load(path, "measurements")


def refuse_values(config) -> None:
    """Refuse the first value that is out of range or of the wrong kind.

    Raises:
        UsageError: names the field, its value and what is allowed.
    """
    for name, words, test in ALLOWED:
        value = operator.attrgetter(name)(config)
        try:
            fits = test(value, config)
        except TypeError:  # text where a number belongs
            fits = False
        if not fits:
            raise quantity_error(name, value, words)
