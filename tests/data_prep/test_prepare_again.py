"""Preparing again: after an interruption, with another split, or over a finished data set."""


import pandas as pd
import pytest

from cellcycle_jax import files, openings, schema
from cellcycle_jax.errors import UsageError
from data_prep.fields_to_cells import all_fields, one_field
from data_prep.prepare import prepare
from tests.data_prep.small_preparation import small_config


def test_finished_data_set_is_not_overwritten_unasked(prepared, simulated_fields):
    with pytest.raises(UsageError, match="--overwrite"):
        prepare(small_config(), simulated_fields, prepared)


@pytest.mark.usefixtures("unrendered")
def test_fields_that_were_opened_as_test_fields_are_known_when_they_are_dealt_out_anew(simulated_fields, tmp_path):
    config = small_config()
    prepare(config, simulated_fields, tmp_path)
    first = files.read_json(tmp_path / "provenance.json")
    openings.add(tmp_path, "run1", 30, first["splits_of_pictures"])
    config.split.seed = 1
    prepare(config, simulated_fields, tmp_path, overwrite=True)
    second = files.read_json(tmp_path / "provenance.json")
    was_test = {field for field, splits in first["splits_of_pictures"].items() if splits == ["test"]}
    is_test = {field for field, splits in second["splits_of_pictures"].items() if splits == ["test"]}
    assert was_test - is_test and is_test - was_test
    assert [note for note in second["notes"] if note.startswith("Since then its fields were dealt out anew: ")] == [
        f"Since then its fields were dealt out anew: {len(was_test - is_test)} that were test fields are in train or "
        f"validation now, and {len(is_test - was_test)} of {len(is_test)} test fields were in train or validation then."
    ]


@pytest.mark.usefixtures("unrendered")
def test_interrupted_run_goes_on_where_it_was(some_fields, tmp_path, monkeypatch):
    calls, real = [], all_fields.extract_field

    def failing(file, preprocessing):
        calls.append(file.field_id)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(file, preprocessing)

    monkeypatch.setattr(all_fields, "extract_field", failing)
    with pytest.raises(KeyboardInterrupt):
        prepare(small_config(), some_fields, tmp_path / "out")
    assert not (tmp_path / "out" / "provenance.json").exists()
    assert prepare(small_config(), some_fields, tmp_path / "out") == 0
    assert len(calls) == 11  # ten fields, one of them interrupted and done again
    prepare(small_config(), some_fields, tmp_path / "straight")
    pd.testing.assert_frame_equal(*(pd.read_parquet(tmp_path / o / "cells.parquet") for o in ("out", "straight")))


def test_nothing_unfinished_is_left_behind(some_fields, tmp_path):
    old = tmp_path / "out" / ".work-of-another-config"
    old.mkdir(parents=True)
    (old / "field.npz").write_text("")
    prepare(small_config(), some_fields, tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"cells.parquet", "tfds", "qc", "provenance.json"}
    assert [p.name for p in (tmp_path / "out" / "tfds").iterdir()] == ["cells"]


@pytest.mark.usefixtures("unrendered")
def test_kept_fields_serve_another_split_and_other_labels_without_being_read_again(some_fields, tmp_path, monkeypatch):
    out = tmp_path / "out"
    prepare(small_config(), some_fields, out, keep=True)
    first = pd.read_parquet(out / "cells.parquet")
    assert len(list(out.glob(".work-*"))) == 1
    monkeypatch.setattr(one_field.measure, "measure_cells", lambda *_: pytest.fail("a field was measured again"))
    changed = small_config()
    changed.split.seed, changed.labels.abstain, changed.quality.min_solidity = 5, 0.2, 0.95
    prepare(changed, some_fields, out, overwrite=True)
    second = pd.read_parquet(out / "cells.parquet")
    pd.testing.assert_series_equal(first[schema.NUCLEAR_AREA], second[schema.NUCLEAR_AREA])
    assert (first[schema.SPLIT] != second[schema.SPLIT]).any()
    assert (first[schema.REJECT_REASON] != second[schema.REJECT_REASON]).any()
    assert not list(out.glob(".work-*"))
