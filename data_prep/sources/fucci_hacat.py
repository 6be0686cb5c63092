"""HaCaT cells with a two-colour FUCCI sensor, one colony over 121 frames, with labels and tracks.

Download: source distribution of the Python package fucciphase 0.1.0, folder examples/reproducibility/inputs, licence
BSD 3-Clause (github.com/Synthetic-Physiology-Lab/fucciphase). The folder given holds, repacked from its two images and
the TrackMate file, hacat_fucci_T121_C2.tif, u16 (T, C, Y, X), labels_T121.tif, u16 (T, Y, X), and spots.csv from
TrackMate (positions in um). Magenta is bright in S, G2 and M, cyan in G1, both between; 0.544 um per px; a frame is 15
minutes.

There is no other stain, and instants of one cell are no independent cells: of use for labelling by two markers and for
splitting by track, and for no claim of accuracy.
"""

import functools
import pathlib

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from data_prep.reading.field import Field, FieldFile, field_of
from data_prep.reading.tiff import read_pixels

STACK, LABELS, SPOTS = "hacat_fucci_T121_C2.tif", "labels_T121.tif", "spots.csv"
CHANNELS = ("magenta", "cyan")
PIXEL_UM = 0.544
REACH_UM = 8.0  # a spot farther from the centre of a label than a nucleus' radius is another nucleus


def find_fields(root, config) -> list[FieldFile]:
    """One field per frame of the stack in `root`."""
    root = pathlib.Path(root)
    if missing := [name for name in (STACK, LABELS, SPOTS) if not (root / name).is_file()]:
        raise InputRefused(f"--fields={root}: no {missing[0]}; name the folder that holds {STACK}, {LABELS}, {SPOTS}")
    frames = len(_stack(root / STACK))
    return [FieldFile((root / STACK,), f"t{t:03d}", config.cell_line or "HaCaT", "colony", "colony", "", part=t,
                      time=f"t{t:03d}", beside=(root / LABELS, root / SPOTS)) for t in range(frames)]


def read(file: FieldFile, config) -> Field:
    """One frame: magenta, cyan."""
    return field_of(file, np.moveaxis(_stack(file.path)[file.part], 0, -1), CHANNELS, PIXEL_UM)


def labels(file: FieldFile, config) -> np.ndarray:
    """The nuclei of the frame, numbered anew, i32 [H, W]."""
    found = _stack(file.path.with_name(LABELS))[file.part]
    return np.unique(found, return_inverse=True)[1].reshape(found.shape).astype(np.int32)


def objects(file: FieldFile, labels, config) -> pd.DataFrame:
    """The track of each nucleus, "" where no spot is near: cells of one track descend from one cell."""
    spots = _spots(file.path.with_name(SPOTS))
    spots = spots[spots["frame"] == file.part]
    number = np.arange(1, labels.max() + 1)
    count = np.bincount(labels.ravel())[1:]
    centre = np.stack([np.bincount(labels.ravel(), i.ravel())[1:] / count for i in np.indices(labels.shape)], axis=1)
    tracks = np.full(len(number), None, object)
    if len(spots) and len(number):
        distance, nearest = cKDTree(spots[["position_y", "position_x"]]).query(centre * PIXEL_UM)
        near = distance < REACH_UM
        tracks[near] = ("tree" + spots["track_id"].astype(str)).to_numpy()[nearest[near]]
    return pd.DataFrame({schema.TRACK: tracks}, index=number)


@functools.lru_cache(maxsize=4)
def _stack(path):
    return read_pixels(path)


@functools.lru_cache(maxsize=1)
def _spots(path):
    return pd.read_csv(path)
