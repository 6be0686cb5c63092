"""Follows docs/extending.md and the example of docs/data.md, so that the pages cannot rot."""

import pathlib
import re
import sys
import types

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import ndimage
from skimage.draw import disk

from cellcycle_jax import models, schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.devices import runtime
from cellcycle_jax.explain import attribution, checks
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.attribution.activations import resolve_tap, tap_names
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.explain.regions.relevance import class_maps
from cellcycle_jax.features import families
from cellcycle_jax.models.network import Network
from cellcycle_jax.runs import metric_log, trained_run
from cellcycle_jax.studies import sweep_plan
from cellcycle_jax.training import loop
from configs import base
from configs.load import load, load_study
from data_prep import prepare, sources
from data_prep.fields_to_cells import all_fields, config_checks
from data_prep.labelling.methods import label_cells
from data_prep.measurement import measure
from tests import networks, tiny, weighed_network

ROOT = pathlib.Path(__file__).parents[1]


def blocks(document):
    """{first line without '# ': the rest} of the Python blocks of a document."""
    found = re.findall(r"```python\n# (.*?)\n(.*?)```", (ROOT / "docs" / document).read_text(), re.DOTALL)
    assert len(dict(found)) == len(found)
    return dict(found)


EXAMPLES = blocks("extending.md")


def new_module(path, text):
    """The module that `text` would be at `path` of the repository."""
    module = types.ModuleType(path.removesuffix("/__init__.py").removesuffix(".py").replace("/", "."))
    exec(compile(text, path, "exec"), vars(module))
    return module


def added(source, lines):
    """`source` with the one line of a block, NAME = {..., entry} or (..., entry), as an entry of what NAME holds."""
    (line,) = lines.split("\n")[:-1]
    name, bracket, entry = re.fullmatch(r"(\w+) = ([{(])\.\.\., (.+)[})]", line).groups()
    head = f"\n{name} = {bracket}"
    assert source.count(head) == 1
    return source.replace(head, f"{head}{entry}, ")


def changed(path):
    """The module at `path` with its block of added lines."""
    return new_module(path, added((ROOT / path).read_text(), EXAMPLES[path]))


def with_function(path, above):
    """The source of `path` with its block put above a name."""
    source, place = (ROOT / path).read_text(), re.compile(rf"^(?:def )?{above}\b", re.MULTILINE)
    assert len(place.findall(source)) == 1
    return place.sub(lambda match: EXAMPLES[f"{path}, above {above}"] + "\n\n" + match[0], source)


def test_every_block_is_followed():
    assert sorted(EXAMPLES) == sorted(
        [
            "configs/data/ki67.py",
            "cellcycle_jax/models/mine.py",
            "cellcycle_jax/models/__init__.py",
            "data_prep/sources/mine.py",
            "data_prep/sources/__init__.py",
            "data_prep/segmentation/segment.py, above SEGMENTERS",
            "data_prep/segmentation/segment.py",
            "data_prep/measurement/measure.py, above measure_cells",
            "data_prep/measurement/measure.py, in measure_cells before it returns",
            "data_prep/labelling/methods.py, above METHODS",
            "data_prep/labelling/methods.py",
            "experiments/masks.py",
            "cellcycle_jax/explain/attribution/pixels.py, above gradient_x_input",
            "cellcycle_jax/explain/attribution/methods.py",
            "cellcycle_jax/explain/checks/turning.py",
            "cellcycle_jax/explain/checks/all_checks.py",
            "mylab.py",
        ]
    )


def test_another_question_is_a_config(tmp_path):
    (tmp_path / "ki67.py").write_text(EXAMPLES["configs/data/ki67.py"])
    config = load(tmp_path / "ki67.py")
    all_fields.check(config)
    assert set(config.channels.markers) <= set(config.channel_names)
    assert config.labels.classes == ("resting", "proliferating")


@pytest.fixture
def registered(monkeypatch):
    """The architecture of the document, in MODELS."""
    path = "cellcycle_jax/models/mine.py"
    monkeypatch.setitem(sys.modules, "cellcycle_jax.models.mine", new_module(path, EXAMPLES[path]))
    entry = changed("cellcycle_jax/models/__init__.py").MODELS
    assert entry.keys() - models.MODELS.keys() == {"mine"}
    monkeypatch.setitem(models.MODELS, "mine", entry["mine"])


def test_an_architecture_trains_and_is_explained(registered, tmp_path, monkeypatch):
    monkeypatch.setenv(runtime.CACHE_VARIABLE, "")
    folder = tiny.write_data(tmp_path / "data")
    config = base.training()
    config.update_from_flattened_dict({"model.name": "mine", "model.filters": 4, "model.depth": 1,
                                       "train.batch_size": 8, "train.steps": 2, "train.eval_every": 1})
    loop.train(config, folder, tmp_path / "run")
    assert [record["step"] for record in metric_log.read(tmp_path / "run")] == [1, 2]
    found = trained_run.load_run(tmp_path / "run")
    images = found.images(crop_arrays.load_crops(folder, "validation"))
    names = tap_names(found.network, images.shape[1:])
    assert names == ("conv1", "conv2")
    maps, prob = class_maps(found.network, images, resolve_tap(names))
    assert maps.shape == (16, 2, 4, 4) and np.isfinite(maps).all() and maps.max() > 0
    np.testing.assert_allclose(prob.sum(1), 1, rtol=1e-5)


def test_a_method_of_attribution_explains(monkeypatch):
    module = new_module(
        "cellcycle_jax/explain/attribution/pixels.py",
        with_function("cellcycle_jax/explain/attribution/pixels.py", "gradient_x_input"),
    )
    monkeypatch.setattr(attribution, "pixels", module)
    mine = changed("cellcycle_jax/explain/attribution/methods.py")
    assert mine.METHODS.keys() - methods.METHODS.keys() == {"gradient"} and mine.METHODS["gradient"].by_channel
    images = networks.pictures(3, 16)
    network = Network(networks.Weighed(), networks.with_weights(networks.Weighed(), images.shape[1:]))
    found = mine.attribute("gradient", network, images, np.array([0, 2, 1]))
    weights = network.variables["params"]["head"]["kernel"].T.reshape(3, 16, 16, 3)
    np.testing.assert_allclose(found, weights[[0, 2, 1]], rtol=1e-6)


def test_a_check_is_asked_and_judged(monkeypatch):
    path = "cellcycle_jax/explain/checks/turning.py"
    turning = new_module(path, EXAMPLES[path])
    monkeypatch.setattr(checks, "turning", turning, raising=False)
    path = "cellcycle_jax/explain/checks/all_checks.py"
    source = added((ROOT / path).read_text(), EXAMPLES[path])
    source = source.replace("checks import (", "checks import (turning, ")
    listed = new_module(path, source)
    assert turning.CHECK in listed.CHECKS and turning.QUESTION in listed.QUESTIONS
    label = np.arange(24) % 2
    about = {"mask": "none"}
    alike, unlike = (np.ones((16, 16), bool), weighed_network.UPPER)
    # A network that reads the whole image, and one that reads its upper half.
    for where, expected in ((alike, "passed"), (unlike, "failed")):
        cells = weighed_network.make_cells(weighed_network.make_run(where), label, where)
        answer = Evidence(cells).results(turning.QUESTION)
        judgement = turning.judge(answer, about)
        assert judgement.answer == expected and "rank correlation" in judgement.sentence


def test_a_source_knows_labels_and_tracks(tmp_path, monkeypatch):
    path = "data_prep/sources/mine.py"
    module = new_module(path, EXAMPLES[path])
    monkeypatch.setitem(sys.modules, "data_prep.sources.mine", module)
    listed = changed("data_prep/sources/__init__.py").SOURCES
    assert set(listed) - set(sources.SOURCES) == {"mine"}
    monkeypatch.setattr(sources, "SOURCES", listed)
    config = base.preparation()
    config.update_from_flattened_dict({"source": "mine", "channel_names": ("DNA", "Golgi"), "pixel_um": 0.5,
                                       "illumination": "none", "workers": 1})
    labels = np.zeros((100, 120), np.uint16)
    for number, centre in enumerate(((30, 30), (30, 80), (70, 55)), start=1):
        labels[disk(centre, 12)] = number
    image = np.stack([100 + 500 * (labels > 0), np.full(labels.shape, 20)], axis=-1).astype(np.uint16)
    for site in (1, 2):
        np.savez(tmp_path / f"P7_B03_s{site}.npz", image=image + site, labels=labels, tracks=["", "a", "", "b"])
    (tmp_path / "P7_B03_s3.npz").write_bytes(b"cut short")
    found = all_fields.process_fields(config, tmp_path, tmp_path / "out")
    assert [(f.field_id, f.plate, f.well, f.site) for f in found.found[:2]] == [
        ("P7_B03_s1", "P7", "B03", "1"),
        ("P7_B03_s2", "P7", "B03", "2"),
    ]
    assert "no readable 'image'" in found.quarantined["P7_B03_s3"] and found.preprocessing.channels == ("DNA", "Golgi")
    assert found.table[schema.REJECT_REASON].tolist() == ["", "unlisted", ""] * 2
    assert found.table[schema.TRACK].fillna("").tolist() == ["a", "", "b"] * 2


@pytest.fixture(scope="module")
def segment():
    """`data_prep.segmentation.segment` with the document's segmenter."""
    path = "data_prep/segmentation/segment.py"
    module = new_module(path, added(with_function(path, "SEGMENTERS"), EXAMPLES[path]))
    assert module.SEGMENTERS.keys() - config_checks.SEGMENTERS.keys() == {"local"}
    return module


def test_a_segmenter_finds_a_drawn_disc(segment):
    image = np.random.default_rng(0).normal(100, 5, (100, 120))
    image[disk((40, 70), 15)] += 800
    labels = segment.segment_nuclei(image, diameter=30, method="local")
    assert labels.dtype == np.int32 and labels.max() == 1
    assert (labels == 1).sum() == pytest.approx(np.pi * 15**2, rel=0.06)


def test_a_segmenter_tells_apart_what_another_leaves_together(segment):
    image = np.full((100, 140), 100.0)
    image[disk((50, 50), 15)] = image[disk((50, 82), 15)] = 900  # 2 px lie between them
    image = ndimage.gaussian_filter(image, 2.5) + np.random.default_rng(0).normal(0, 5, image.shape)
    found = {method: segment.segment_nuclei(image, diameter=30, method=method).max() for method in ("otsu", "local")}
    assert found == {"otsu": 1, "local": 2}


def test_a_feature_has_the_known_value():
    path = "data_prep/measurement/measure.py"
    line = EXAMPLES[f"{path}, in measure_cells before it returns"]
    head, body = with_function(path, "measure_cells").split("def measure_cells", 1)
    body = body.replace("    return columns\n", f"{line}    return columns\n", 1)
    module = new_module(path, f"{head}def measure_cells{body}")
    labels = np.zeros((40, 80), np.int32)
    labels[5:35, 5:35], labels[5:35, 45:75] = 1, 2
    image = np.where(labels > 0, 6.0, 0.0).astype(np.float32)[..., None]
    image[10:30, 50:70] = 3  # depths run from 1 to 15, so the outer third is a frame of 5 px
    bodies = measure.cell_bodies(labels, 4)
    field = measure.LabelledField(image, labels, bodies, ("DNA",), "DNA", {}, 0.5)
    found = module.measure_cells(field)
    new = found.keys() - measure.measure_cells(field).keys()
    assert new == {"Nuclei_Texture_RimToCentre_DNA"}
    np.testing.assert_allclose(found["Nuclei_Texture_RimToCentre_DNA"], [1, 2], rtol=1e-6)
    assert schema.feature_channel(*new, ("DNA",)) == "DNA" and schema.unit(*new, True) == ""
    assert families.family(*new, ("DNA",)).name == "texture of the nucleus in DNA"


def test_a_labelling_method_labels_a_table():
    path = "data_prep/labelling/methods.py"
    module = new_module(path, added(with_function(path, "METHODS"), EXAMPLES[path]))
    rng = np.random.default_rng(0)
    high = np.arange(80) % 4 == 0
    value = 100 * 2 ** (4 * high + rng.normal(0, 0.3, 80))
    table = pd.DataFrame({schema.PLATE: "P1", "Cells_Intensity_MeanIntensity_CycB": value})
    config = base.preparation()
    config.channels.markers, config.labels.method = ("CycB",), "cell_marker"
    found = module.label_cells(table, config.channels, config.labels)
    np.testing.assert_array_equal(found.label, high)
    assert found.cuts["P1"]["low"] < found.cuts["P1"]["cut"] < found.cuts["P1"]["high"]


@pytest.fixture
def mylab(tmp_path, monkeypatch):
    """The document's module outside the repository, where Python finds it."""
    (tmp_path / "mylab.py").write_text(EXAMPLES["mylab.py"])
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("mylab", None)


def test_an_architecture_outside_the_repository_trains_and_is_explained_there(mylab, tmp_path, monkeypatch):
    monkeypatch.setenv(runtime.CACHE_VARIABLE, "")
    folder = tiny.write_data(tmp_path / "data")
    config = base.training()
    config.update_from_flattened_dict({"model.name": "mylab:Patches", "model.options": ("patch=4", "width=6"),
                                       "train.batch_size": 8, "train.steps": 1, "train.eval_every": 1})
    loop.train(config, folder, tmp_path / "run")
    run = trained_run.load_run(tmp_path / "run")
    assert (run.network.model.patch, run.network.model.width) == (4, 6)
    images = run.images(crop_arrays.load_crops(folder, "validation"))
    maps = methods.attribute("mylab:GRADIENT", run.network, images, 1)
    assert tap_names(run.network, images.shape[1:]) == ("patches",) and maps.shape == images.shape
    np.testing.assert_allclose(maps * images, methods.attribute("gradient_x_input", run.network, images, 1), rtol=1e-5)


def test_segmenter_labels_and_feature_outside_the_repository_prepare_fields(mylab, tmp_path):
    image = np.full((2, 120, 160), 100, np.uint16)
    for row, radius in ((0, 10), (1, 14)):
        for column in range(3):
            image[0][disk((30 + 60 * row, 30 + 50 * column), radius)] = 1000 + 100 * column
    tifffile.imwrite(tmp_path / "field.tif", image, photometric="minisblack", metadata={"axes": "CYX"})
    config = base.preparation()
    config.update_from_flattened_dict({
        "channel_names": ("DNA", "Golgi"), "illumination": "none", "workers": 1,
        "segmentation.method": "mylab:brighter_half", "labels.method": "mylab:by_area",
        "measurements": ("mylab:brightest_pixel",),
    })
    (tmp_path / "fields").mkdir()
    (tmp_path / "field.tif").rename(tmp_path / "fields" / "field.tif")
    table = all_fields.process_fields(config, tmp_path / "fields", tmp_path / "out").table
    assert table["Cells_Intensity_Brightest_DNA"].tolist() == pytest.approx([900, 1000, 1100] * 2, abs=1)
    labelled = label_cells(table, config.channels, config.labels)
    assert labelled.label.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_study_has_runs_and_trains_as_few_programs(tmp_path):
    (tmp_path / "masks.py").write_text(EXAMPLES["experiments/masks.py"])
    chosen = load_study(tmp_path / "masks.py")
    plan = sweep_plan.make_plan(chosen, tiny.write_data(tmp_path / "data"), tmp_path / "sweep")
    assert len(plan.members) == 12 and plan.members[4].name == "mask=cell_learning_rate=0.004_seed1"
    assert plan.members[4].row == "mask=cell, learning_rate=0.004" and plan.members[4].config.model.filters == 8
    programs = sweep_plan.programs(plan, dict.fromkeys(plan.records, ("not begun", 0)))
    assert [len(names) for _, names in programs] == [6, 6]


def test_ones_own_images_as_the_page_says(simulated_fields, tmp_path):
    (tmp_path / "mine.py").write_text(blocks("data.md")["configs/data/mine.py"])
    config = load(tmp_path / "mine.py", ["--config.workers=1"])
    fields = sorted((simulated_fields / "fields").glob("HeLa*.tif"))
    (tmp_path / "fields" / "plate1").mkdir(parents=True)
    for path in fields:  # pixels only: no names of channels, no pixel size
        name = path.name.removesuffix(".ome.tif")
        renamed = tmp_path / "fields" / "plate1" / f"{name}.tif"
        tifffile.imwrite(renamed, tifffile.imread(path), photometric="minisblack")
    assert prepare.prepare(config, tmp_path / "fields", tmp_path / "data") == 0
    cells = pd.read_parquet(tmp_path / "data" / "cells.parquet")
    assert set(cells[schema.PLATE]) == {"plate1"} and set(cells[schema.CELL_LINE]) == {"HeLa"}
    assert set(cells[schema.FIELD]) == {"plate1_" + p.name.removesuffix(".ome.tif") for p in fields}
