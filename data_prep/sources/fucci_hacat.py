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

STACK = "hacat_fucci_T121_C2.tif"
LABELS = "labels_T121.tif"
SPOTS = "spots.csv"
CHANNELS = ("magenta", "cyan")
PIXEL_UM = 0.544
REACH_UM = 8.0  # a spot farther from the centre of a label than a nucleus' radius is another nucleus


def find_fields(root, config) -> list[FieldFile]:
    """One field per frame of the stack in `root`."""
    root = pathlib.Path(root)
    for name in (STACK, LABELS, SPOTS):
        if not (root / name).is_file():
            raise InputRefused(
                f"--fields={root}: no {name}; name the folder that holds {STACK}, {LABELS}, {SPOTS}"
            )
    files = []
    for frame in range(len(_stack(root / STACK))):
        name = f"t{frame:03d}"
        file = FieldFile(
            (root / STACK,),
            field_id=name,
            cell_line=config.cell_line or "HaCaT",
            plate="colony",
            well="colony",
            part=frame,
            time=name,
            beside=(root / LABELS, root / SPOTS),
        )
        files.append(file)
    return files


def read(file: FieldFile, config) -> Field:
    """One frame: magenta, cyan."""
    return field_of(file, np.moveaxis(_stack(file.path)[file.part], 0, -1), CHANNELS, PIXEL_UM)


def labels(file: FieldFile, config) -> np.ndarray:
    """The nuclei of the frame, numbered from 1, i32 [H, W]."""
    labels = _stack(file.path.with_name(LABELS))[file.part]
    _, numbers = np.unique(labels, return_inverse=True)
    return numbers.reshape(labels.shape).astype(np.int32)


def objects(file: FieldFile, labels, config) -> pd.DataFrame:
    """The track of each nucleus, "" where no spot is near: cells of one track descend from one cell."""
    spots = _spots(file.path.with_name(SPOTS))
    spots = spots[spots["frame"] == file.part]
    number = np.arange(1, labels.max() + 1)
    y, x = np.indices(labels.shape)
    area = np.bincount(labels.ravel())[1:]
    centre_y = np.bincount(labels.ravel(), y.ravel())[1:] / area
    centre_x = np.bincount(labels.ravel(), x.ravel())[1:] / area
    centre = np.stack([centre_y, centre_x], axis=1)
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
