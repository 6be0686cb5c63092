"""What is refused before any field is read. No file here could be read: all of them are empty."""

import pathlib

import pytest

from cellcycle_jax.errors import InputRefused, UsageError
from configs import base
from data_prep import prepare
from data_prep.fields_to_cells import all_fields
from data_prep.listing_checks import refuse_before_reading
from data_prep.reading.field import FieldFile


def config(**changes):
    chosen = base.preparation()
    chosen.update_from_flattened_dict({"channels.markers": ("CENPF",)} | changes)
    return chosen


def listed(n=6, **of_file):
    """Fields of one line and plate, each in a well of its own unless `of_file` says otherwise."""
    given = {"cell_line": "HeLa", "plate": "P1"} | of_file
    files = []
    for i in range(n):
        each = {key: value[i] if isinstance(value, (list, tuple)) and key != "extra" else value
                for key, value in given.items()}
        files.append(FieldFile((pathlib.Path(f"f{i}.tif"),), f"f{i}", **{"well": f"A{i}"} | each))
    return files


def refused(match, kind=UsageError, files=None, folder=".", **changes):
    with pytest.raises(kind, match=match):
        refuse_before_reading(config(**changes), listed() if files is None else files, folder)


def accepted(files=None, folder=".", **changes):
    refuse_before_reading(config(**changes), listed() if files is None else files, folder)


def test_markers_must_fit_the_way_of_labelling_and_the_advice_helps():
    refused("needs one marker channel", **{"channels.markers": ()})
    refused("needs one marker channel", **{"channels.markers": ("a", "b")})
    refused("needs two marker channels", **{"labels.method": "two_markers"})
    accepted(**{"labels.method": "none", "channels.markers": ()})
    accepted(**{"labels.method": "two_markers", "channels.markers": ("a", "b")})
    accepted()


def test_a_column_that_nothing_has_is_refused_with_those_that_there_are(tmp_path):
    by_column = {"labels.method": "column", "labels.column": "Stage", "channels.markers": ()}
    refused("labels.column='Stage': no such column; found: .*Well", **by_column)
    accepted(listed(extra=(("Stage", "x"),)), **by_column)
    accepted(**by_column | {"labels.column": "Well"})
    (tmp_path / "stages.csv").write_text("Well,Stage\nA1,G1\n")
    accepted(folder=tmp_path, **by_column | {"labels.table": "stages.csv"})
    refused("found: .*Drug", folder=tmp_path, files=listed(extra=(("Drug", "x"),)), **by_column)
    refused("cannot be read", InputRefused, folder=tmp_path, **by_column | {"labels.table": "none.csv"})
    refused("split.column='Part': no such column", **{"split.column": "Part"})
    accepted(listed(extra=(("Part", "train"),)), **{"split.column": "Part"})


def test_sources_of_their_own_may_know_more_columns_than_the_list():
    accepted(**{"source": "jurkat_ifc", "labels.method": "column", "labels.column": "SortedAs", "split.by": "track"})


@pytest.mark.parametrize(("by", "enough", "too_few"), [
    ("field", {"n": 3}, {"n": 2}),
    ("well", {"well": ["A1", "A1", "A1", "A2", "A3", "A3"]}, {"well": ["A1", "A2", "A1", "A2", "A1", "A2"]}),
    ("plate", {"plate": ["1", "2", "3", "1", "2", "3"]}, {"plate": ["1", "2", "2", "1", "2", "1"]}),
    ("cell_line", {"cell_line": ["a", "b", "c", "a", "b", "c"]}, {"cell_line": ["a", "b", "a", "b", "a", "b"]}),
])
def test_fewer_groups_than_splits_are_refused(by, enough, too_few):
    accepted(listed(**enough), **{"split.by": by})
    refused(f"by config.split.by='{by}'; at least 3 are needed", InputRefused, listed(**too_few), **{"split.by": by})
    accepted(listed(**too_few), **{"split.by": by, "labels.method": "none"})  # nothing is scored then


def test_each_cell_line_needs_its_groups():
    lines = listed(7, cell_line=["a"] * 5 + ["b"] * 2)
    refused("cell line 'b' has 2 group", InputRefused, lines)


def test_a_folder_of_fields_knows_no_tracks_but_those_of_a_table(tmp_path):
    refused("knows no track of a cell.*config.labels.table", InputRefused, **{"split.by": "track"})
    (tmp_path / "tracks.csv").write_text("Field,Y,X,Track\nf0,3,4,7\n")
    accepted(folder=tmp_path, **{"split.by": "track", "labels.table": "tracks.csv"})


def test_fields_of_one_place_at_several_times_are_not_split_by_field():
    times = listed(site="1", well="A1", time=["1", "2", "3", "4", "5", "6"])
    refused("shows? a place that another one shows", files=times)
    places = listed(time="2", site=["1", "2", "3", "4", "5", "6"])
    accepted(places)


def test_a_class_that_no_name_says_is_refused_with_what_names_say():
    by_folder = {"labels.method": "folder", "labels.classes": ("G1", "G2"), "channels.markers": ()}
    refused("no field is of class 'G2'; names of fields say G1", InputRefused, listed(label="G1"), **by_folder)
    refused("names of fields say nothing", InputRefused, **by_folder)
    named = listed(label=["G1", "M"] * 3)
    refused("class 'G2'", InputRefused, named, **by_folder)
    accepted(named, **by_folder | {"labels.mapping": ("M=G2",)})


def test_nothing_is_read_before_the_refusal(tmp_path, monkeypatch):
    (tmp_path / "fields").mkdir()
    for name in "abc":
        (tmp_path / "fields" / f"{name}.tif").touch()
    monkeypatch.setattr(all_fields, "find_channels", lambda *_: pytest.fail("a field was read"))
    with pytest.raises(UsageError, match="needs one marker channel"):
        prepare.prepare(config(**{"channels.markers": ()}), tmp_path / "fields", tmp_path / "out")
