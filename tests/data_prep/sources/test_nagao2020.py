"""The archive of Nagao et al. 2020, on small arrays written in its layout (the archive itself is not at hand)."""

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from configs.data import nagao2020_cilia, nagao2020_golgi
from data_prep.prepare import prepare
from data_prep.sources import nagao2020

ORIGINALS = 24


def crop(rng, big, planes):
    """A nucleus in the middle, a neighbour in a corner, a organelle beside it, whole numbers of 0..255."""
    y, x = np.mgrid[:135, :135]
    nucleus = (((y - 67) / 22) ** 2 + ((x - 67) / (26 if big else 20)) ** 2 < 1) * (160 if big else 110)
    neighbour = ((y - 20) ** 2 + (x - 20) ** 2 < 15**2) * 100
    second = (((y - 67) ** 2 + (x - 100) ** 2) < (12 if big else 7) ** 2) * 120
    image = np.stack([nucleus + neighbour, second * (planes > 1), np.zeros_like(second)], axis=-1) + 30.0
    image[..., :planes] += rng.normal(0, 3, (135, 135, planes))
    image[..., planes:] = 0
    return np.clip(np.round(ndimage.gaussian_filter(image, (1, 1, 0))), 0, 255)


def write_set(folder, planes=2, seed=0, originals=ORIGINALS):
    """One set: each training original with three turned and shifted copies; test originals alone."""
    rng = np.random.default_rng(seed)
    label = np.arange(originals) % 2  # 0 is the first class named
    images, labels = [], []
    for one in label:
        original = crop(rng, one == 0, planes)
        images.append(original)
        for _ in range(3):
            turned = ndimage.rotate(np.rot90(original, rng.integers(4)), rng.uniform(-20, 20), reshape=False, order=1)
            images.append(ndimage.shift(turned, (*rng.uniform(-5, 5, 2), 0), order=1, mode="nearest"))
        labels += [one] * 4
    test = np.stack([crop(rng, one == 0, planes) for one in label[:10]])
    (folder / "data").mkdir(parents=True)
    for name, array in (("x_train", np.stack(images)), ("y_train", np.array(labels)), ("X_test", test),
                        ("Y_test", label[:10])):
        np.save(folder / "data" / f"{name}.npy", array)
    return folder


@pytest.fixture(scope="module")
def golgi(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("archive") / "HeLa_Hoechst-GM130")


@pytest.fixture(scope="module")
def prepared_golgi(golgi, tmp_path_factory):
    out = tmp_path_factory.mktemp("nagao")
    config = nagao2020_golgi.get_config()
    config.workers = 1
    assert prepare(config, golgi, out) == 0
    return out


def test_only_originals_are_taken_and_labels_are_the_archives(golgi):
    found = nagao2020.find_fields(golgi, nagao2020_golgi.get_config())
    train = [f for f in found if f.field_id.startswith("train")]
    assert [f.part for f in train] == list(range(0, 4 * ORIGINALS, 4)) and len(found) == ORIGINALS + 10
    assert [f.label for f in train[:3]] == ["G2", "notG2", "G2"]
    assert {f.extra[0] for f in train} == {("ArchiveSplit", "")}
    field = nagao2020.read(train[1], None)
    assert field.channels == ("DNA", "Golgi") and field.image.dtype == np.uint16
    np.testing.assert_array_equal(field.image, np.load(golgi / "data" / "x_train.npy")[4, ..., :2])


def test_cells_of_the_archive_become_a_data_set(prepared_golgi):
    cells = pd.read_parquet(prepared_golgi / "cells.parquet")
    used = cells[cells[schema.REJECT_REASON] == ""]
    assert len(used) == ORIGINALS + 10 and used[schema.FIELD].is_unique  # the nucleus in the middle, once
    assert (cells[schema.REJECT_REASON] == "unlisted").sum() == ORIGINALS + 10  # the neighbour
    test = used[used[schema.SPLIT] == "test"]
    assert set(test[schema.FIELD]) == {f"test{i:04d}" for i in range(10)}
    assert set(used[used[schema.SPLIT] != "test"][schema.SPLIT]) == {"train", "validation"}
    area = used.groupby(schema.LABEL)[schema.NUCLEAR_AREA].median()
    assert area["G2"] / area["notG2"] == pytest.approx(26 / 20, rel=0.05)


def test_that_fields_are_unknown_is_said(prepared_golgi):
    from cellcycle_jax import files

    notes = files.read_json(prepared_golgi / "provenance.json")["notes"]
    assert any("does not say which field" in note for note in notes)


def test_another_question_needs_a_config_only(tmp_path):
    folder = write_set(tmp_path / "NIH3T3_Cilia", seed=1)
    config = nagao2020_cilia.get_config()
    config.workers = 1
    assert prepare(config, folder, tmp_path / "out") == 0
    cells = pd.read_parquet(tmp_path / "out" / "cells.parquet")
    used = cells[cells[schema.REJECT_REASON] == ""]
    assert used[schema.LABEL].value_counts().to_dict() == {"Cilia": 17, "notCilia": 17}


def test_one_hot_labels_are_read_too(golgi, tmp_path):
    folder = write_set(tmp_path / "HeLa_Hoechst-GM130")
    labels = np.load(folder / "data" / "y_train.npy")
    np.save(folder / "data" / "y_train.npy", np.eye(2)[labels])
    config = nagao2020_golgi.get_config()
    assert [f.label for f in nagao2020.find_fields(folder, config)] == [
        f.label for f in nagao2020.find_fields(golgi, config)]


def spoil(name, change):
    def spoiled(folder):
        path = folder / "data" / f"{name}.npy"
        np.save(path, change(np.load(path)))
    return spoiled


@pytest.mark.parametrize("damage, words", [
    (spoil("x_train", lambda a: np.roll(a, 1, axis=0)), "crop 0 is no original"),
    (spoil("x_train", np.round), "crop 1 is no copy"),
    (spoil("x_train", lambda a: a[:-1]), "95 crops|96 labels"),
    (spoil("y_train", lambda a: np.where(np.arange(len(a)) == 2, 1 - a, a)), "different labels"),
    (spoil("x_train", lambda a: a[:, :100]), "allowed: N x 135 x 135 x 3"),
    (spoil("x_train", lambda a: a[..., ::-1]), "planes with a picture"),
    (spoil("y_train", lambda a: a + 5), "one 0 or 1 for each crop"),
    (lambda folder: (folder / "data" / "Y_test.npy").unlink(), "no such file; unpack the whole set"),
    (lambda folder: (folder / "data" / "X_test.npy").write_bytes(b"x" * 40), "not a readable array"),
])
def test_what_is_not_as_the_archive_says_is_refused(damage, words, tmp_path):
    folder = write_set(tmp_path / "HeLa_Hoechst-GM130", originals=24)
    damage(folder)
    nagao2020._array.cache_clear()
    with pytest.raises(InputRefused, match=words):
        nagao2020.find_fields(folder, nagao2020_golgi.get_config())


def test_a_folder_of_several_sets_asks_for_one(golgi):
    with pytest.raises(InputRefused, match="name one set of the archive: .*; found in it: HeLa_Hoechst-GM130"):
        nagao2020.find_fields(golgi.parent, nagao2020_golgi.get_config())
