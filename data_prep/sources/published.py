"""Published archives -> the folders that our sources read, where the two differ.

    python -m data_prep.sources.published fucci_hacat ARCHIVE OUT
    python -m data_prep.sources.published dsb2018 ARCHIVE OUT

ARCHIVE is the folder as unpacked: of fucciphase 0.1.0 its examples/reproducibility/inputs, of the Data Science Bowl its
stage1_train. docs/data.md says where they are. Pixels are not changed.
"""

import argparse
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

import imageio.v3 as iio
import numpy as np
import pandas as pd
import tifffile
from tqdm import tqdm

from cellcycle_jax import files
from cellcycle_jax.errors import InputRefused, UserError
from data_prep.sources import fucci_hacat

COLOURS = 2  # of the three channels of the HaCaT movie; the third is a label image
SPOT_COLUMNS = {"id": "ID", "frame": "FRAME", "position_x": "POSITION_X", "position_y": "POSITION_Y"}
FROM_BBBC039 = (520, 696)  # size of the images of the Data Science Bowl that are a data set of their own here


def repack_fucci_hacat(archive: pathlib.Path, out: pathlib.Path) -> None:
    """The movie without its label image, the labels, and a table of TrackMate's spots with the track of each.

    Raises:
        InputRefused: a file of the archive is missing.
    """
    movie = archive / "downscaled_hacat.ome.tif"
    labels = archive / "labels.tif"
    tracks = archive / "merged_linked.ome.xml"
    for path in (movie, labels, tracks):
        if not path.is_file():
            raise InputRefused(f"{path}: no such file; name the folder of the archive as it was unpacked")
    out.mkdir(parents=True, exist_ok=True)
    as_written = {"photometric": "minisblack", "compression": "zlib"}
    tifffile.imwrite(out / fucci_hacat.STACK, tifffile.imread(movie)[:, :COLOURS], **as_written)
    tifffile.imwrite(out / fucci_hacat.LABELS, tifffile.imread(labels), **as_written)
    spots = _spots(ElementTree.parse(tracks))
    files.write_text(out / fucci_hacat.SPOTS, spots.to_csv(index=False))


def _spots(tree) -> pd.DataFrame:
    """A row per spot of a TrackMate file; positions in um."""
    track_of = {}
    for track in tree.iter("Track"):
        for edge in track.iter("Edge"):
            for end in ("SPOT_SOURCE_ID", "SPOT_TARGET_ID"):
                track_of[edge.get(end)] = int(track.get("TRACK_ID"))
    rows = []
    for spot in tree.iter("Spot"):
        if spot.get("ID") in track_of:
            row = {name: float(spot.get(key)) for name, key in SPOT_COLUMNS.items()}
            row["track_id"] = track_of[spot.get("ID")]
            rows.append(row)
    table = pd.DataFrame(rows, columns=[*SPOT_COLUMNS, "track_id"])
    table = table.astype({"id": int, "frame": int})
    return table.sort_values("frame", kind="stable")


def repack_dsb2018(archive: pathlib.Path, out: pathlib.Path) -> None:
    """Grey images on dark ground, and one label image each: the number of a nucleus is the rank of its mask's name.

    Raises:
        InputRefused: the folder does not hold ID/images/ID.png and ID/masks/.
    """
    images = sorted(archive.glob("*/images/*.png"))
    if not images:
        raise InputRefused(f"{archive}: no ID/images/ID.png in it; name the folder stage1_train as it was unpacked")
    for name in ("images", "labels"):
        (out / name).mkdir(parents=True, exist_ok=True)
    for path in tqdm(images, desc="images", unit="image"):
        image = iio.imread(path)
        if not _grey_on_dark(image) or image.shape[:2] == FROM_BBBC039:
            continue
        masks = sorted((path.parents[1] / "masks").glob("*.png"))
        labels = np.zeros(image.shape[:2], np.uint16)
        for number, mask in enumerate(masks, start=1):
            labels[_plane(iio.imread(mask)) > 0] = number
        (out / "images" / path.name).write_bytes(path.read_bytes())
        iio.imwrite(out / "labels" / path.name, labels)


def _grey_on_dark(image) -> bool:
    """Whether red, green and blue agree, and most of the image is dark."""
    colours = image[..., :3]
    if (colours != colours[..., :1]).any():
        return False
    return bool(np.median(colours) < np.iinfo(image.dtype).max / 2)


def _plane(mask):
    return mask if mask.ndim == 2 else mask[..., 0]


REPACK = {"fucci_hacat": repack_fucci_hacat, "dsb2018": repack_dsb2018}


def main() -> int:
    """Repack what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=REPACK)
    parser.add_argument("archive", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    arguments = parser.parse_args()
    try:
        REPACK[arguments.name](arguments.archive, arguments.out)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
