"""Copies of fields in another split, which are found by their cells, and fields that only look alike."""

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.schema import Working
from data_prep.dataset import same_cells

SIDE = 512.0
CELLS = 40


def make_fields(n, rng, cells=CELLS):
    """Cells at random places of n fields, with nuclei of all sizes and shapes."""
    number = n * cells
    mean = rng.lognormal(5, 0.4, number)
    return pd.DataFrame({
        schema.FIELD: np.repeat([f"f{k:03d}" for k in range(n)], cells),
        schema.CENTRE_Y: rng.uniform(0, SIDE, number),
        schema.CENTRE_X: rng.uniform(0, SIDE, number),
        schema.NUCLEAR_AREA: rng.lognormal(5, 0.25, number),
        "Nuclei_AreaShape_Eccentricity": rng.uniform(0.2, 0.8, number),
        "Nuclei_AreaShape_FormFactor": rng.normal(0.85, 0.05, number),
        "Nuclei_Intensity_MeanIntensity_DNA": mean,
        "Nuclei_Intensity_StdIntensity_DNA": mean * rng.normal(0.3, 0.05, number),
        Working.TOUCHES_BORDER: False,
    })


def in_two_splits(fields, copies):
    """Fields of training, and copies of them of the test split."""
    copies = copies.assign(**{schema.FIELD: "copy_of_" + copies[schema.FIELD], schema.SPLIT: "test"})
    return pd.concat([fields.assign(**{schema.SPLIT: "train"}), copies], ignore_index=True)


def turned(cells):
    return cells.assign(**{schema.CENTRE_Y: SIDE - 1 - cells[schema.CENTRE_X], schema.CENTRE_X: cells[schema.CENTRE_Y]})


def mirrored(cells):
    return cells.assign(**{schema.CENTRE_X: SIDE - 1 - cells[schema.CENTRE_X]})


def shifted(cells):
    moved = cells.assign(**{schema.CENTRE_X: cells[schema.CENTRE_X] - 200})
    return moved[moved[schema.CENTRE_X] > 0]


def brightened(cells):
    times = {name: 1.7 * cells[name] for name in cells if "Intensity" in name}
    return cells.assign(**times)


def measured_again(cells):
    rng = np.random.default_rng(5)
    places = {name: cells[name] + rng.normal(0, 0.5, len(cells)) for name in (schema.CENTRE_Y, schema.CENTRE_X)}
    return cells.assign(**places, **{schema.NUCLEAR_AREA: cells[schema.NUCLEAR_AREA] * rng.normal(1, 0.01, len(cells))})


CHANGES = [lambda cells: cells, turned, mirrored, shifted, brightened, measured_again,
           lambda cells: mirrored(turned(turned(shifted(measured_again(cells)))))]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_of_each_field_is_found_and_nothing_else(change):
    fields = make_fields(12, np.random.default_rng(0))
    found = same_cells.shared(in_two_splits(fields, change(fields)), "DNA", None)
    assert {pair.fields for pair in found} == {(f"copy_of_f{k:03d}", f"f{k:03d}") for k in range(12)}
    assert {pair.splits for pair in found} == {("test", "train")}
    assert all(pair.cells > 12 for pair in found)


def test_fields_without_a_copy_share_nothing():
    rng = np.random.default_rng(0)
    fields = make_fields(200, rng)
    of_field = rng.choice(schema.SPLITS, 200)
    splits = fields.assign(**{schema.SPLIT: np.repeat(of_field, CELLS)})
    assert same_cells.shared(splits, "DNA", None) == []


def test_a_copy_in_the_same_split_or_of_a_divided_field_leaks_nothing():
    fields = make_fields(4, np.random.default_rng(0))
    both = in_two_splits(fields, fields)
    assert same_cells.shared(both.assign(**{schema.SPLIT: "train"}), "DNA", None) == []
    divided = both.assign(**{schema.FIELD: both[schema.FIELD].str.removeprefix("copy_of_")})
    assert same_cells.shared(divided, "DNA", None) == []


def test_sites_that_overlap_share_the_cells_of_the_strip():
    scene = make_fields(1, np.random.default_rng(3), cells=120)
    left = scene[scene[schema.CENTRE_X] < 300]
    right = scene[scene[schema.CENTRE_X] > 220]
    right = measured_again(right.assign(**{schema.CENTRE_X: right[schema.CENTRE_X] - 220}))
    [pair] = same_cells.shared(in_two_splits(left, right), "DNA", None)
    strip = scene[schema.CENTRE_X].between(220, 300).sum()
    assert 0.7 * strip <= pair.cells <= strip


def test_cells_in_a_grid_are_no_copies_though_many_come_to_lie_on_each_other():
    rng = np.random.default_rng(1)
    fields = make_fields(120, rng, cells=100)
    step = SIDE / 10
    grid = {schema.CENTRE_Y: np.tile(np.arange(100) // 10 * step, 120) + rng.normal(0, 0.5, 12000),
            schema.CENTRE_X: np.tile(np.arange(100) % 10 * step, 120) + rng.normal(0, 0.5, 12000)}
    fields = fields.assign(**grid, **{schema.SPLIT: np.repeat(rng.choice(schema.SPLITS, 120), 100)})
    assert same_cells.shared(fields, "DNA", None) == []
    copies = fields[fields[schema.FIELD] == "f000"].assign(**{schema.SPLIT: "validation"})
    alone = fields[fields[schema.FIELD] == "f000"]
    [pair] = same_cells.shared(in_two_splits(alone, turned(copies)), "DNA", None)
    assert pair.cells >= 95


def test_beads_that_all_look_alike_say_nothing_wherever_they_lie():
    rng = np.random.default_rng(1)
    fields = make_fields(9, rng, cells=9)
    same = dict.fromkeys((schema.NUCLEAR_AREA, "Nuclei_Intensity_MeanIntensity_DNA"), 100.0)
    same |= {"Nuclei_AreaShape_Eccentricity": 0.1, "Nuclei_AreaShape_FormFactor": 0.9,
             "Nuclei_Intensity_StdIntensity_DNA": 30.0}
    down, across = np.divmod(np.tile(np.arange(9), 9), 3)
    grid = {schema.CENTRE_Y: 200.0 * down, schema.CENTRE_X: 200.0 * across}
    beads = fields.assign(**same, **grid, **{schema.SPLIT: np.repeat(schema.SPLITS * 3, 9)})
    assert same_cells.often_alike(same_cells.look(beads, "DNA"), beads[schema.FIELD].to_numpy(str)) == 1
    assert same_cells.shared(beads, "DNA", None) == []
    assert same_cells.often_alike(same_cells.look(fields, "DNA"), fields[schema.FIELD].to_numpy(str)) < 0.01


class Pictures:
    """Pictures of which it is known how alike they are: `same` of one cell in two fields, `other` of two cells."""

    def __init__(self, same, other=0.7):
        self.same = same
        self.other = other

    def likeness(self, field, cells, other_field, other_cells, turn):
        is_same = np.array([cell.split("/")[-1] for cell in cells]) == [cell.split("/")[-1] for cell in other_cells]
        return np.where(is_same, self.same, self.other)


def two_cells_in_both():
    """Fields of two splits, of which one pair shares two cells: too few for their places to tell."""
    rng = np.random.default_rng(2)
    fields = make_fields(12, rng).assign(**{schema.SPLIT: np.repeat(["train"] * 6 + ["test"] * 6, CELLS)})
    fields[schema.CELL_ID] = [f"c{n}" for n in range(len(fields))]
    strip = fields[fields[schema.FIELD] == "f000"].iloc[:2]
    moved = strip.assign(**{
        schema.FIELD: "f011",
        schema.SPLIT: "test",
        schema.CELL_ID: "again/" + strip[schema.CELL_ID],
        schema.CENTRE_X: strip[schema.CENTRE_X] + 20.0,
    })
    return pd.concat([fields, moved], ignore_index=True)


def test_of_two_cells_that_agree_the_pictures_decide():
    fields = two_cells_in_both()
    assert same_cells.shared(fields, "DNA", None) == []
    [pair] = same_cells.shared(fields, "DNA", Pictures(same=0.98))
    assert (set(pair.fields), pair.cells) == ({"f000", "f011"}, 2)
    assert same_cells.shared(fields, "DNA", Pictures(same=0.94)) == []
    assert same_cells.shared(fields, "DNA", Pictures(same=np.nan)) == []  # cells without a crop


class Given:
    """Pictures whose likeness is listed, for the cells of one agreement, and 0.5 for all others."""

    def __init__(self, alike):
        self.alike = np.array(alike)

    def likeness(self, field, cells, other_field, other_cells, turn):
        return self.alike if len(cells) == len(self.alike) else np.full(len(cells), 0.5)


@pytest.mark.parametrize(
    ("alike", "is_same"),
    [
        ([0.96, 0.96], True),
        ([0.96, np.nan], False),  # of one cell it may be chance
        ([0.96, 0.96, 0.5, 0.5, 0.5], False),  # most are other cells
        ([0.96, 0.96, 0.96, 0.5, 0.5], True),
        ([0.96, 0.96, np.nan, np.nan, np.nan], True),
        ([0.94, 0.94, 0.94], False),
    ],
)
def test_two_pictures_and_half_of_those_that_agree_have_to_be_the_same(alike, is_same):
    rng = np.random.default_rng(0)
    cells = pd.DataFrame({schema.CELL_ID: [f"c{n}" for n in range(2000)]})
    fields = np.repeat(["f0", "f1"], 1000)
    agree = np.arange(len(alike))
    others = np.column_stack([rng.integers(10, 1000, 5000), rng.integers(1010, 2000, 5000)])
    candidates = np.concatenate([np.column_stack([agree, agree + 1000]), others])
    motion = same_cells.Motion(same_cells.TURNS[0], np.zeros(2), len(alike))
    agreement = same_cells.Agreement(("f0", "f1"), motion, len(candidates), agree, agree + 1000)
    found = same_cells._same_by_pictures([agreement], candidates, cells, fields, Given(alike))
    assert found.tolist() == [is_same]


@pytest.mark.parametrize(
    ("cells", "meeting", "often", "is_same"),
    [
        (6, 6, 1e-3, True),
        (6, 6, 0.3, False),  # most cells look alike
        (6, 13, 1e-3, False),  # most that meet do not
        (3, 3, 1e-4, False),  # three may agree in a place by chance, however they look
        (2, 2, 1e-9, False),
    ],
)
def test_places_and_looks_have_to_be_no_chance(cells, meeting, often, is_same):
    motion = same_cells.Motion(same_cells.TURNS[0], np.zeros(2), cells)
    agreement = same_cells.Agreement(("f0", "f1"), motion, 20, np.arange(cells), np.arange(cells))
    assert same_cells._same_by_places(agreement, meeting, n_pairs=1000, area=SIDE**2, often=often) == is_same


def test_where_all_pictures_are_alike_they_say_nothing():
    assert same_cells.shared(two_cells_in_both(), "DNA", Pictures(same=0.98, other=0.98)) == []


def test_many_cells_that_agree_are_enough_where_there_are_no_crops():
    fields = make_fields(4, np.random.default_rng(0))
    fields[schema.CELL_ID] = [f"c{n}" for n in range(len(fields))]
    found = same_cells.shared(in_two_splits(fields, turned(fields)), "DNA", Pictures(same=np.nan, other=np.nan))
    assert len(found) == 4


def test_cells_at_the_border_and_unmeasured_ones_do_not_count():
    fields = make_fields(3, np.random.default_rng(0))
    both = in_two_splits(fields, fields)
    assert same_cells.shared(both.assign(**{Working.TOUCHES_BORDER: True}), "DNA", None) == []
    assert same_cells.shared(both.assign(**{schema.NUCLEAR_AREA: np.nan}), "DNA", None) == []
    flat = both.assign(**{"Nuclei_Intensity_StdIntensity_DNA": 0.0})
    assert same_cells.shared(flat, "DNA", None) == []


def test_the_message_names_the_fields_their_splits_and_what_to_do():
    fields = make_fields(5, np.random.default_rng(0))
    with pytest.raises(InputRefused) as refused:
        same_cells.refuse_shared(in_two_splits(fields, turned(fields)), "DNA", None)
    message = str(refused.value)
    assert message.startswith("the same cells are in two splits: copy_of_f")
    assert "(test) and f" in message and "(train) share 40; " in message and "and 2 more pairs" in message
    assert message.endswith("split by well (--config.split.by=well)")
    same_cells.refuse_shared(fields.assign(**{schema.SPLIT: "train"}), "DNA", None)


def test_the_bound_of_chance_is_that_of_shifts_drawn_at_random():
    rng = np.random.default_rng(0)
    side, pairs, draws = 60.0, 6, 4000
    hits = 0
    for _ in range(draws):
        shifts = rng.uniform(0, 2 * side, (pairs, 2))
        distance = np.hypot(*(shifts[:, None] - shifts[None]).transpose(2, 0, 1))
        hits += ((distance < same_cells.NEAR_PX).sum(1) >= 2).any()
    expected = same_cells.by_chance(2, pairs, side**2) / len(same_cells.TURNS)
    assert hits / draws <= expected <= 4 * hits / draws
