"""What the fields of a prepare config may be; the sources, which grow, are checked in `all_fields.check`."""

import math

from cellcycle_jax import allowed_values, extensions, schema
from cellcycle_jax.allowed_values import Allowed, between, from_to_below, one_of, one_of_or_own, within
from cellcycle_jax.extensions import is_own
from data_prep.cells.sizes import LARGEST_CROP_PX
from data_prep.dataset import split
from data_prep.labelling import methods
from data_prep.reading import channel_names
from data_prep.reading.calibration import ALLOWED_UM, is_usual
from data_prep.reading.projection import PROJECTIONS
from data_prep.segmentation.segment import SEGMENTERS


def _own_functions(paths, config):
    return _all_differ(paths) and all(is_own(path) for path in paths)


def _pixel_size(value, config):
    """0 for unknown, or a length that a pixel may have, um."""
    return value == 0 or is_usual(value)


def _diameter(value, config):
    return value == 0 or 1 <= value <= 10_000


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
CHANNEL_NAMES = "different names in the order of the file, or texts old=new with different olds"
DIAMETER = "0 to measure it, or 1 to 10,000"
CLASS_NAMES = "different names: two (column, folder, your own: two or more; two_markers: two or three)"
RISING = Allowed("two rising numbers, not negative", _rising)

ALLOWED = (
    ("workers", within(0, 1_024)),
    ("max_fields", within(0, 10**9)),
    ("pixel_um", Allowed(f"0 for unknown, or {_BOUNDS}", _pixel_size)),
    ("channel_names", Allowed(CHANNEL_NAMES, _channel_names)),
    ("channel_names", Allowed(FREE, _free_channel_names)),
    ("channel_codes", Allowed(FREE, _free_channel_codes)),
    ("rgb", Allowed(FREE, _free)),
    ("channel_codes", Allowed("texts code=name, codes and names all different", _channel_codes)),
    ("projection", one_of(PROJECTIONS)),
    ("rgb", Allowed("nothing, or three different names with \"\" for none", _colours)),
    ("channels.nucleus", Allowed("the name of a channel", lambda value, config: value)),
    ("channels.markers", Allowed("different names; the nucleus' only with labels.method='two_markers'", _markers)),
    ("channels.stains", Allowed("different names, not the marker's", _stains)),
    ("illumination", one_of(("surface", "none"))),
    ("segmentation.method", one_of_or_own(SEGMENTERS)),
    ("measurements", Allowed("different texts package.module:function", _own_functions)),
    ("segmentation.nucleus_diameter", Allowed(DIAMETER, _diameter)),
    ("reference.by", one_of(("field", "plate"))),
    ("reference.nucleus", one_of(("g1_peak", "median"))),
    ("quality.min_area", from_to_below(0, 1)),
    ("quality.max_area", between(1, math.inf)),
    ("quality.min_solidity", from_to_below(0, 1)),
    ("quality.min_focus", from_to_below(0, 1)),
    ("quality.max_saturated", within(0, 1)),
    ("quality.mitotic_brightness", between(1, math.inf)),
    ("crop.size_px", Allowed(f"a multiple of 8 from 16 to {LARGEST_CROP_PX:,}", _crop_size)),
    ("crop.um_per_px", Allowed(f"0 for the field's pixels, or {_BOUNDS}", _pixel_size)),
    ("crop.assumed_um_per_px", Allowed(f"-1, 0, or {_BOUNDS}", _assumed_pixel_size)),
    ("crop.cell_margin_um", within(0, 1_000)),
    ("labels.method", one_of_or_own(methods.METHODS)),
    ("reference.nucleus", Allowed("g1_peak, where labels.method is 'dna_content'", _reference)),
    ("labels.column", Allowed("the name of a column, where labels.method is 'column'", _column)),
    ("labels.classes", Allowed(CLASS_NAMES, _classes)),
    ("labels.abstain", between(0, 0.5)),
    ("labels.one_hump", one_of(("abstain", "label"))),
    ("labels.low_range", RISING),
    ("labels.high_range", RISING),
    ("labels.min_cells", within(0, 10**9)),
    ("split.by", one_of(split.UNITS)),
    ("split.seed", within(0, 2**31 - 1)),
    ("split.fractions", Allowed("three positive numbers that add up to 1", _shares)),
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
    allowed_values.refuse_values(config, ALLOWED)
