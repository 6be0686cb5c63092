"""Measurements of the bank as columns of the table of cells: `measurements = ("cellcycle_jax.bank.columns:NAME",)`.

NAME is that of a measurement, such as Nuclei_Side_TowardsGolgi_DNA. The function of that name is made when it is asked
for. It cuts the cells out of a field as it is, at the field's own scale.
"""

import numpy as np

from cellcycle_jax.bank import bank
from cellcycle_jax.bank.cells import Cells

MARGIN = 2.2  # nuclear radii around each nucleus that are cut out


def __getattr__(name: str):
    """A function of a field, as `data_prep.measurement.measure.measure_cells` calls it, that measures NAME."""
    if name.startswith("_") or "_" not in name:
        raise AttributeError(name)

    def measured(field) -> dict[str, np.ndarray]:
        """{NAME: f64 [n]} of the n nuclei of a field."""
        values = {one.name: one.values for one in bank.measure(cells_of_field(field))}
        if name not in values:
            raise ValueError(f"the bank has no measurement {name} of the channels {', '.join(field.channels)}")
        return {name: values[name]}

    return measured


def cells_of_field(field) -> Cells:
    """The cells of a field whose cells are measured, in the order of `np.unique` of its labels.

    Args:
        field: with image f32 [H, W, C], labels and bodies i32 [H, W], channels and pixel_um.
    """
    numbers = np.unique(field.labels)
    numbers = numbers[numbers > 0]
    areas = np.bincount(field.labels.ravel())[numbers]
    half = int(np.ceil(MARGIN * 2 * np.sqrt(np.median(areas) / np.pi)))
    image = np.pad(field.image, ((half, half), (half, half), (0, 0)))
    labels = np.pad(field.labels, half)
    bodies = np.pad(field.bodies, half)
    rows, columns = np.nonzero(field.labels)
    owner = field.labels[rows, columns]
    count = np.bincount(owner)
    centre_row = np.bincount(owner, rows)[numbers] / count[numbers]
    centre_column = np.bincount(owner, columns)[numbers] / count[numbers]
    side = 2 * half + 1
    images = np.empty((len(numbers), side, side, image.shape[2]), np.float32)
    own_labels = np.empty((len(numbers), side, side), np.int32)
    own_bodies = np.empty((len(numbers), side, side), np.int32)
    for n, (row, column) in enumerate(zip(np.rint(centre_row).astype(int), np.rint(centre_column).astype(int),
                                          strict=True)):
        window = np.s_[row : row + side, column : column + side]
        images[n] = image[window]
        own_labels[n] = labels[window]
        own_bodies[n] = bodies[window]
    number = numbers[:, None, None]
    nucleus = own_labels == number
    others = (own_labels > 0) & ~nucleus
    return Cells(
        images=images,
        nucleus=nucleus,
        cytoplasm=(own_bodies == number) & (own_labels == 0),
        other_nuclei=others,
        channels=tuple(field.channels),
        um_per_px=field.pixel_um or 1.0,
    )
