"""Colour pictures whose planes are stains -> grey ones."""

import dataclasses

from cellcycle_jax.errors import InputRefused
from data_prep.reading.picture import Picture


def grey(picture: Picture, rgb, channel: str, path) -> Picture:
    """The planes of a colour picture that show stains; opacity is dropped.

    Args:
        picture: red, green, blue and perhaps opacity.
        rgb: the stain that each of the three shows, "" for none.
        channel: the one stain that the file shows; "" where it holds all stains.
        path: for the error.

    Raises:
        InputRefused: it is not known what the planes show. For a file of one stain that need not be known where red,
            green and blue are equal, which is grey.
    """
    planes = picture.stack[:3]
    if channel and (planes == planes[:1]).all():
        return dataclasses.replace(picture, stack=planes[:1], channels=(), colour=False)
    indices = []
    names = []
    for i, name in enumerate(rgb):
        if name and channel in ("", name):
            indices.append(i)
            names.append(name)
    if not indices:
        what = f"that shows {channel}" if channel else "per stain"
        raise InputRefused(f"{path}: colour (RGB) image; allowed: one grey plane {what}; export the stains separately, "
                           "or say in config.rgb what red, green and blue show")
    return dataclasses.replace(picture, stack=planes[indices], channels=tuple(names), colour=False)
