"""What every field is treated with; found by reading some of the fields first."""

import collections
import dataclasses
import pathlib

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from cellcycle_jax.errors import InputRefused
from data_prep import illumination, segment
from data_prep.fields import Field, FieldFile, in_order
from data_prep.sources import source_of

MAX_LIGHT_FIELDS = 64  # fields per plate from which the light is estimated
VOTERS = 5  # readable fields that decide which channels a field has to have


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What every field is treated with."""

    config: ConfigDict  # of prepare
    folder: pathlib.Path  # of the source
    crops: pathlib.Path  # where crops go
    channels: tuple[str, ...]  # of all fields, in one order
    light: dict[tuple[str, tuple[int, int]], illumination.Illumination]  # by plate and (height, width)
    others_left_out: bool = False  # a field may have channels beyond these; else it is refused
    pixels: int = 0  # H x W x C of the largest field that has been read

    def read(self, file: FieldFile) -> Field:
        """The field in `file`, its channels in the recipe's order."""
        return in_order(source_of(self.config.source).read(file, self.config), self.channels, self.others_left_out)

    def light_of(self, field: Field) -> illumination.Illumination | None:
        """The light of the field's plate at the field's size, None where it is not known."""
        return self.light.get((field.plate, field.image.shape[:2]))

    def corrected(self, field: Field) -> np.ndarray:
        """The field's image with even light, f32 [H, W, C]; as it is where the light is not known."""
        light = self.light_of(field)
        return light.correct(field.image) if light else field.image.astype(np.float32)

    def labels(self, file: FieldFile, field: Field, image: np.ndarray) -> np.ndarray:
        """Labels of the nuclei, i32 [H, W]: those made elsewhere, else found in the field's corrected image."""
        source = source_of(self.config.source)
        made = source.labels(file, self.config) if hasattr(source, "labels") else None
        if made is not None:
            if made.shape != image.shape[:2]:
                raise InputRefused(f"{file.labels_path or file.path}: labels of {made.shape} px for a field of "
                                   f"{image.shape[:2]} px; give labels of the field's size")
            return made
        nucleus = image[..., self.channels.index(self.config.channels.nucleus)]
        chosen = self.config.segmentation
        return segment.segment_nuclei(nucleus, field.pixel_um, chosen.nucleus_diameter, chosen.method)


def find_channels(found, config, needed=(), stains_optional: bool = False) -> tuple[tuple[str, ...], int]:
    """The channels that most of the first VOTERS readable fields have, in the order of the first such field.

    Returns:
        The channels, and H x W x C of the largest of these fields.

    Raises:
        InputRefused: no file can be read, or a channel that the config names, or that is `needed`, is not there.
    """
    seen, refusal, pixels = [], None, 0
    for file in found:
        try:
            field = source_of(config.source).read(file, config)
            seen.append((file.path, field.channels))
            pixels = max(pixels, field.image.size)
        except InputRefused as error:
            refusal = refusal or error
        if len(seen) == VOTERS:
            break
    if not seen:
        raise refusal
    (most, _), = collections.Counter(frozenset(names) for _, names in seen).most_common(1)
    path, channels = next((p, names) for p, names in seen if frozenset(names) == most)
    roles = config.channels
    stains = () if stains_optional else roles.stains
    wanted = {"config.channels.nucleus": [roles.nucleus], "config.channels.stains": stains,
              "config.channels.markers": roles.markers, "shown to the model": needed}
    for role, names in wanted.items():
        for name in names:
            if name not in channels:
                raise InputRefused(f"{path}: no channel {name!r} ({role}); the file has {', '.join(channels)}; "
                                   "correct the name, or set channel_names")
    return channels, pixels


def add_light(found, recipe):
    """The recipe with the light of each plate, and {field_id: reason} of fields that cannot be read.

    Fields of another size have been taken otherwise, so each size of a plate has a light of its own. A plate is judged
    by MAX_LIGHT_FIELDS fields at most; a size of which fewer than `illumination.MIN_FIELDS` are among them has none.
    """
    light, unreadable = {}, {}
    if recipe.config.illumination == "none":
        return recipe, unreadable
    by_plate = collections.defaultdict(list)
    for file in found:
        by_plate[file.plate].append(file)
    for plate, members in tqdm(by_plate.items(), desc="light of each plate", unit="plate"):
        by_size = collections.defaultdict(list)
        for file in members[:: max(1, len(members) // MAX_LIGHT_FIELDS)][:MAX_LIGHT_FIELDS]:
            try:
                image = recipe.read(file).image
            except InputRefused as error:
                unreadable[file.field_id] = str(error)
            else:
                by_size[image.shape[:2]].append(illumination.block_means(image))
        for size, means in by_size.items():
            if len(means) >= illumination.MIN_FIELDS:
                light[plate, size] = illumination.estimate(means, *size)
    return dataclasses.replace(recipe, light=light), unreadable
