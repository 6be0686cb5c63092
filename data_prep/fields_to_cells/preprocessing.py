"""What every field is treated with; found by reading some of the fields first."""

import collections
import dataclasses
import pathlib
import sys
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from data_prep.intensity import illumination
from data_prep.reading import label_numbers
from data_prep.reading.channel_names import disagree, renames
from data_prep.reading.field import Field, FieldFile, in_order
from data_prep.segmentation import segment
from data_prep.sources import source_of

MAX_ILLUMINATION_FIELDS = 64  # fields per plate from which the light is estimated
VOTERS = 5  # readable fields that decide which channels a field has to have


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What every field is treated with."""

    config: ConfigDict  # of prepare
    folder: pathlib.Path  # of the source
    crops: pathlib.Path  # where crops go
    channels: tuple[str, ...]  # of all fields, in one order
    illuminations: dict[tuple[str, tuple[int, int]], illumination.Illumination]  # by plate and (height, width)
    others_left_out: bool = False  # a field may have channels beyond these; else it is refused
    pixels: int = 0  # H x W x C of the largest field that has been read
    own_channels: tuple[str, ...] = ()  # what files themselves call them, where config.channel_names goes by position

    def read(self, file: FieldFile) -> Field:
        """The field in `file`, its channels in the preprocessing's order.

        Raises:
            InputRefused: it cannot be read, has other channels, or names them otherwise than the first files do.
        """
        field = source_of(self.config.source).read(file, self.config)
        if disagree(field.own_channels, self.own_channels):
            new = self.config.channel_names[0]
            raise InputRefused(
                f"{field.path}: the file names its channels {', '.join(field.own_channels)}, others "
                f"{', '.join(self.own_channels)}, so names in order might swap them; rename by name, such as "
                f"config.channel_names={self.own_channels[0]}={new} (where files call a stain differently: "
                f"A={new},B={new})"
            )
        return in_order(field, self.channels, self.others_left_out)

    def illumination_of(self, field: Field) -> illumination.Illumination | None:
        """The illumination of the field's plate at the field's size, None where it is not known."""
        return self.illuminations.get((field.plate, field.image.shape[:2]))

    def corrected(self, field: Field) -> np.ndarray:
        """The field's image with even illumination, f32 [H, W, C]; as it is where the illumination is not known."""
        of_plate = self.illumination_of(field)
        return of_plate.correct(field.image) if of_plate else field.image.astype(np.float32)

    def labels(self, file: FieldFile, field: Field, image: np.ndarray) -> np.ndarray:
        """Labels of the nuclei, i32 [H, W]: those made elsewhere, else found in the field's corrected image."""
        return self.numbered(file, field, image)[0]

    def numbered(self, file: FieldFile, field: Field, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels i32 [H, W] of the nuclei, and the numbers that they stand for in ids; see `label_numbers.small`.

        Raises:
            InputRefused: labels made elsewhere that are not of the image's size.
        """
        source = source_of(self.config.source)
        labels = source.labels(file, self.config) if hasattr(source, "labels") else None
        if labels is None:
            nucleus = image[..., self.channels.index(self.config.channels.nucleus)]
            options = self.config.segmentation
            labels = segment.segment_nuclei(nucleus, field.pixel_um, options.nucleus_diameter, options.method)
        elif labels.shape != image.shape[:2]:
            raise InputRefused(
                f"{file.labels_path or file.path}: labels of {labels.shape} px for a field of {image.shape[:2]} px; "
                "give labels of the field's size"
            )
        return label_numbers.small(labels)


class Seen(NamedTuple):
    """What the first readable fields tell about all fields.

    channels: that most of them have, in the order of the first such field.
    own_channels: what most files themselves call them where config.channel_names goes by position, else ().
    pixels: H x W x C of the largest of these fields.
    """

    channels: tuple[str, ...]
    own_channels: tuple[str, ...]
    pixels: int


def find_channels(field_files, config, needed=(), stains_optional: bool = False) -> Seen:
    """The channels that all fields have to have, by the first VOTERS readable ones.

    What config.channel_names overrules, and sizes of pixels that cannot be used, are said on the terminal.

    Args:
        field_files: of all fields; config: of prepare.
        needed: channels that have to be there beside those that the config names.
        stains_optional: stains may be missing, and only channels that are named or needed are used.

    Raises:
        InputRefused: no file can be read, a channel that the config names, or that is `needed`, is not there, or one
            that is used is called as columns of our own tables begin.
    """
    fields = []
    first_refusal = None
    pixels = 0
    for file in field_files:
        try:
            field = source_of(config.source).read(file, config)
        except InputRefused as error:
            first_refusal = first_refusal or error
            continue
        fields.append(_without_pixels(field))
        pixels = max(pixels, field.image.size)
        if len(fields) == VOTERS:
            break
    if not fields:
        raise first_refusal
    typical = _with_usual_channels(fields)
    channels = config.channels
    if stains_optional:
        stains = ()
        used = {channels.nucleus, *channels.stains, *needed}
    else:
        stains = channels.stains
        used = typical.channels
    _refuse_missing((channels.nucleus,), "config.channels.nucleus", typical, config)
    _refuse_missing(stains, "config.channels.stains", typical, config)
    _refuse_missing(channels.markers, "config.channels.markers", typical, config)
    _refuse_missing(needed, "shown to the model", typical, config)
    _refuse_reserved(used, typical, config)
    _say_overruled_names(fields, config)
    _say_unusable_pixel_sizes(fields)
    return Seen(typical.channels, _own_channels(fields, config), pixels)


def _with_usual_channels(fields) -> Field:
    """The first field with those channels, in any order, that most fields have."""
    counts = collections.Counter(frozenset(field.channels) for field in fields)
    usual = counts.most_common(1)[0][0]
    return next(field for field in fields if usual == frozenset(field.channels))


def _own_channels(fields, config):
    """What most files that name their channels call them, where config.channel_names goes by position; else ()."""
    if not config.channel_names or renames(config.channel_names):
        return ()
    named = [field.own_channels for field in fields if field.own_channels]

    def differing(own):
        return sum(disagree(own, other) for other in named)

    return min(named, key=differing, default=())


def _without_pixels(field):
    return dataclasses.replace(field, image=field.image[:0].copy())


def _refuse_missing(names, role, field, config):
    """Every channel that the config or the model names must be there."""
    for name in names:
        if name not in field.channels:
            raise InputRefused(
                f"{field.path}: no channel {name!r} ({role}); the file has {', '.join(field.channels)}; correct the "
                f"name, or {_renaming(config, name)}"
            )


def _renaming(config, name):
    """How the user can let a channel be called `name`."""
    if config.channel_codes or "(?P<channel>" in config.name_pattern:
        return f"rename a channel with config.channel_codes, such as w1={name}"
    return f"rename a channel with config.channel_names, such as DAPI={name}"


def _refuse_reserved(used, field, config):
    """No column of a channel may be taken for one of a compartment, or stand in its place."""
    for name in field.channels:
        if name in used and schema.is_reserved(name):
            raise InputRefused(
                f"{field.path}: channel {name!r} is called as columns of the table begin "
                f"({', '.join(schema.FIRST_WORDS)}); {_renaming(config, 'DNA')}"
            )


def _say_overruled_names(fields, config):
    """Say of the first field of which the config overrules them what its file calls its channels."""
    if not config.channel_names:
        return
    for field in fields:
        if field.own_channels not in ((), field.channels):
            print(
                f"note: by config.channel_names the channels are {', '.join(field.channels)}; {field.path} itself says "
                f"{', '.join(field.own_channels)}",
                file=sys.stderr,
            )
            return


def _say_unusable_pixel_sizes(fields):
    """Say once, of the first such field, what files say of the size of a pixel that cannot be used."""
    first_with = {}
    for field in reversed(fields):
        if field.remark:
            first_with[field.remark] = field
    for remark, field in first_with.items():
        print(
            f"note: {field.path}: {remark}, so the size of its pixels counts as unknown; give config.pixel_um, um per "
            "px",
            file=sys.stderr,
        )


def add_illumination(field_files, preprocessing):
    """The preprocessing with the illumination of each plate, and {field_id: reason} of fields that cannot be read.

    Fields of another size have been taken otherwise, so each size of a plate has an illumination of its own. A plate is
    judged by MAX_LIGHT_FIELDS fields at most; a size of which fewer than `illumination.MIN_FIELDS` are among them has
    none.
    """
    illuminations = {}
    unreadable = {}
    if preprocessing.config.illumination == "none":
        return preprocessing, unreadable
    files_of_plate = collections.defaultdict(list)
    for file in field_files:
        files_of_plate[file.plate].append(file)
    for plate, files in tqdm(files_of_plate.items(), desc="illumination of each plate", unit="plate"):
        means_of_size = collections.defaultdict(list)
        step = max(1, len(files) // MAX_ILLUMINATION_FIELDS)
        for file in files[::step][:MAX_ILLUMINATION_FIELDS]:
            try:
                image = preprocessing.read(file).image
            except InputRefused as error:
                unreadable[file.field_id] = str(error)
            else:
                means_of_size[image.shape[:2]].append(illumination.block_means(image))
        for size, means in means_of_size.items():
            if len(means) >= illumination.MIN_FIELDS:
                illuminations[plate, size] = illumination.estimate(means, *size)
    return dataclasses.replace(preprocessing, illuminations=illuminations), unreadable
