import flax.linen as nn
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cellcycle_jax import data, files, records, run, schema
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.explain import maps
from configs.base import training
from tests import tiny

SIDE = 32


class Brightness(nn.Module):
    """Class 1 where the second channel is bright, class 0 where the first is: its maps are the channels themselves."""

    @nn.compact
    def __call__(self, image, train):
        x = self.perturb("last", nn.avg_pool(image, (4, 4), (4, 4)))
        return nn.Dense(2)(x.mean((1, 2))), {"last": x}


def make_crops(n=24, labelled=True):
    """Crops with a nucleus in the middle of channel 0 and a stain to its right in channel 1."""
    rng = np.random.default_rng(0)
    image = np.zeros((n, SIDE, SIDE, 3), np.uint16)
    image[:, 10:22, 8:20, 0] = 200
    label = np.where(np.arange(n) % 2, 1, 0).astype(np.int32)
    image[label == 1, 12:20, 20:28, 1] = 300
    image = image + rng.integers(100, 110, image.shape).astype(np.uint16)
    compartments = np.zeros((n, SIDE, SIDE), np.uint8)
    compartments[:, 10:22, 8:20] = int(schema.Compartment.NUCLEUS)
    compartments[:, 12:20, 20:28] = int(schema.Compartment.SECOND_STAIN)
    norm = np.tile(np.array([100, 100, 5, 200], np.float32), (n, 3, 1))
    label = label if labelled else np.full(n, schema.NO_LABEL, np.int32)
    text = {name: np.array([f"{name}{i % 6}" for i in range(n)]) for name in schema.EXAMPLE_TEXTS}
    text["cell_id"] = np.array([f"cell{i}" for i in range(n)])
    known = int(schema.Compartment.NUCLEUS | schema.Compartment.SECOND_STAIN)
    return data.Crops(
        image=image, image_scale=np.ones((n, 3), np.float32), compartments=compartments,
        compartments_present=np.full(n, known, np.uint8), label=label, norm=norm,
        um_per_px=np.full(n, 0.5, np.float32), **text, channels=("DNA", "Golgi", "CENPF"), classes=("G1/S", "G2"),
        markers=("CENPF",), nucleus="DNA", stains=("Golgi",), group_by="field",
    )  # fmt: skip


def make_run(folder):
    """A run with a network whose answer is known."""
    model = Brightness()
    kernel = np.array([[4.0, -4.0], [-12.0, 12.0]], np.float32)
    variables = {"params": {"Dense_0": {"kernel": kernel, "bias": np.zeros(2, np.float32)}}}
    config = training()
    config.data.mask = "none"  # the crops above know no cell body
    config.explain.cells, config.evaluate.bootstraps = 10, 200
    seen, classes = ("DNA", "Golgi"), ("G1/S", "G2")
    return run.Run(folder, config, model, variables, 30, "a1b2c3", folder, seen, classes, "CENPF")


@pytest.fixture
def explained(tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "load_run", make_run)
    monkeypatch.setattr(data, "load_crops", lambda folder, split, pixels: make_crops())
    assert maps.run_explain(tmp_path) == tmp_path / "explain"
    return tmp_path


def test_maps_on_disk(explained):
    stored = np.load(explained / "explain" / "maps.npz")
    assert stored["maps"].shape == (20, 2, 8, 8) and stored["maps"].dtype == np.float32
    assert stored["mean"].shape == (2, 8, 8)
    assert stored["classes"].tolist() == ["G1/S", "G2"] and str(stored["tap"]) == "last"
    np.testing.assert_allclose(stored["prob"].sum(1), 1, rtol=1e-5)
    assert len(set(stored["cell_id"].tolist())) == 20


def test_stain_that_tells_the_class_is_where_the_model_looks(explained):
    summary = files.read_json(explained / "explain" / "summary.json")
    assert summary["step"] == 30 and summary["run_id"] == "a1b2c3"
    assert "at the Golgi" in summary["sentences"]["G2"]
    assert "in the nucleus" in summary["sentences"]["G1/S"]
    assert any("covers 4 of the 32 px of the crop, 2.0 µm" in note for note in summary["notes"])


def test_attribution_has_a_row_per_cell_class_and_place(explained):
    table = pd.read_parquet(explained / "explain" / "attribution.parquet")
    assert len(table) == 20 * 2 * 5
    parts = table.groupby([schema.CELL_ID, "class"])[["relevance_share", "area_share", "hit"]].sum()
    np.testing.assert_allclose(parts, 1)
    golgi = table[table["compartment"] == "second stain"]
    np.testing.assert_allclose(golgi["area_share"], 36 / SIDE**2)  # 8 x 8 px less the outline


def test_pictures_are_drawn(explained):
    names = sorted(path.name for path in (explained / "figures").glob("*.png"))
    assert names == ["gradcam_g1-s.png", "gradcam_g2.png", "gradcam_mean.png"]
    for name in names:
        assert Image.open(explained / "figures" / name).size[0] > 800


def test_same_run_gives_the_same_files(explained):
    first = (
        (explained / "explain" / "summary.json").read_bytes(),
        (explained / "figures" / "gradcam_g2.png").read_bytes(),
    )
    maps.run_explain(explained)
    again = (
        (explained / "explain" / "summary.json").read_bytes(),
        (explained / "figures" / "gradcam_g2.png").read_bytes(),
    )
    assert first == again


def test_only_the_cells_that_are_explained_are_held_in_memory(tmp_path, monkeypatch):
    tiny.write_data(tmp_path, train=4, validation=40)
    monkeypatch.setattr(maps, "load_run", make_run)
    load, read, counted, made = data.load_crops, records.read_pixels, [], []
    monkeypatch.setattr(records, "read_pixels", lambda pixels: counted.append(len(pixels)) or read(pixels))
    for whole in (False, True):
        if whole:
            monkeypatch.setattr(data, "load_crops", lambda folder, split, pixels: load(folder, split))
        maps.run_explain(tmp_path)
        paths = [*(tmp_path / "explain").iterdir(), *(tmp_path / "figures").iterdir()]
        made.append({path.name: path.read_bytes() for path in paths})
        assert counted == [20]
    assert len(made[0]) == 6 and made[0] == made[1]


def test_without_labels_there_is_nothing_to_explain(tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "load_run", make_run)
    monkeypatch.setattr(data, "load_crops", lambda folder, split, pixels: make_crops(labelled=False))
    with pytest.raises(InputRefused, match="no labelled cell"):
        maps.run_explain(tmp_path)


def test_cells_are_drawn_per_class_and_repeatably():
    label = np.array([0] * 50 + [1] * 3 + [schema.NO_LABEL] * 9)
    rows = maps.pick_cells(label, 2, 10, seed=1)
    assert np.bincount(label[rows]).tolist() == [10, 3] and (np.diff(rows) > 0).all()
    assert rows.tolist() == maps.pick_cells(label, 2, 10, seed=1).tolist()
    assert rows.tolist() != maps.pick_cells(label, 2, 10, seed=2).tolist()


def test_gallery_shows_the_surest_then_the_surest_mistakes():
    sure = np.array([0.6, 0.99, 0.7, 0.95, 0.8, 0.9, 0.85, 0.97, 0.2, 0.4])
    prob, label = np.stack([sure, 1 - sure], 1), np.zeros(10, int)
    assert maps.choose_rows(label, prob, 0).tolist() == [1, 7, 3, 5, 6, 4, 8, 9]


def test_gallery_without_mistakes_ends_with_the_least_sure():
    sure = np.linspace(0.99, 0.55, 9)
    rows = maps.choose_rows(np.zeros(9, int), np.stack([sure, 1 - sure], 1), 0)
    assert rows.tolist() == [0, 1, 2, 3, 4, 5, 8, 7]


def test_mean_map_is_one_on_average_and_leaves_out_empty_maps():
    found = np.stack([np.full((4, 4), 3.0), np.eye(4), np.zeros((4, 4)), -np.ones((4, 4))])
    mean = maps.mean_map(found)
    assert mean.mean() == pytest.approx(1)
    assert mean[0, 0] == pytest.approx((1 + 4) / 2)
    assert np.isnan(maps.mean_map(np.zeros((2, 4, 4)))).all()


def test_class_names_become_file_names():
    assert [maps.slug(name) for name in ("G1/S", "Not ciliated", "../x", "??")] == [
        "g1-s",
        "not-ciliated",
        "x",
        "class",
    ]
