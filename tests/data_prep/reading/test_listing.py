"""Which files below a folder count."""

import os
import pathlib
import unicodedata

import pytest

from cellcycle_jax.errors import InputRefused
from data_prep.reading import listing
from data_prep.reading.listing import list_files, readable, text_of


def touch(place, *names):
    for name in names:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(place, endings=(".tif",)):
    return [text_of(path, place) for path in list_files(place, endings).files]


def left_out(place):
    found = list_files(place, (".tif",)).left_out
    return {why: [text_of(path, place) for path in paths] for why, paths in found.items()}


def test_all_files_in_all_folders_sorted(tmp_path):
    touch(tmp_path, "b.tif", "a/c.tif", "a/b/d.txt", "a.tif")
    assert names(tmp_path) == ["a/b/d.txt", "a/c.tif", "a.tif", "b.tif"] and left_out(tmp_path) == {}


def test_links_to_files_and_folders_are_followed(tmp_path):
    touch(tmp_path, "store/plate2/b.tif", "store/c.tif", "fields/a.tif")
    (tmp_path / "fields/plate2").symlink_to("../store/plate2")
    (tmp_path / "fields/c.tif").symlink_to(tmp_path / "store/c.tif")
    assert names(tmp_path / "fields") == ["a.tif", "c.tif", "plate2/b.tif"]
    (tmp_path / "again").symlink_to("fields")
    assert names(tmp_path / "again") == ["a.tif", "c.tif", "plate2/b.tif"]


def test_a_circle_of_links_ends_and_each_folder_is_read_once_under_its_own_name(tmp_path):
    touch(tmp_path, "plate/a.tif", "other/b.tif")
    (tmp_path / "a_link").symlink_to("plate")  # before it by name
    (tmp_path / "plate/up").symlink_to("..")
    (tmp_path / "plate/itself").symlink_to(".")
    (tmp_path / "other/across").symlink_to("../plate")
    assert names(tmp_path) == ["other/b.tif", "plate/a.tif"]
    assert sorted(left_out(tmp_path)[listing.TWICE]) == ["a_link", "other/across", "plate/itself", "plate/up"]


def test_two_links_to_one_folder_outside_are_one_folder_and_a_folder_in_it_is_not_read_again(tmp_path):
    touch(tmp_path, "store/inner/a.tif", "fields/b.tif")
    for name, place in (("one", "../store/inner"), ("two", "../store")):
        (tmp_path / "fields" / name).symlink_to(place)
    assert names(tmp_path / "fields") == ["b.tif", "one/a.tif"]
    assert left_out(tmp_path / "fields") == {listing.TWICE: ["two/inner"]}


def test_a_file_is_read_once_under_its_own_name(tmp_path):
    touch(tmp_path, "fields/b.tif", "store/c.tif")
    for name, place in (("a", "b.tif"), ("one", "../store/c.tif"), ("two", "../store/c.tif")):
        (tmp_path / f"fields/{name}.tif").symlink_to(place)
    assert names(tmp_path / "fields") == ["b.tif", "one.tif"]
    assert left_out(tmp_path / "fields") == {listing.TWICE: ["a.tif", "two.tif"]}


def test_links_that_lead_nowhere_are_told(tmp_path, capsys):
    touch(tmp_path, "a.tif")
    (tmp_path / "plate2").symlink_to("not_mounted/plate2")
    (tmp_path / "round").symlink_to("round")
    assert names(tmp_path) == ["a.tif"]
    listing.say(list_files(tmp_path, (".tif",)))
    said = capsys.readouterr().err
    assert said.startswith("warning: 2 links lead nowhere and are left out (first: ")
    assert said.endswith("plate2)\n")


@pytest.mark.parametrize("name", [".a.tif", "._a.tif", ".snapshot/a.tif", "__MACOSX/a.tif", "p/@eaDir/a.tif/x.jpg",
                                  "$RECYCLE.BIN/a.tif", "System Volume Information/a.tif", "#recycle/a.tif",
                                  "p/.hidden/q/a.tif", "lost+found/a.tif"])
def test_hidden_entries_are_left_out_and_told(tmp_path, name):
    touch(tmp_path, name, "p/b.tif")
    assert names(tmp_path) == ["p/b.tif"]
    ((why, paths),) = left_out(tmp_path).items()
    assert why == listing.UNSEEN and len(paths) == 1


def test_hidden_files_that_are_no_pictures_need_no_word_and_the_folder_itself_may_be_hidden(tmp_path):
    touch(tmp_path, ".cache/a.tif", ".cache/Thumbs.db", ".cache/desktop.ini", ".cache/.DS_Store")
    (tmp_path / ".cache/.#a.tif").symlink_to("user@host.1234")  # as an editor notes that it has a file open
    assert names(tmp_path / ".cache") == ["a.tif"] and left_out(tmp_path / ".cache") == {}


@pytest.mark.parametrize("inside", [["provenance.json", "cells.parquet", "qc/a.png"],
                                    ["predict.json", "cells.parquet", "overlays/a.png"], [".work-12/a.npz", "qc/a.png"],
                                    ["config.json", "metrics.jsonl", "figures/a.png"],
                                    ["config.json", "checkpoints/1/x", "figures/a.png"],
                                    ["predictor.json", "weights.npz", "a.png"],
                                    ["sweep.json", "runs/1/config.json", "figures/a.png"]])
def test_folders_that_this_program_wrote_are_left_out_and_told(tmp_path, inside):
    touch(tmp_path, "f.tif", *(f"deep/out/{name}" for name in inside))
    assert names(tmp_path) == ["f.tif"] and left_out(tmp_path) == {listing.OURS: ["deep/out"]}


def test_of_a_folder_of_fields_into_which_results_were_written_only_the_results_are_left_out(tmp_path):
    touch(tmp_path, "a.png", "plate/b.png", "qc/outlines.png", "overlays/a.png", ".work-1/x", "qc_of_mine/c.png")
    assert names(tmp_path) == ["a.png", "plate/b.png", "qc_of_mine/c.png"]
    assert left_out(tmp_path)[listing.OURS] == ["overlays", "qc"]


def test_a_users_own_folder_of_such_a_name_counts(tmp_path):
    touch(tmp_path, "qc/a.tif", "overlays/b.tif", "runs/c.tif", "config.json")
    assert names(tmp_path) == ["config.json", "overlays/b.tif", "qc/a.tif", "runs/c.tif"]


def test_a_folder_that_cannot_be_opened_is_told(tmp_path, monkeypatch):
    touch(tmp_path, "a.tif", "closed/b.tif")

    def scandir(path, real=os.scandir):
        if pathlib.Path(path).name == "closed":
            raise PermissionError
        return real(path)

    monkeypatch.setattr(listing.os, "scandir", scandir)
    assert names(tmp_path) == ["a.tif"] and left_out(tmp_path) == {listing.CLOSED: ["closed"]}


def test_a_pipe_is_left_out_and_told_since_reading_it_could_wait_for_ever(tmp_path):
    touch(tmp_path, "a.tif")
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "linked.tif").symlink_to("pipe.tif")
    assert names(tmp_path) == ["a.tif"]
    assert left_out(tmp_path) == {listing.NO_FILES: ["linked.tif", "pipe.tif"]}


def test_names_that_are_not_utf_8_become_texts_that_differ_and_can_be_written(tmp_path):
    for letter in (b"\xfc", b"\xe9"):
        os.makedirs(os.fsencode(tmp_path) + b"/Platte_" + letter + b"1")
        open(os.fsencode(tmp_path) + b"/Platte_" + letter + b"1/\xb5.tif", "wb").close()
    found = names(tmp_path)
    assert sorted(found) == ["Platte_%E91/%B5.tif", "Platte_%FC1/%B5.tif"]
    assert [name.encode("utf-8").decode() for name in found] == found
    assert all(path.is_file() for path in list_files(tmp_path, ()).files)  # the paths themselves still lead there


def test_both_unicode_forms_of_a_name_are_one_text():
    assert readable(unicodedata.normalize("NFD", "Zellen_é")) == readable("Zellen_é") == "Zellen_\u00e9"


def test_what_is_refused_can_be_written():
    with pytest.raises(InputRefused, match="^Platte_%FC1/a.tif: damaged$"), listing.readable_errors():
        raise InputRefused("Platte_\udcfc1/a.tif: damaged")
