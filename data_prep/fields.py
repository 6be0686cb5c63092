"""Read one microscope file into a `Field`: TIFF and OME-TIFF, channels by name, pixel size in um."""

import contextlib
import dataclasses
import hashlib
import logging
import pathlib

import numpy as np
import ome_types
import tifffile

from cellcycle_jax.errors import InputRefused, UsageError

_UM = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "nm": 1e-3}
SAME_SIZE = 0.01  # sizes of a pixel that differ by a smaller share are the same
MAX_BYTES = 2 << 30  # a file that declares more than this is refused before anything is decoded


@dataclasses.dataclass(frozen=True)
class FieldFile:
    """Where a field is and what is known of it before it is read: texts are "" where unknown."""

    paths: tuple[pathlib.Path, ...]  # one file with all channels, or one or more (z planes) per channel
    field_id: str  # unique in a data set, safe as a file name
    cell_line: str = ""
    plate: str = ""
    well: str = ""
    site: str = ""
    label: str = ""  # what a folder's name says of all its cells
    channels: tuple[str, ...] = ()  # what each path shows where files hold one channel each; () where a file holds all
    part: int | None = None  # which picture of the file, where a file holds several
    pixel_um: float | None = None  # um per px, None: the file or the config says it
    labels_path: pathlib.Path | None = None  # label image made elsewhere, None: none
    extra: tuple[tuple[str, str], ...] = ()  # further (column, value) of the sidecar

    @property
    def path(self) -> pathlib.Path:
        """The first file: what errors name."""
        return self.paths[0]


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of view: image u16 or f32 [H, W, C], channel names, um per px (None: unknown), where it is from.

    `sha256` is of the pixels as read, so that the same picture in two files is recognised.
    """

    image: np.ndarray
    channels: tuple[str, ...]
    pixel_um: float | None
    cell_line: str
    plate: str
    well: str
    site: str
    field_id: str
    path: str
    sha256: str


def read_field(file: FieldFile, channel_names=(), pixel_um: float | None = None) -> Field:
    """Read a TIFF or OME-TIFF; z-stacks become their maximum projection.

    Args:
        file: the file and what its name says.
        channel_names: names in order; needed where the file has no OME metadata, checked against it where it has.
        pixel_um: um per px; needed where the file does not say, checked against it where it does.

    Raises:
        InputRefused: unreadable, cut short, too large, RGB, a time series, an unknown number type, NaN or infinity,
            channel names or a pixel size that do not fit, pixels that are not square.
    """
    try:
        with _complaints() as complaints, tifffile.TiffFile(file.path) as tiff:
            _check_whole(tiff, file.path)
            series = tiff.series[0]
            image = _channels_last(series.asarray(), series.axes, file.path)
            names, size = _ome(tiff.ome_metadata, file.path) if tiff.is_ome else ((), None)
        if complaints:
            raise InputRefused(f"{file.path}: damaged ({complaints[0]}); copy the file again")
    except InputRefused:
        raise
    except Exception as error:  # tifffile and its codecs raise many kinds on damaged files
        raise InputRefused(f"{file.path}: not a readable TIFF ({type(error).__name__}: {error}); "
                           "export the field again or leave the file out") from error
    image = _checked_pixels(image, file.path)
    names = _names(tuple(channel_names), names, image.shape[-1], file.path)
    digest = hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
    if size and pixel_um and _differ(size, pixel_um):
        raise InputRefused(f"{file.path}: config.pixel_um says {pixel_um:g}, the file says {size:g} um per px; "
                           "set pixel_um to 0 to use the file's")
    return Field(image, names, size or pixel_um, file.cell_line, file.plate, file.well, file.site, file.field_id,
                 str(file.path), digest)


def in_order(field: Field, channels) -> Field:
    """The field with its channels in the order of `channels`, so that position c means the same stain in all fields.

    Raises:
        InputRefused: the field has other channels.
    """
    if set(field.channels) != set(channels):
        raise InputRefused(f"{field.path}: channels {', '.join(field.channels)}, but most fields have "
                           f"{', '.join(channels)}; prepare fields of different stains apart")
    order = [field.channels.index(name) for name in channels]
    return dataclasses.replace(field, image=field.image[..., order], channels=tuple(channels))


@contextlib.contextmanager
def _complaints():
    """Errors that tifffile only logs while it goes on with half a file, as a list of texts."""
    found, logger = [], logging.getLogger("tifffile")
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: found.append(" ".join(record.getMessage().split()))
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _check_whole(tiff, path):
    """A file cut short can still open: compare what it declares with how long it is, before decoding anything."""
    series = tiff.series[0]
    declared = int(np.prod(series.shape)) * series.dtype.itemsize
    if declared > MAX_BYTES:
        raise InputRefused(f"{path}: declares {declared / 2**30:.1f} GiB of pixels; at most {MAX_BYTES >> 30} GiB; "
                           "cut the image into fields")
    length = tiff.filehandle.size
    for number, page in enumerate(series.pages):
        if page is None:
            raise InputRefused(f"{path}: plane {number} of {len(series.pages)} is missing; copy the file again")
        keyframe = page.keyframe if page.keyframe is not None else page
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            if offset + count > length:
                raise InputRefused(f"{path}: cut short: plane {number} ends at byte {offset + count}, the file has "
                                   f"{length}; copy the file again")
        if not page.dataoffsets or keyframe.shape[-1] == 0:
            raise InputRefused(f"{path}: plane {number} holds no pixels; copy the file again")


def _channels_last(stack, axes, path):
    if "S" in axes:
        raise InputRefused(f"{path}: colour (RGB) image; allowed: one grey plane per stain; "
                           "export the stains separately")
    stack, axes = _squeeze(stack, axes.replace("Q", "C").replace("I", "C"))
    if "Z" in axes:
        stack, axes = stack.max(axis=axes.index("Z")), axes.replace("Z", "")
    if sorted(axes) == ["X", "Y"]:
        stack, axes = stack[np.newaxis], "C" + axes
    if sorted(axes) != ["C", "X", "Y"]:
        raise InputRefused(f"{path}: axes {axes}; allowed: C, Z, Y, X; export one time point per file")
    return stack.transpose([axes.index(a) for a in "YXC"])


def _squeeze(stack, axes):
    keep = [i for i, n in enumerate(stack.shape) if n > 1 or axes[i] in "YX"]
    return stack.reshape([stack.shape[i] for i in keep]), "".join(axes[i] for i in keep)


def _checked_pixels(image, path):
    if image.dtype == np.uint8:
        return image.astype(np.uint16)
    if image.dtype == np.uint16:
        return image
    if image.dtype in (np.float32, np.float64):
        bad = int((~np.isfinite(image)).sum())
        if bad:
            raise InputRefused(f"{path}: {bad} pixels are NaN or infinite; allowed: finite numbers; "
                               "export the field again")
        return image.astype(np.float32)
    raise InputRefused(f"{path}: pixels are {image.dtype}; allowed: uint8, uint16, float32; export the field again")


def _ome(xml, path):
    """Channel names and um per px; () and None where the metadata do not say."""
    if len(xml) > 10_000_000 or "<!ENTITY" in xml:
        raise InputRefused(f"{path}: OME metadata is larger than 10 MB or defines entities; export the field again")
    pixels = ome_types.from_xml(xml).images[0].pixels
    names = tuple(c.name or "" for c in pixels.channels)
    width = _in_um(pixels.physical_size_x, pixels.physical_size_x_unit)
    height = _in_um(pixels.physical_size_y, pixels.physical_size_y_unit)
    if width and height and _differ(width, height):
        raise InputRefused(f"{path}: a pixel is {width:g} um wide and {height:g} um high; allowed: square pixels; "
                           "resample the field")
    return (names if all(names) else ()), width


def _in_um(size, unit):
    """A physical size in um; None for no size and for "pixel" and "reference frame", which are no physical units."""
    to_um = _UM.get(unit.value)
    return size * to_um if size and to_um else None


def _differ(one, two):
    return abs(one / two - 1) > SAME_SIZE


def _names(wanted, found, count, path):
    if wanted and found and wanted != found:
        raise InputRefused(f"{path}: channel_names says {', '.join(wanted)}, the file says {', '.join(found)}; "
                           "empty channel_names to use the file's")
    names = found or wanted
    if len(names) != count or len(set(names)) != count:
        said = ", ".join(names) or "none"
        raise InputRefused(f"{path}: {count} channels but the names are: {said}; "
                           "give one different name per channel in channel_names")
    return names


def quantity_error(field: str, value, allowed: str) -> UsageError:
    """The one-line error for a config value out of range."""
    return UsageError(f"config.{field}={value!r}; allowed: {allowed}")
