import itertools

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused, UsageError
from data_prep.dataset import split


def table(lines=("HeLa", "RPE1"), wells=10, sites=2, cells=5):
    rows = [{schema.CELL_LINE: line, schema.PLATE: f"{line}-P", schema.WELL: f"A{w:02d}", schema.FIELD: f"{line}{w}{s}",
             schema.LABEL: "AB"[c % 2]}
            for line in lines for w in range(wells) for s in range(sites) for c in range(cells)]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("by", ["field", "well"])
def test_no_group_is_in_two_splits_and_every_line_is_in_all(by):
    rows = table()
    rows[schema.GROUP] = split.groups(rows, by)
    rows[schema.SPLIT] = split.assign(rows, by, (0.6, 0.2, 0.2), 0)
    assert rows.groupby(schema.GROUP)[schema.SPLIT].nunique().max() == 1
    counts = rows.groupby([schema.CELL_LINE, schema.SPLIT])[schema.GROUP].nunique().unstack()
    groups = 20 if by == "field" else 10
    assert counts["train"].tolist() == [0.6 * groups] * 2 and counts["test"].tolist() == [0.2 * groups] * 2


def test_wells_of_the_same_name_on_two_plates_are_two_groups():
    rows = table()
    assert split.groups(rows, "well").nunique() == 20


def plates_of(plates, wells, fields, lines=("HeLa",)):
    """Cells of which each split holds fields of that many plates, with that many wells on each."""
    rows = []
    for line, part, p, w, f in itertools.product(lines, schema.SPLITS, range(plates), range(wells), range(fields)):
        names = {schema.PLATE: f"{line}{p}", schema.WELL: f"A{w}", schema.FIELD: f"{line}{p}{w}{f}{part}"}
        rows.append({schema.CELL_LINE: line, schema.SPLIT: part, **names})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("plates", "wells", "by", "unit"),
    [(4, 1, "field", "plate"), (3, 2, "field", "well"), (3, 1, "field", "field"), (1, 3, "field", "field"),
     (4, 2, "well", "plate"), (3, 2, "well", "well"), (5, 1, "plate", "plate"), (5, 1, "cell_line", "cell_line"),
     (1, 4, "track", "well"), (2, 1, "block", "block")],
)
def test_intervals_leave_out_the_largest_unit_of_which_there_are_four(plates, wells, by, unit):
    assert split.interval_unit(plates_of(plates, wells, 2), by) == unit


def test_the_line_and_the_split_with_the_fewest_plates_decide():
    rows = plates_of(4, 1, 2, ("HeLa", "RPE1"))
    assert split.interval_unit(rows, "field") == "plate"
    fewer = (rows[schema.PLATE] == "RPE13") & (rows[schema.SPLIT] == "validation")
    assert split.interval_unit(rows[~fewer], "field") == "field"
    assert split.interval_unit(rows[:0], "field") == "field"


def test_lines_that_are_plates_are_no_plates_to_leave_out():
    rows = table(("a", "b", "c", "d", "e"), sites=1).assign(**{schema.SPLIT: "train"})
    assert split.interval_unit(rows[rows[schema.WELL] < "A03"], "field") == "field"


def test_seed_decides_and_row_order_does_not():
    rows = table()
    rows[schema.GROUP] = split.groups(rows, "field")
    one = split.assign(rows, "field", (0.6, 0.2, 0.2), 0)
    shuffled = rows.sample(frac=1, random_state=1)
    pd.testing.assert_series_equal(one, split.assign(shuffled, "field", (0.6, 0.2, 0.2), 0).sort_index())
    assert (one != split.assign(rows, "field", (0.6, 0.2, 0.2), 1)).any()


def test_splitting_by_line_deals_out_whole_lines():
    rows = table(lines=("A", "B", "C"))
    rows[schema.GROUP] = split.groups(rows, "cell_line")
    rows[schema.SPLIT] = split.assign(rows, "cell_line", (0.4, 0.3, 0.3), 0)
    assert rows.groupby(schema.CELL_LINE)[schema.SPLIT].nunique().max() == 1
    assert set(rows[schema.SPLIT]) == set(schema.SPLITS)


def test_too_few_groups_are_refused_with_the_line():
    rows = table(wells=1)
    rows[schema.GROUP] = split.groups(rows, "well")
    with pytest.raises(InputRefused, match="HeLa.*1 group"):
        split.assign(rows, "well", (0.6, 0.2, 0.2), 0)


def test_the_same_picture_in_two_splits_is_refused_with_both_names():
    fields = pd.DataFrame({schema.FIELD: ["a", "b", "c"], schema.SPLIT: ["train", "test", "train"],
                           "_sha256": ["x", "x", "y"]})
    with pytest.raises(InputRefused, match=r"a \(train\), b \(test\)"):
        split.refuse_twins(fields)
    split.refuse_twins(fields.assign(_sha256=["x", "y", "x"]))  # a copy within one split leaks nothing


def test_fields_of_one_class_are_dealt_out_within_the_class():
    rows = table(lines=("Jurkat",), wells=20, sites=1)
    rows[schema.LABEL] = np.where(rows[schema.WELL] < "A04", "rare", "common")  # 4 and 16 wells
    rows[schema.GROUP] = split.groups(rows, "field")
    rows[schema.SPLIT] = split.assign(rows, "field", (0.6, 0.2, 0.2), 0)
    counts = rows.groupby([schema.LABEL, schema.SPLIT])[schema.GROUP].nunique().unstack()
    assert counts.loc["rare"].tolist() == [1, 2, 1]  # test, train, validation
    assert counts.loc["common"].sum() == 16 and counts.loc["common"].min() >= 3


def test_time_points_of_one_place_are_not_divided():
    rows = table(lines=("HeLa",), wells=4, sites=2).assign(**{schema.SITE: "", schema.TIME: ""})
    split.refuse_same_place(rows.drop_duplicates(schema.FIELD), "field")  # two sites whose names do not say so
    rows = table(lines=("HeLa",), wells=4, sites=1).assign(**{schema.SITE: "1"})
    rows, later = (rows.assign(**{schema.FIELD: rows[schema.FIELD] + t, schema.TIME: t}) for t in ("_t0", "_t1"))
    both = pd.concat([rows, later]).drop_duplicates(schema.FIELD)
    split.refuse_same_place(both, "well")
    with pytest.raises(UsageError, match="HeLa00_t1 and 3 more fields show a place .* use 'well'"):
        split.refuse_same_place(both, "field")


def test_cells_of_one_track_stay_together_and_others_go_with_their_field():
    rows = table(lines=("HaCaT",), wells=6, sites=1)
    rows[schema.TRACK] = [None if i % 5 == 4 else f"tree{i % 5}" for i in range(len(rows))]
    groups = split.groups(rows, "track")
    assert groups.tolist()[:5] == [*(f"HaCaT-P/tree{i}" for i in range(4)), "HaCaT-P/A00"]
    with pytest.raises(InputRefused, match="knows no track of a cell"):
        split.groups(rows.drop(columns=schema.TRACK), "track")


def given(rows, **by_well):
    """What a column says of wells A00, A01, ...: the split, "" for the others."""
    return rows[schema.WELL].map(lambda well: by_well.get(well, ""))


def test_given_splits_are_kept_and_the_rest_is_dealt_to_the_others():
    rows = table(lines=("HeLa",), wells=10, sites=1)
    rows[schema.GROUP] = split.groups(rows, "well")
    found = split.assign(rows, "well", (0.6, 0.2, 0.2), 0, given(rows, A00="test", A01="test"))
    where = dict(zip(rows[schema.WELL], found, strict=True))
    assert where["A00"] == where["A01"] == "test"
    assert sorted(where.values()) == ["test"] * 2 + ["train"] * 6 + ["validation"] * 2  # 8 wells, 3 : 1


@pytest.mark.parametrize("said, words", [
    ({"A00": "Train"}, "'Train' is no split; allowed: train, validation, test"),
    ({"A00": "train", "A01": "validation", "A02": "test"}, "says nothing of group 'HeLa-P/A03'"),
])
def test_a_column_that_names_no_split_or_not_all_groups_is_refused(said, words):
    rows = table(lines=("HeLa",), wells=10, sites=1)
    rows[schema.GROUP] = split.groups(rows, "well")
    with pytest.raises(InputRefused, match=words):
        split.assign(rows, "well", (0.6, 0.2, 0.2), 0, given(rows, **said))


def test_a_group_in_two_given_splits_is_refused():
    rows = table(lines=("HeLa",), wells=10, sites=2)
    rows[schema.GROUP] = split.groups(rows, "well")
    said = pd.Series(np.where(rows[schema.FIELD].str.endswith("1"), "test", "train"), rows.index)
    with pytest.raises(InputRefused, match="group 'HeLa-P/A00' is in two splits"):
        split.assign(rows, "well", (0.6, 0.2, 0.2), 0, said)


def test_copies_of_a_picture_that_is_divided_are_found():
    rows = pd.DataFrame({schema.FIELD: ["a", "a", "b", "b"], schema.SPLIT: ["train", "test"] * 2, "_sha256": "x"})
    with pytest.raises(InputRefused, match="the same image is in two splits"):
        split.refuse_twins(rows)
    split.refuse_twins(rows[rows[schema.FIELD] == "a"])  # one field by blocks is no copy


def test_blocks_are_ninths_of_a_field():
    rows = pd.DataFrame({schema.FIELD: "f", schema.CENTRE_Y: [0.0, 10, 59.9, 60, 89], "_height": 90,
                         schema.CENTRE_X: [0.0, 50, 99, 100, 149], "_width": 150})
    assert split.groups(rows, "block").tolist() == ["f/00", "f/01", "f/11", "f/22", "f/22"]


def test_a_line_whose_groups_are_all_given_needs_no_others():
    rows = table(wells=4, sites=1)
    rows[schema.GROUP] = split.groups(rows, "well")
    said = pd.Series(np.where(rows[schema.CELL_LINE] == "RPE1", "test", ""), rows.index)
    found = split.assign(rows, "well", (0.6, 0.2, 0.2), 0, said)
    assert set(found[rows[schema.CELL_LINE] == "RPE1"]) == {"test"}
    assert set(found[rows[schema.CELL_LINE] == "HeLa"]) == {"train", "validation"}
