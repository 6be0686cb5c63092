"""Jurkat cells in an imaging flow cytometer, sorted by phase: 40 x 40 px tiles of one cell each, in montages.

Download: https://github.com/minh-doan/MLCP, folder images, licence BSD 3-Clause (Blasi et al. 2016, doi
10.1038/ncomms10256; Hennig et al. 2017, doi 10.1016/j.ymeth.2016.08.018). The folder given holds
EXPERIMENT/PHASE/ChN_MONTAGE.tif, 30 tiles high and filled column by column, with Ch3 bright field, Ch4 DNA, Ch6 dark
field. Where cells.csv lies beside (experiment, phase, montage, tile_row, tile_col), it lists the tiles that hold a
cell; else those that are not flat do. The pixel size is not stated.

There are no fields: BLOCK neighbouring columns of a montage, which were acquired one after the other, stand for one.
The background of each tile is shifted to one level in bright and dark field, since it drifts between acquisitions.
Intensities are not normalised within a block: it holds one phase only, so that would leak the label. The outline of a
cell is found in the bright field alone, so that it does not depend on the DNA stain, by which the phases were sorted.
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
PADDING = 1  # px around a field, so that no cell touches its edge
LEAST_CONTRAST = 3.0  # of a cell's pixels, in standard deviations of the background's noise
NOTES = (
    "In dark field (DF) pixels lie far below the background exactly where DNA is bright, as after over-compensated "
    "crosstalk, so DF depends on the label. In bright field (BF) no such crosstalk was found.",
    "One phase is one montage of one acquisition: what differs between montages cannot be distinguished from the "
    "phase; see the scores of a network that sees the tiles' outer ring only.",
)
# Neighbours of a pixel among all tiles: above, below, left and right, in no other tile.
_IN_TILE = np.zeros((3, 3, 3), bool)
_IN_TILE[1] = ndimage.generate_binary_structure(2, 1)
# Outer 2 px of a tile.
_RING = np.ones((TILE, TILE), bool)
_RING[2:-2, 2:-2] = False


def find_fields(root, config) -> list[FieldFile]:
    """One field per block of columns of every montage in `root`; a column SortedAs says EXPERIMENT/PHASE."""
    root = pathlib.Path(root)
    files = []
    for bright in sorted(root.glob(f"*/*/{FILES['BF']}_*.tif")):
        montage = bright.stem.removeprefix(f"{FILES['BF']}_")
        paths = []
        for head in FILES.values():
            path = bright.with_name(f"{head}_{montage}.tif")
            if not path.is_file():
                raise InputRefused(
                    f"{path}: no such file, though {bright.name} is there; download the montage again"
                )
            paths.append(path)
        files += _blocks(tuple(paths), montage, config.cell_line or "Jurkat", root / LISTED)
    if not files:
        raise InputRefused(f"--fields={root}: no EXPERIMENT/PHASE/{FILES['BF']}_MONTAGE.tif in it")
    return files


def _blocks(paths, montage, cell_line, listed):
    """The fields of one montage, whose files are EXPERIMENT/PHASE/ChN_MONTAGE.tif."""
    experiment, phase = paths[0].parts[-3:-1]
    columns = _montage(paths[0]).shape[1] // TILE
    files = []
    for first in range(0, columns, BLOCK):
        file = FieldFile(
            paths,
            field_id=f"{experiment}_{phase}_{montage}_{first:02d}",
            cell_line=cell_line,
            plate=experiment,
            well=montage,
            site=f"{first:02d}",
            label=phase,
            channels=tuple(FILES),
            part=first,
            extra=(("SortedAs", f"{experiment}/{phase}"),),
            beside=(listed,),
        )
        files.append(file)
    return files


def read(file: FieldFile, config) -> Field:
    """One block: bright field, dark field, DNA; u16 [30 * 40 + 2, BLOCK * 40 + 2, 3]."""
    bright, dark, dna = [_block(path, file.part).astype(np.float32) for path in file.paths]
    padded = [
        np.pad(_on_level(bright), PADDING, constant_values=LEVEL),
        np.pad(_on_level(dark), PADDING, constant_values=LEVEL),
        np.pad(dna, PADDING, constant_values=np.median(dna)),
    ]
    image = np.clip(np.round(np.stack(padded, axis=-1)), 0, 65535).astype(np.uint16)
    return field_of(file, image, file.channels, None)


def labels(file: FieldFile, config) -> np.ndarray:
    """The cells of a block by their outline in the bright field, i32 of the field's size; numbers of tiles from 1."""
    bright = _block(file.path, file.part).astype(np.float32)
    tiles = _tiles(bright)
    index = np.arange(len(tiles))
    number = np.where(np.isin(index, _listed(file)), index + 1, 0)
    numbered = outlines(tiles) * number[:, None, None]
    rows = bright.shape[0] // TILE
    block = numbered.reshape(rows, -1, TILE, TILE).swapaxes(1, 2).reshape(rows * TILE, -1)
    return np.pad(block, PADDING).astype(np.int32)


def objects(file: FieldFile, labels, config) -> pd.DataFrame:
    """Every cell, its crop centred on its tile, so that a crop of 40 px is the tile."""
    columns = (labels.shape[1] - 2 * PADDING) // TILE
    number = np.unique(labels)[1:]
    row, column = np.divmod(number - 1, columns)
    centre = float(PADDING + TILE // 2)
    return pd.DataFrame({"crop_y": row * TILE + centre, "crop_x": column * TILE + centre}, index=number)


def outlines(tiles: np.ndarray) -> np.ndarray:
    """Masks bool [N, 40, 40] of the cell in each bright-field tile f32 [N, 40, 40].

    A cell has pixels that are darker and others that are brighter than the background: the local root mean square of
    the difference from the tile's background exceeds LEAST_CONTRAST times the noise, which is the median absolute
    deviation in the outer 2 px of all tiles but flat ones, the padding at the end of a montage. Then closing, filling
    of holes, opening; the object of `_middle_objects`, grown by 1 px.
    """
    ring = tiles[:, _RING]
    background = np.median(ring, axis=1)
    deviation = np.abs(ring - background[:, None])
    is_flat = np.ptp(tiles, axis=(1, 2)) == 0
    noise = 1.4826 * np.median(deviation[~is_flat]) if not is_flat.all() else 0.0
    squared = (tiles - background[:, None, None]) ** 2
    difference = np.sqrt(ndimage.gaussian_filter(squared, (0, 1, 1), mode="nearest"))
    mask = np.pad(difference > LEAST_CONTRAST * noise, ((0, 0), (3, 3), (3, 3)))
    mask = ndimage.binary_closing(mask, _IN_TILE, iterations=2)[:, 3:-3, 3:-3]
    mask = ndimage.binary_fill_holes(mask, _IN_TILE)
    mask = ndimage.binary_opening(mask, _IN_TILE, iterations=3)
    return ndimage.binary_dilation(_middle_objects(mask), _IN_TILE)


def _middle_objects(mask):
    """Of each tile's objects the one with the largest area less ten times its distance from the middle."""
    labels, count = ndimage.label(mask, _IN_TILE)
    if not count:
        return mask
    index = np.arange(1, count + 1)
    tile, y, x = np.array(ndimage.center_of_mass(mask, labels, index)).T
    area = np.bincount(labels.ravel())[1:]
    score = area - 10 * np.hypot(y - TILE / 2 + 0.5, x - TILE / 2 + 0.5)
    best_of_tile = pd.Series(score, index).groupby(tile).idxmax()
    return np.isin(labels, best_of_tile)


def _on_level(plane):
    """The plane with the background of each tile, the median of its outer 2 px, put to LEVEL."""
    background = np.median(_tiles(plane)[:, _RING], axis=1)
    shift = (LEVEL - background).reshape(plane.shape[0] // TILE, -1)
    return plane + np.kron(shift, np.ones((TILE, TILE), np.float32))


def _tiles(plane):
    """[rows * 40, columns * 40] as [rows * columns, 40, 40], row by row."""
    height, width = plane.shape
    grid = plane.reshape(height // TILE, TILE, width // TILE, TILE)
    return grid.swapaxes(1, 2).reshape(-1, TILE, TILE)


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
    block = _block(file.path, file.part)
    if not listed.is_file():
        return np.flatnonzero(np.ptp(_tiles(block), axis=(1, 2)) > 0)  # padding at the end of a montage is flat
    cells = _cells(listed)
    cells = cells[cells["experiment"] == file.plate]
    cells = cells[cells["phase"] == file.label]
    cells = cells[cells["montage"] == file.well]
    cells = cells[cells["tile_col"].between(file.part, file.part + BLOCK - 1)]
    columns = block.shape[1] // TILE
    return (cells["tile_row"] * columns + cells["tile_col"] - file.part).to_numpy()


@functools.lru_cache(maxsize=2)
def _cells(path):
    return pd.read_csv(path, dtype=dict.fromkeys(("experiment", "phase", "montage"), str))
