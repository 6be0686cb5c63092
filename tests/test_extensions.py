"""Parts outside the repository that are not what they should be."""

import sys

import numpy as np
import pytest

from cellcycle_jax import extensions, models
from cellcycle_jax.errors import UsageError
from cellcycle_jax.training import loop
from configs import base
from configs.load import changes
from data_prep.measurement.measure import LabelledField, measure_cells
from data_prep.segmentation.segment import segment_nuclei
from tests import tiny

CODE = """
import dataclasses
import flax.linen as nn

class Model(nn.Module):
    classes: int
    patch: int
    rate: float = 0.5
    kind: str = "a"
    deep: bool = False
    widths: tuple = dataclasses.field(default_factory=lambda: (8, 16))

def halves(image, diameter_px):
    return image / 2

def fails(image, diameter_px):
    return image["nothing"]

def one_value(field):
    return {"Nuclei_Number_One": [1.0]}
"""


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    """A module `own_parts` that Python finds."""
    (tmp_path / "own_parts.py").write_text(CODE)
    (tmp_path / "broken_parts.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_parts", None)


@pytest.mark.parametrize(("name", "words"), [
    ("absent", "config.f='absent'; allowed: known, or package.module:name of your own"),
    ("no_such_module:x", "'no_such_module' cannot be imported .* add its folder to PYTHONPATH"),
    ("broken_parts:x", "'broken_parts' cannot be imported .ZeroDivisionError"),
    ("own_parts:absent", "own_parts.py has no 'absent'"),
])
def test_what_cannot_be_found_is_said(name, words):
    with pytest.raises(UsageError, match=words):
        extensions.find(name, {"known": 1}, "f")


def test_a_registered_name_is_what_it_stands_for():
    assert extensions.find("known", {"known": 1}, "f") == 1


def made(*options):
    return models.build("own_parts:Model", 3, 8, 2, 0.1, options=options)


def test_options_have_the_types_of_the_fields():
    model = made("patch=4", "rate=1", "kind=7", "deep=True")
    assert (model.classes, model.patch, model.rate, model.kind, model.deep) == (3, 4, 1.0, "7", True)
    assert type(model.rate) is float and model.widths == (8, 16)


@pytest.mark.parametrize(("options", "words"), [
    ((), "needs a value of patch; write patch=VALUE"),
    (("patch=x",), "patch=x.: the field is of type int"),
    (("patch=4", "deep=1"), "deep=1.: the field is of type bool"),
    (("patch=4", "widths=8"), "widths=8.: the field is a tuple; write it as"),
    (("patch=4", "heads=2"), "has no such field; allowed: patch, rate, kind, deep, widths"),
    (("patch=4", "classes=2"), "set config.model.classes instead"),
])
def test_options_that_do_not_fit_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        made(*options)


def test_options_with_commas_in_brackets_can_be_typed():
    words = ["--config.model.options=patch=4,widths=(4,8),rate=0.2"]
    assert changes(words, base.training) == {"model.options": ("patch=4", "widths=(4,8)", "rate=0.2")}


@pytest.mark.parametrize(("options", "words"), [
    (("patch=4", "heads=2"), "has no such field"),
    (("patch=4",), "own_parts:Model cannot be applied to crops of shape .16, 16, 2. .*; --debug shows where"),
])  # fmt: skip
def test_a_model_that_cannot_be_used_leaves_the_run_folder_free(tmp_path, options, words):
    data = tiny.write_data(tmp_path / "data")
    config = base.training()
    config.update_from_flattened_dict({"model.name": "own_parts:Model", "model.options": options})
    with pytest.raises(UsageError, match=words):
        loop.train(config, data, tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


def test_models_of_the_repository_take_no_unknown_option():
    with pytest.raises(UsageError, match="ResNet has no such field"):
        models.build("resnet", 2, 4, 1, 0.0, options=("patch=4",))


@pytest.mark.parametrize(("method", "words"), [
    ("own_parts:halves", "returned float32 of shape .*; it must return whole numbers of the image's shape"),
    ("own_parts:fails", "own_parts:fails failed .IndexError"),
])
def test_a_segmenter_that_fails_is_named(method, words):
    with pytest.raises(UsageError, match=words):
        segment_nuclei(np.ones((20, 20)), diameter=5, method=method)


def test_a_feature_without_a_value_for_each_nucleus_is_named():
    labels = np.zeros((30, 30), np.int32)
    labels[2:8, 2:8] = 1
    labels[12:18, 12:18] = 2
    field = LabelledField(np.ones((30, 30, 1), np.float32), labels, labels, ("DNA",), "DNA", {}, None)
    with pytest.raises(UsageError, match="Nuclei_Number_One of shape .1,. for 2 nuclei"):
        measure_cells(field, ("own_parts:one_value",))
