"""The files of a simulation: pixels, labels, truth and metadata agree."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import ndimage

from cellcycle_jax import files
from cellcycle_jax.errors import UsageError
from configs import simulate as simulate_config
from data_prep.simulation import population
from data_prep.simulation.camera import expose
from data_prep.simulation.simulate import field_names, make_field, simulate


def small_config(**changes):
    config = simulate_config.get_config()
    config.update(dict(fields_per_line=5, field_size_px=192, cells_per_field=(8, 12), workers=1))
    config.update(changes)
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated")
    simulate(small_config(), out)
    return out


@pytest.fixture(scope="module")
def truth(folder):
    return pd.read_parquet(folder / "truth.parquet")


def test_one_file_of_pixels_and_of_labels_per_field(folder, truth):
    fields = {path.name.removesuffix(".ome.tif") for path in (folder / "fields").iterdir()}
    labels = {path.name.removesuffix(".tif") for path in (folder / "labels").iterdir()}
    assert fields == labels == set(truth["field_id"])
    assert {"HeLa_A01_s1", "RPE1_A01_s4", "NIH3T3_A02_s1"} <= fields
    assert files.read_json(folder / "simulation.json")["config"]["seed"] == 0


def test_same_pixels_for_any_number_of_workers(folder, tmp_path):
    simulate(small_config(workers=2, lines=("RPE1",)), tmp_path)
    for path in sorted((tmp_path / "fields").iterdir()):
        np.testing.assert_array_equal(tifffile.imread(path), tifffile.imread(folder / "fields" / path.name))


def test_seed_changes_the_pixels():
    name = field_names("HeLa", 1)[0]
    images = [make_field(small_config(seed=seed), name)[0] for seed in (0, 1)]
    assert (images[0] != images[1]).mean() > 0.5


def test_metadata_names_channels_pixel_size_and_place(folder):
    with tifffile.TiffFile(folder / "fields" / "HeLa_A01_s2.ome.tif") as tif:
        assert tif.series[0].axes == "CYX" and tif.series[0].shape == (4, 192, 192) and tif.series[0].dtype == "uint16"
        xml = tif.ome_metadata
    image = tifffile.xml2dict(xml)["OME"]["Image"]
    assert [channel["Name"] for channel in image["Pixels"]["Channel"]] == ["DNA", "Golgi", "EB1", "CENPF"]
    assert image["Pixels"]["PhysicalSizeX"] == image["Pixels"]["PhysicalSizeY"] == 0.5
    assert image["Pixels"]["PhysicalSizeXUnit"] == "µm"
    assert image["Name"] == "plate=HeLa-P1 well=A01 site=2 line=HeLa"


def test_labels_and_rows_are_one_to_one(folder, truth):
    for field_id, cells in truth.groupby("field_id"):
        nucleus, golgi, body = tifffile.imread(folder / "labels" / f"{field_id}.tif").astype(int)
        assert sorted(cells["cell_label"]) == np.unique(nucleus[nucleus > 0]).tolist()
        assert set(np.unique(golgi)) | set(np.unique(body)) <= {0, *cells["cell_label"]}
        assert (nucleus[cells["centre_y_px"], cells["centre_x_px"]] == cells["cell_label"]).all()
        assert (body[nucleus > 0] == nucleus[nucleus > 0]).all()
        assert (body[golgi > 0] == golgi[golgi > 0]).all()


def test_true_areas_are_the_areas_of_the_labels(folder, truth):
    whole = truth[~truth["border"]]
    for field_id, cells in whole.groupby("field_id"):
        nucleus, golgi, _ = tifffile.imread(folder / "labels" / f"{field_id}.tif").astype(int)
        n = truth["cell_label"].max() + 1
        area = np.bincount(nucleus.ravel(), minlength=n)[cells["cell_label"]] * 0.25
        np.testing.assert_allclose(area, cells["nuclear_area_um2"])
        far = cells[cells[["centre_y_px", "centre_x_px"]].min(axis=1).between(50, 142)
                    & cells[["centre_y_px", "centre_x_px"]].max(axis=1).between(50, 142)]
        area = np.bincount(golgi.ravel(), minlength=n)[far["cell_label"]] * 0.25
        np.testing.assert_allclose(area, far["golgi_area_um2"])


def test_touching_is_what_the_labels_show_and_at_least_a_fifth():
    settings = small_config(field_size_px=512, cells_per_field=(40, 60))
    shares = []
    for name in field_names("RPE1", 6):
        _, scene = make_field(settings, name)
        nuclei = scene.labels[0]
        for row in scene.cells.itertuples():
            own = nuclei == row.cell_label
            y, x = np.nonzero(own)
            shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
            around = [nuclei[np.clip(y + dy, 0, 511), np.clip(x + dx, 0, 511)] for dy, dx in shifts]
            assert row.touching == np.isin(np.concatenate(around), [0, row.cell_label], invert=True).any()
        shares.append(scene.cells["touching"].mean())
    assert 0.2 < np.mean(shares) < 0.5


def test_integrated_dna_is_proportional_to_the_stain():
    config = small_config(cells_per_field=(12, 12))
    config.nuisance.update(dict(blur_um=(0.0, 0.0), photons=1e4, read_noise=0.0, illumination=0.0, debris=0.0))
    config.nuisance.update(dict(stain_field=0.0, mitotic=0.0))
    sums, stains = [], []
    for name in field_names("NIH3T3", 3):
        image, scene = make_field(config, name)
        nuclei = scene.labels[0]
        above = image[..., 0] - np.median(image[..., 0][scene.labels[2] == 0])
        cells = scene.cells[~scene.cells["border"]]
        sums.extend(np.bincount(nuclei.ravel(), above.ravel())[cells["cell_label"]])
        stains.extend(cells["dna_stain"])
        # Before the camera the proportion is exact, but for the faint stain of the cytoplasm.
        exact = np.bincount(nuclei.ravel(), scene.canvas[..., 0].ravel())[cells["cell_label"]]
        np.testing.assert_allclose(exact / (cells["dna_stain"] * 0.5 * 160 / 0.25), 1, atol=0.03)
    assert len(sums) > 15 and np.corrcoef(sums, stains)[0, 1] > 0.99


def test_illumination_is_uneven_by_the_asked_amount_and_the_same_in_all_fields_of_a_plate():
    config = small_config()
    config.nuisance.update(dict(photons=1e5, read_noise=0.0, debris=0.0, illumination=0.3))
    empty, nuisance = np.zeros((256, 256, 1), np.float32), config.nuisance
    one, two = (expose(np.random.default_rng(seed), np.random.default_rng(7), empty, nuisance, 0.5) for seed in (1, 2))
    light = [ndimage.uniform_filter(image[..., 0] - 100.0, 9) for image in (one, two)]
    np.testing.assert_allclose(light[0], light[1], rtol=0.03)
    assert abs(light[0].min() / light[0].max() - 0.7) < 0.03


def test_without_effects_no_pixel_depends_on_age(monkeypatch):
    config = small_config()
    config.effects.update({effect: 0.0 for effect in config.effects})
    name, settings = field_names("HeLa", 1)[0], config
    image, scene = make_field(settings, name)
    monkeypatch.setattr(population, "draw_ages", lambda rng, n: 1 - rng.random(n))
    other, changed = make_field(settings, name)
    assert (scene.cells["phase"] != changed.cells["phase"]).any()
    np.testing.assert_array_equal(image, other)


@pytest.mark.parametrize("name, value", [
    ("fields_per_line", 0), ("pixel_um", 9.0), ("effects.nuclear_area", -0.5), ("spread.marker", float("nan")),
    ("nuisance.mitotic", 0.9), ("nuisance.blur_um", (1.0, 0.2)), ("cells_per_field", (5, 500)), ("lines", ("U2OS",)),
])
def test_a_bad_value_is_refused_by_name(name, value, tmp_path):
    config = small_config()
    config.update_from_flattened_dict({name: value})
    with pytest.raises(UsageError, match=f"^config.{name}=.*; allowed: ") as error:
        simulate(config, tmp_path / "out")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_fields_of_two_simulations_are_not_mixed(tmp_path):
    (tmp_path / "fields").mkdir()
    (tmp_path / "fields" / "U2OS_A01_s1.ome.tif").touch()
    with pytest.raises(UsageError, match="U2OS_A01_s1"):
        simulate(small_config(), tmp_path)
