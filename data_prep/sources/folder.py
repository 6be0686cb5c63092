"""Any folder of TIFF, OME-TIFF, STK, LSM, PNG or BMP files.

What the names say comes from `config.name_pattern`, a regular expression searched in the path below the folder, with
named groups line, label, plate, well, site, time, channel, z. Files that agree in everything but channel and z are one
field; where the pattern has neither, each file is a field. Where it names lines and no plates, each line is a plate of
its own. Without a pattern, the sub-folder is the plate and the file is its own well. `config.sidecar` says what names
do not, `config.labels_folder` where label images made elsewhere lie.
"""

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
        raise UsageError(f"config.channel_names={tuple(config.channel_names)!r}: allowed: () where config.name_pattern "
                         "has a group channel, which names the channels; use channel_codes to rename them")
    codes = dict(listing.readable(text).partition("=")[::2] for text in config.channel_codes)
    paths = _that_fit(_pictures(folder, config), folder, pattern, codes)
    found = names.of_files(paths, folder, pattern, codes)
    if pattern is None:
        _say_channels_apart([text_of(named.file.path, folder) for named in found])
    _refuse_same_name(found)
    if config.sidecar:
        stand_ins = {named.file.field_id: named for named in found}
        listed = sidecar.add([named.file for named in found], folder, config.sidecar)
        found = [stand_ins[file.field_id]._replace(file=file) for file in listed]
    files = [_with_stand_ins(named, config.cell_line) for named in found]
    return _with_label_images(files, folder, config) if config.labels_folder else files


def set_unset(config, **values) -> None:
    """Give fields of the config that the user left empty the values of a known data set."""
    with config.unlocked():
        for name, value in values.items():
            config[name] = config[name] or value


def read(file: FieldFile, config) -> Field:
    """The field in `file`; see `data_prep.reading.field.read_field`."""
    with listing.readable_errors():
        return read_field(file, config.channel_names, config.pixel_um or None, config.projection, config.rgb)


def labels(file: FieldFile, config) -> np.ndarray | None:
    """The label image of the field that was made elsewhere, [H, W]; None where the config names no such images.

    Raises:
        InputRefused: the field has none, or one that is no label image.
    """
    if not config.labels_folder:
        return None
    with listing.readable_errors():
        if file.labels_path is None:
            raise InputRefused(f"{file.path}: no label image for field {file.field_id!r} in {config.labels_folder}; "
                               "add it, or empty config.labels_folder")
        return label_images.read(file.labels_path, file.labels_are_mask)


def _pictures(folder, config):
    """All picture files that are not label images; TIFF alone where there is any, since others are then previews."""
    labels_folder = folder / config.labels_folder if config.labels_folder else None
    listed = listing.list_files(folder, ENDINGS)
    listing.say(listed)
    paths = [path for path in listed.files if path.suffix.lower() in ENDINGS]
    if labels_folder:
        paths = [path for path in paths if not label_images.is_label_image(path, folder, labels_folder)]
    else:
        masks = set(label_images.of_others(paths))
        say_left_out(masks, "files have the names of label images of other files (see config.labels_folder)")
        paths = [path for path in paths if path not in masks]
    if not paths:
        raise InputRefused(f"--fields={folder}: no {', '.join(ENDINGS)} file in it{formats.what_else(listed.files)}")
    unread = [path for path in listed.files if path.suffix.lower() in formats.MICROSCOPE]
    say_left_out(unread, "files are in a microscope's own format, which is not read (export them as OME-TIFF),")
    return paths


def _that_fit(paths, folder, pattern, codes):
    """The files that the pattern and the codes of channels let in."""
    reasons = {path: names.fits(text_of(path, folder), pattern, codes) for path in paths}
    by_reason = {reason: [path for path in paths if reasons[path] == reason] for reason in ("", "pattern", "code")}
    fit, others, foreign = by_reason.values()
    if not fit and foreign:
        code = pattern.search(text_of(foreign[0], folder))["channel"]
        raise InputRefused(f"{foreign[0]}: group channel of config.name_pattern matches {code!r}; config.channel_codes "
                           f"has {', '.join(codes)}; correct the codes")
    if not fit:
        raise InputRefused(f"{text_of(paths[0], folder)}: the name does not fit "
                           f"config.name_pattern={pattern.pattern!r}, nor does any of the {len(paths)} files of "
                           f"{folder}; change the pattern")
    say_left_out(others, "files do not fit config.name_pattern")
    say_left_out(foreign, "files are of channels that config.channel_codes does not list")
    tiffs = [path for path in fit if path.suffix.lower() in formats.TIFF]
    if tiffs:
        previews = [path for path in fit if path.suffix.lower() not in formats.TIFF]
        say_left_out(previews, "files are taken for previews of the TIFF files")
    return tiffs or fit


def _say_channels_apart(relative):
    """Say so where the files seem to hold one channel each, though each is taken for a field."""
    seen = channel_files.find(relative)
    if seen is None:
        return
    advice = f"--config.name_pattern='{seen.pattern}'" if seen.pattern else "config.name_pattern with a group channel"
    two = " and ".join(seen.example[:2])
    print(f"warning: each of {len(relative)} files is taken for a field, but {two} look like channels "
          f"({', '.join(seen.tokens)}) of one field; if they are, give {advice}, and name the channels in "
          f"config.channel_codes, such as {seen.tokens[0]}=DNA", file=sys.stderr)


def _refuse_same_name(found):
    first = {}
    for file in (named.file for named in found):
        if (other := first.setdefault(file.field_id, file)) is not file:
            raise InputRefused(f"{file.path} and {other.path} are both field {file.field_id!r}; rename one of them")


def _with_stand_ins(named, cell_line):
    """The field with a line, plate and well where neither its name nor the sidecar says them."""
    file = named.file
    line = file.cell_line or cell_line
    return dataclasses.replace(file, cell_line=line, plate=file.plate or named.plate or file.cell_line,
                               well=file.well or named.well)


def _with_label_images(files, folder, config):
    paths = label_images.find(files, folder, folder / config.labels_folder)
    if missing := [file for file, path in zip(files, paths, strict=True) if path is None]:
        print(f"warning: {len(missing)} fields have no label image (first: {missing[0].path})",
              file=sys.stderr)
    masks = label_images.are_masks([path for path in paths if path])
    if masks:
        print(f"note: the label images are masks, with one value for all nuclei (first: {next(filter(None, paths))}): "
              "each piece is a nucleus, and nuclei that touch are taken for one", file=sys.stderr)
    return [dataclasses.replace(file, labels_path=path, labels_are_mask=masks)
            for file, path in zip(files, paths, strict=True)]
