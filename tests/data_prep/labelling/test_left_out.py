"""Which class loses cells to quality control, on tables whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from configs import base
from data_prep.labelling import left_out

CLASSES = ("G1/S", "G2")


def config(method="column"):
    c = base.preparation()
    c.labels.method = method
    c.labels.column = "Said"
    return c


def objects(share_of_g2, share_of_g1, fields=12, of_class=40, reason="out_of_focus", seed=0):
    """Objects of fields, of which a share of each class is excluded, and one each that says nothing of its class."""
    rng = np.random.default_rng(seed)
    rows = []
    for field in range(fields):
        for name, share in zip(CLASSES, (share_of_g1, share_of_g2), strict=True):
            for _ in range(of_class):
                why = reason if rng.random() < share else ""
                rows.append((f"f{field}", why, name, "" if why else name))
        rows.append((f"f{field}", "border", "G2", ""))
        rows.append((f"f{field}", "mitotic", "G2", ""))
        rows.append((f"f{field}", "small", "dirt", ""))
    return pd.DataFrame(rows, columns=[schema.GROUP, schema.REJECT_REASON, "Said", schema.LABEL])


def doubts_of(table):
    chosen = config()
    return left_out.doubts(left_out.classes_of_excluded(table, chosen.channels, chosen.labels), CLASSES)


def test_cells_are_counted_by_class_and_reason():
    chosen = config()
    table = objects(0.0, 0.0, fields=4, of_class=10)
    table.loc[[0, 1, 10], [schema.REJECT_REASON, schema.LABEL]] = ["ragged", ""]
    cells = left_out.classes_of_excluded(table, chosen.channels, chosen.labels)
    assert len(cells) == 4 * 21  # neither at the border nor mitotic
    nothing = dict.fromkeys(left_out.REASONS, 0)
    assert left_out.counts(cells, CLASSES) == {
        "G1/S": {"used": 38, **nothing, "ragged": 2},
        "G2": {"used": 39, **nothing, "ragged": 1},
    }


def test_a_class_that_loses_many_more_cells_is_doubted():
    [doubt] = doubts_of(objects(0.3, 0.05))
    assert doubt.startswith("Quality control excludes ") and "that would be G2, most as out_of_focus, and" in doubt
    [doubt] = doubts_of(objects(0.05, 0.3))
    assert "of the cells that would be G1/S" in doubt


@pytest.mark.parametrize("seed", range(5))
def test_classes_that_lose_alike_are_not(seed):
    assert doubts_of(objects(0.3, 0.3, seed=seed)) == []


def test_few_points_more_are_not_doubted_and_few_groups_cannot_be():
    assert doubts_of(objects(0.1, 0.02, of_class=400)) == []
    assert doubts_of(objects(0.5, 0.0, fields=left_out.LEAST_GROUPS - 1)) == []
    assert doubts_of(objects(0.5, 0.0, fields=left_out.LEAST_GROUPS))


def test_one_field_out_of_focus_is_no_class():
    table = objects(0.0, 0.0, fields=8)
    of_field = (table[schema.GROUP] == "f0") & (table[schema.LABEL] == "G2")
    table.loc[of_field, [schema.REJECT_REASON, schema.LABEL]] = ["out_of_focus", ""]
    assert doubts_of(table) == []  # 40 of 320 cells of G2 are excluded, all in one of eight fields


def test_excluded_cells_have_the_class_of_their_marker():
    rng = np.random.default_rng(0)
    is_high = rng.random(600) < 0.4
    chosen = config("marker")
    chosen.channels.markers = ("CENPF",)
    table = pd.DataFrame({
        schema.PLATE: "p1",
        schema.GROUP: rng.choice([f"f{i}" for i in range(10)], 600),
        schema.REJECT_REASON: np.where(is_high & (rng.random(600) < 0.5), "saturated", ""),
        schema.LABEL: np.where(is_high, "G2", "G1/S"),
        "Nuclei_Intensity_MeanIntensity_CENPF": np.exp2(np.where(is_high, 10, 6) + rng.normal(0, 0.3, 600)),
    })
    cells = left_out.classes_of_excluded(table, chosen.channels, chosen.labels)
    assert (cells["class"] == np.where(is_high, "G2", "G1/S")).mean() > 0.99
    [doubt] = left_out.doubts(cells, CLASSES)
    assert "that would be G2, most as saturated" in doubt


@pytest.mark.parametrize("method", ["none", "my_package.labels:mine"])
def test_nothing_is_said_without_labels_or_of_a_method_of_the_users_own(method):
    chosen = config(method)
    cells = left_out.classes_of_excluded(objects(0.5, 0.0), chosen.channels, chosen.labels)
    assert left_out.counts(cells, CLASSES) == {} and left_out.doubts(cells, CLASSES) == []
