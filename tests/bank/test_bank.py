"""Measurements of the bank, of cells that are drawn so that the answer is known."""

import numpy as np
import pytest

from cellcycle_jax.bank import bank
from cellcycle_jax.bank.cells import Cells

SIDE = 61
MIDDLE = SIDE // 2
CHANNELS = ("DNA", "Golgi", "EB1")
ROWS, COLUMNS = np.indices((SIDE, SIDE)) - MIDDLE
DISTANCE = np.hypot(ROWS, COLUMNS)
NUCLEUS = np.hypot(ROWS, COLUMNS / 1.3) <= 9  # its long axis lies along the columns
BODY = DISTANCE <= 26


def spot(row, column, sigma=1.5):
    return np.exp(-((ROWS - row) ** 2 + (COLUMNS - column) ** 2) / (2 * sigma**2))


def measured(dna=None, golgi=None, eb1=None) -> dict:
    """Values of one drawn cell, by name: a flat nucleus, a Golgi to its right and nothing else, if not said."""
    planes = [
        NUCLEUS.astype(float) if dna is None else dna,
        spot(0, 17, 3) if golgi is None else golgi,
        np.full((SIDE, SIDE), 0.2) if eb1 is None else eb1,
    ]
    cells = Cells(
        images=np.stack(planes, axis=-1)[None].astype(np.float32),
        nucleus=NUCLEUS[None],
        cytoplasm=(BODY & ~NUCLEUS)[None],
        other_nuclei=np.zeros((1, SIDE, SIDE), bool),
        channels=CHANNELS,
        um_per_px=0.5,
    )
    with np.errstate(all="ignore"):
        return {one.name: float(one.values[0]) for one in bank.measure(cells)}


def test_a_nucleus_that_is_brighter_towards_the_golgi_is_shifted_towards_it():
    towards = measured(dna=NUCLEUS * (1 + 0.02 * COLUMNS))
    away = measured(dna=NUCLEUS * (1 - 0.02 * COLUMNS))
    name = "Nuclei_Side_TowardsGolgi_DNA"
    # The mean of x weighted by 1 + a x over an ellipse of half axis A is a A^2 / 4.
    radius = np.sqrt(NUCLEUS.sum() / np.pi)
    assert towards[name] == pytest.approx(0.02 * (9 * 1.3) ** 2 / 4 / radius, rel=0.05)
    assert away[name] == pytest.approx(-towards[name], rel=1e-6)


def test_a_flat_nucleus_is_shifted_nowhere():
    assert measured()["Nuclei_Side_Any_DNA"] == pytest.approx(0, abs=1e-6)


def test_spots_in_line_with_the_golgi_lie_along_its_line_and_others_across():
    along = measured(eb1=spot(0, 20) + spot(0, -20))
    across = measured(eb1=spot(20, 0) + spot(-20, 0))
    name = "Cells_Line_AlongGolgi_EB1"
    assert along[name] == pytest.approx(1, abs=0.1)
    assert across[name] == pytest.approx(-1, abs=0.1)


def test_rays_run_outward_and_rings_around():
    angle = np.arctan2(ROWS, COLUMNS)
    rays = measured(eb1=1 + np.cos(18 * angle))
    rings = measured(eb1=1 + np.cos(2 * np.pi * DISTANCE / 6))
    name = "Cells_Pattern_Outward0.8px_EB1"
    assert rays[name] > 0.9
    assert rings[name] < -0.9


def test_stripes_along_the_nucleus_run_along_its_long_axis():
    along = measured(dna=NUCLEUS * (1 + 0.5 * np.cos(2 * np.pi * ROWS / 5)))
    across = measured(dna=NUCLEUS * (1 + 0.5 * np.cos(2 * np.pi * COLUMNS / 5)))
    name = "Nuclei_Pattern_AlongLongAxis0.8px_DNA"
    assert along[name] > 0.8
    assert across[name] < -0.8


def test_the_pattern_of_a_cell_does_not_change_when_its_crop_is_turned():
    dna = NUCLEUS * (1 + 0.01 * COLUMNS + 0.3 * np.cos(2 * np.pi * (ROWS + COLUMNS) / 7))
    eb1 = 0.2 + spot(18, 8) + spot(-15, 12) + spot(4, -20)
    upright = measured(dna=dna, eb1=eb1)
    planes = [np.rot90(plane) for plane in (dna, spot(0, 17, 3), eb1)]
    turned = Cells(
        images=np.stack(planes, axis=-1)[None].astype(np.float32),
        nucleus=np.rot90(NUCLEUS)[None],
        cytoplasm=np.rot90(BODY & ~NUCLEUS)[None],
        other_nuclei=np.zeros((1, SIDE, SIDE), bool),
        channels=CHANNELS,
        um_per_px=0.5,
    )
    with np.errstate(all="ignore"):
        values = {one.name: float(one.values[0]) for one in bank.measure(turned)}
    for name, value in upright.items():
        if "_Skeleton_" in name:  # thinning takes pixels off in an order of its own
            continue
        assert values[name] == pytest.approx(value, rel=2e-2, abs=2e-2, nan_ok=True), name


def test_two_stains_at_the_same_sites_are_correlated_and_at_others_not():
    sites = spot(18, 8) + spot(-15, 12) + spot(4, -20)
    elsewhere = spot(-18, -8) + spot(15, -12) + spot(20, 4)
    name = "Cells_Together_Detail1WithEB1_Golgi"
    assert measured(golgi=sites, eb1=sites)[name] == pytest.approx(1, abs=1e-5)
    assert measured(golgi=sites, eb1=elsewhere)[name] < 0.1


def test_pairs_of_spots_are_correlated_at_their_distance():
    paired = sum(spot(y, x, 1.0) + spot(y, x + 6, 1.0) for y, x in ((18, -4), (-18, -3), (-3, -22), (12, 14)))
    values = measured(eb1=0.2 + paired)
    assert values["Cells_Spacing_6px_EB1"] > values["Cells_Spacing_4px_EB1"]
    assert values["Cells_Spacing_6px_EB1"] > values["Cells_Spacing_10px_EB1"]
    assert values["Cells_Spots_Number_EB1"] == 8
    assert values["Cells_Spots_Nearest_EB1"] == pytest.approx(6 * 0.5, rel=0.05)


def test_names_are_each_there_once_and_say_channel_region_and_formula():
    cells = Cells(
        images=np.zeros((2, SIDE, SIDE, 3), np.float32),
        nucleus=np.stack([NUCLEUS] * 2),
        cytoplasm=np.stack([BODY & ~NUCLEUS] * 2),
        other_nuclei=np.zeros((2, SIDE, SIDE), bool),
        channels=CHANNELS,
        um_per_px=0.5,
    )
    with np.errstate(all="ignore"):
        everything = bank.measure(cells)
    names = [one.name for one in everything]
    assert len(set(names)) == len(names) > 300
    for one in everything:
        assert one.formula and one.words and one.region in ("nucleus", "cytoplasm")
        assert one.values.shape == (2,)
        assert set(one.channels) <= set(CHANNELS)
