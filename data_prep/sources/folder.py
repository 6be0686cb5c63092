"""Any folder of TIFF, OME-TIFF, STK, LSM, PNG or BMP files.

What the names say comes from `config.name_pattern`, a regular expression searched in the path below the folder, with
named groups line, label, plate, well, site, time, channel, z. Files that agree in everything but channel and z are one
field; where the pattern has neither, each file is a field. Where it names lines and no plates, each line is a plate of
its own. Without a pattern, the sub-folder is the plate and the file is its own well. `config.sidecar` says what names
do not, `config.labels_folder` where label images made elsewhere lie.
"""

import collections
import dataclasses
import pathlib
import sys

import numpy as np

from cellcycle_jax.errors import InputRefused, UsageError
from data_prep.reading import channel_files, formats, label_images, listing, names, sidecar
from data_prep.reading.field import Field, FieldFile, read_field
from data_prep.reading.listing import say_left_out, text_of

ENDINGS = (*formats.TIFF, *formats.RASTER)


def find_fields(folder, config) -> list[FieldFile]:
    """All fields below `folder`, sorted by path. What is left out is said on the terminal.

    Raises:
        InputRefused: no such folder, no readable file in it, none that fits the pattern, two files for one channel of a
            field, two fields of one name, a sidecar or label images that do not fit.
        UsageError: a pattern that is no regular expression or has unknown groups, or channels named twice.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputRefused(f"--fields={folder}: no such folder; name the folder that holds the files")
    pattern = names.compile_pattern(config.name_pattern)
    if pattern and "channel" in pattern.groupindex and config.channel_names:
        raise UsageError(
            f"config.channel_names={tuple(config.channel_names)!r}: allowed: () where config.name_pattern has a group "
            "channel, which names the channels; use channel_codes to rename them"
        )
    codes = {}
    for text in config.channel_codes:
        code, _, name = listing.readable(text).partition("=")
        codes[code] = name
    images = _image_files(folder, config)
    images = _that_fit(images, folder, pattern, codes)
    fields = names.of_files(images, folder, pattern, codes)
    files = [named.file for named in fields]
    if pattern is None:
        _say_channels_apart([text_of(file.path, folder) for file in files])
    _refuse_same_name(files)
    if config.sidecar:
        files = sidecar.add(files, folder, config.sidecar)
    named_of = {named.file.field_id: named for named in fields}
    files = [_with_stand_ins(file, named_of[file.field_id], config.cell_line) for file in files]
    if config.labels_folder:
        return _with_label_images(files, folder, config)
    return files


def set_unset(config, **values) -> None:
    """Give fields of the config that the user left empty the values of a known data set."""
    with config.unlocked():
        for name, value in values.items():
            config[name] = config[name] or value


def read(file: FieldFile, config) -> Field:
    """The field in `file`; see `data_prep.reading.field.read_field`."""
    with listing.readable_errors():
        pixel_um = config.pixel_um or None
        return read_field(file, config.channel_names, pixel_um, config.projection, config.rgb)


def labels(file: FieldFile, config) -> np.ndarray | None:
    """The label image of the field that was made elsewhere, [H, W]; None where the config names no such images.

    Raises:
        InputRefused: the field has none, or one that is no label image.
    """
    if not config.labels_folder:
        return None
    with listing.readable_errors():
        if file.labels_path is None:
            raise InputRefused(
                f"{file.path}: no label image for field {file.field_id!r} in {config.labels_folder}; add it, or empty "
                "config.labels_folder"
            )
        return label_images.read(file.labels_path, file.labels_are_mask)


def _image_files(folder, config):
    """All files of images, without label images."""
    listed = listing.list_files(folder, ENDINGS)
    listing.say(listed)
    images = _ending_in(ENDINGS, listed.files)
    if config.labels_folder:
        labels_folder = folder / config.labels_folder
        paths = [path for path in images if not label_images.is_label_image(path, folder, labels_folder)]
    else:
        masks = set(label_images.of_others(images))
        say_left_out(masks, "files have the names of label images of other files (see config.labels_folder)")
        paths = [path for path in images if path not in masks]
    if not paths:
        raise InputRefused(f"--fields={folder}: no {', '.join(ENDINGS)} file in it{formats.what_else(listed.files)}")
    unread = _ending_in(formats.MICROSCOPE, listed.files)
    say_left_out(unread, "files are in a microscope's own format, which is not read (export them as OME-TIFF),")
    return paths


def _ending_in(endings, paths):
    return [path for path in paths if path.suffix.lower() in endings]


def _that_fit(paths, folder, pattern, codes):
    """The files that the pattern and the codes of channels let in; of these TIFF alone where there is any."""
    by_reason = collections.defaultdict(list)
    for path in paths:
        reason = names.fits(text_of(path, folder), pattern, codes)
        by_reason[reason].append(path)
    fit = by_reason[""]
    unlisted = by_reason["code"]
    if not fit and unlisted:
        code = pattern.search(text_of(unlisted[0], folder))["channel"]
        raise InputRefused(
            f"{unlisted[0]}: group channel of config.name_pattern matches {code!r}; config.channel_codes has "
            f"{', '.join(codes)}; correct the codes"
        )
    if not fit:
        raise InputRefused(
            f"{text_of(paths[0], folder)}: the name does not fit config.name_pattern={pattern.pattern!r}, nor does "
            f"any of the {len(paths)} files of {folder}; change the pattern"
        )
    say_left_out(by_reason["pattern"], "files do not fit config.name_pattern")
    say_left_out(unlisted, "files are of channels that config.channel_codes does not list")
    tiffs = _ending_in(formats.TIFF, fit)
    if not tiffs:
        return fit
    say_left_out(set(fit) - set(tiffs), "files are taken for previews of the TIFF files")
    return tiffs


def _say_channels_apart(relative):
    """Say so where the files seem to hold one channel each, though each is taken for a field."""
    channels = channel_files.find(relative)
    if channels is None:
        return
    advice = "config.name_pattern with a group channel"
    if channels.pattern:
        advice = f"--config.name_pattern='{channels.pattern}'"
    print(
        f"warning: each of {len(relative)} files is taken for a field, but {' and '.join(channels.example[:2])} look "
        f"like channels ({', '.join(channels.tokens)}) of one field; if they are, give {advice}, and name the channels "
        f"in config.channel_codes, such as {channels.tokens[0]}=DNA",
        file=sys.stderr,
    )


def _refuse_same_name(files):
    first = {}
    for file in files:
        other = first.setdefault(file.field_id, file)
        if other is not file:
            raise InputRefused(
                f"{file.path} and {other.path} are both field {file.field_id!r}; rename one of them"
            )


def _with_stand_ins(file, named, cell_line):
    """The field with the line of the config, and plate and well of its `names.Named`, where nothing else says them."""
    return dataclasses.replace(
        file,
        cell_line=file.cell_line or cell_line,
        plate=file.plate or named.plate or file.cell_line,
        well=file.well or named.well,
    )


def _with_label_images(files, folder, config):
    """The fields with the label image of each; what is missing or unusual about them is said on the terminal."""
    paths = label_images.find(files, folder, folder / config.labels_folder)
    if None in paths:
        first = files[paths.index(None)].path
        print(f"warning: {paths.count(None)} fields have no label image (first: {first})", file=sys.stderr)
    images = list(filter(None, paths))
    are_masks = label_images.are_masks(images)
    if are_masks:
        print(
            f"note: the label images are masks, with one value for all nuclei (first: {images[0]}): each connected "
            "region is a nucleus, and nuclei that touch are taken for one",
            file=sys.stderr,
        )
    with_images = []
    for file, path in zip(files, paths, strict=True):
        with_images.append(dataclasses.replace(file, labels_path=path, labels_are_mask=are_masks))
    return with_images
