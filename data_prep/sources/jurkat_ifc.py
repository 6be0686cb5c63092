"""Jurkat cells in an imaging flow cytometer, sorted by phase: 40 x 40 px tiles of one cell each, in montages.

Download: https://github.com/minh-doan/MLCP, folder images, licence BSD 3-Clause (Blasi et al. 2016, doi
10.1038/ncomms10256; Hennig et al. 2017, doi 10.1016/j.ymeth.2016.08.018). The folder given holds
EXPERIMENT/PHASE/ChN_MONTAGE.tif, 30 tiles high and filled column by column, with Ch3 bright field, Ch4 DNA, Ch6 dark
field. Where cells.csv lies beside (experiment, phase, montage, tile_row, tile_col), it lists the tiles that hold a
cell; else those that are not flat do. The pixel size is not stated.

There are no fields: BLOCK neighbouring columns of a montage, which were acquired one after the other, stand for one.
Each tile's own background is taken off bright and dark field, since it drifts between acquisitions; nothing else is
scaled, as a block holds one phase only and its statistics would tell which. The outline of a cell is found in the
bright field alone, so that it owes nothing to the DNA stain, by which the phases were sorted.
"""

import functools
import pathlib

import numpy as np
import pandas as pd
from scipy import ndimage

from cellcycle_jax.errors import InputRefused
from data_prep.reading.field import Field, FieldFile, field_of
from data_prep.reading.tiff import read_pixels

TILE = 40  # px, height and width
BLOCK = 2  # columns of a montage that stand for one field
FILES = {"BF": "Ch3", "DF": "Ch6", "DNA": "Ch4"}  # channel -> beginning of its file's name
LISTED = "cells.csv"
LEVEL = 1000  # where the background of bright and dark field is put
RIM = 1  # px around a field, so that no cell touches its edge
STANDS_OUT = 3.0  # a cell's pixels differ from the background by this many standard deviations of its noise
NOTES = ("In dark field (DF) pixels lie far below the background just where DNA is bright: a share of the DNA signal "
         "has been taken off it, so DF is not free of the label. In bright field (BF) no such trace was found.",
         "One phase is one montage of one acquisition: what differs between montages cannot be told from the phase; "
         "see the scores of a network that sees the tiles' outer ring only.")
_IN_TILE = np.stack([np.zeros((3, 3), bool), ndimage.generate_binary_structure(2, 1), np.zeros((3, 3), bool)])


def find_fields(root, config) -> list[FieldFile]:
    """One field per block of columns of every montage in `root`; a column SortedAs says EXPERIMENT/PHASE."""
    root = pathlib.Path(root)
    found = []
    for bright in sorted(root.glob(f"*/*/{FILES['BF']}_*.tif")):
        experiment, phase = bright.parts[-3:-1]
        montage = bright.stem.removeprefix(f"{FILES['BF']}_")
        paths = tuple(bright.with_name(f"{head}_{montage}.tif") for head in FILES.values())
        if missing := [path for path in paths if not path.is_file()]:
            raise InputRefused(f"{missing[0]}: no such file, though {bright.name} is there; download the montage again")
        columns = _montage(bright).shape[1] // TILE
        found += [FieldFile(paths, f"{experiment}_{phase}_{montage}_{first:02d}", config.cell_line or "Jurkat",
                            experiment, montage, f"{first:02d}", phase, tuple(FILES), first,
                            extra=(("SortedAs", f"{experiment}/{phase}"),), beside=(root / LISTED,))
                  for first in range(0, columns, BLOCK)]
    if not found:
        raise InputRefused(f"--fields={root}: no EXPERIMENT/PHASE/{FILES['BF']}_MONTAGE.tif in it")
    return found


def read(file: FieldFile, config) -> Field:
    """One block: bright field, dark field, DNA; u16 [30 * 40 + 2, BLOCK * 40 + 2, 3]."""
    planes = [_block(path, file.part).astype(np.float32) for path in file.paths]
    planes[:2] = [_on_level(plane) for plane in planes[:2]]
    fills = [LEVEL, LEVEL, np.median(planes[2])]
    padded = [np.pad(plane, RIM, constant_values=fill) for plane, fill in zip(planes, fills, strict=True)]
    image = np.clip(np.round(np.stack(padded, axis=-1)), 0, 65535).astype(np.uint16)
    return field_of(file, image, file.channels, None)


def labels(file: FieldFile, config) -> np.ndarray:
    """The cells of a block by their outline in the bright field, i32 of the field's size; numbers of tiles from 1."""
    bright = _block(file.path, file.part).astype(np.float32)
    tiles = _tiles(bright)
    cells = outlines(tiles) & np.isin(np.arange(len(tiles)), _listed(file))[:, None, None]
    numbers = cells * np.arange(1, len(tiles) + 1)[:, None, None]
    rows = bright.shape[0] // TILE
    whole = numbers.reshape(rows, -1, TILE, TILE).swapaxes(1, 2).reshape(rows * TILE, -1)
    return np.pad(whole, RIM).astype(np.int32)


def objects(file: FieldFile, labels, config) -> pd.DataFrame:
    """Every cell, its crop centred on its tile, so that a crop of 40 px is the tile."""
    columns = (labels.shape[1] - 2 * RIM) // TILE
    number = np.unique(labels)[1:]
    row, column = np.divmod(number - 1, columns)
    centre = RIM + TILE // 2
    return pd.DataFrame({"crop_y": row * TILE + float(centre), "crop_x": column * TILE + float(centre)}, index=number)


def outlines(tiles: np.ndarray) -> np.ndarray:
    """Masks bool [N, 40, 40] of the cell in each bright-field tile f32 [N, 40, 40].

    A cell is darker and brighter than what surrounds it: the blurred squared difference from the tile's own background
    exceeds STANDS_OUT times the noise of the montage. Closed, filled, opened, the largest object nearest to the middle,
    grown by 1 px.
    """
    ring = np.concatenate([tiles[:, [0, 1, -2, -1]].reshape(len(tiles), -1),
                           tiles[:, 2:-2][:, :, [0, 1, -2, -1]].reshape(len(tiles), -1)], axis=1)
    background = np.median(ring, axis=1)
    noise = 1.4826 * np.median(np.abs(ring - background[:, None]))
    apart = ndimage.gaussian_filter((tiles - background[:, None, None]) ** 2, (0, 1, 1), mode="nearest")
    mask = np.sqrt(apart) > STANDS_OUT * noise
    mask = ndimage.binary_closing(np.pad(mask, ((0, 0), (3, 3), (3, 3))), _IN_TILE, iterations=2)[:, 3:-3, 3:-3]
    mask = ndimage.binary_opening(ndimage.binary_fill_holes(mask, _IN_TILE), _IN_TILE, iterations=3)
    return ndimage.binary_dilation(_middle_objects(mask), _IN_TILE)


def _middle_objects(mask):
    """Of each tile's objects the one with the largest area less ten times its distance from the middle."""
    found, count = ndimage.label(mask, _IN_TILE)
    if not count:
        return mask
    index = np.arange(1, count + 1)
    tile, y, x = np.array(ndimage.center_of_mass(mask, found, index)).T
    score = np.bincount(found.ravel())[1:] - 10 * np.hypot(y - TILE / 2 + 0.5, x - TILE / 2 + 0.5)
    best = pd.DataFrame({"tile": tile, "score": score}, index=index).groupby("tile")["score"].idxmax()
    return np.isin(found, best)


def _on_level(plane):
    """The plane with the background of each tile, the median of its outer 2 px, put to LEVEL."""
    tiles = _tiles(plane)
    inner = np.zeros((TILE, TILE), bool)
    inner[2:-2, 2:-2] = True
    background = np.median(tiles[:, ~inner], axis=1)
    shift = (LEVEL - background).reshape(plane.shape[0] // TILE, -1)
    return plane + np.kron(shift, np.ones((TILE, TILE), np.float32))


def _tiles(plane):
    """[rows * 40, columns * 40] as [rows * columns, 40, 40], row by row."""
    rows, columns = plane.shape[0] // TILE, plane.shape[1] // TILE
    return plane.reshape(rows, TILE, columns, TILE).swapaxes(1, 2).reshape(-1, TILE, TILE)


def _block(path, first):
    return _montage(path)[:, first * TILE:(first + BLOCK) * TILE]


@functools.lru_cache(maxsize=8)
def _montage(path):
    image = read_pixels(path)
    if image.ndim != 2 or image.shape[0] % TILE or image.shape[1] % TILE:
        raise InputRefused(f"{path}: {image.shape} px; allowed: whole tiles of {TILE} x {TILE}")
    return image


def _listed(file):
    """Numbers, from 0, of the tiles of a block that hold a cell."""
    listed = file.path.parents[2] / LISTED
    if not listed.is_file():
        tiles = _tiles(_block(file.path, file.part))
        return np.flatnonzero(np.ptp(tiles, axis=(1, 2)) > 0)  # padding at the end of a montage is flat
    known = _cells(listed)
    here = known[(known["experiment"] == file.plate) & (known["phase"] == file.label)
                 & (known["montage"] == file.well) & known["tile_col"].between(file.part, file.part + BLOCK - 1)]
    columns = _block(file.path, file.part).shape[1] // TILE
    return (here["tile_row"] * columns + here["tile_col"] - file.part).to_numpy()


@functools.lru_cache(maxsize=2)
def _cells(path):
    return pd.read_csv(path)
