"""Training is the same computation however it is laid out: devices, processes, where cells lie, one model or several.

In float64, over 50 steps with dropout and all augmentations, layouts may differ in the order of sums only.
"""

import shutil

import numpy as np
import pytest

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.runs import trained_run
from tests import tiny
from tests.train_process import content, finish, pair, scores, start

pytestmark = pytest.mark.slow

EXACT, FIRST_STEP = 1e-9, 1e-5  # largest difference in float64, and of the gradients of a first step in float32
MEMBERS = {
    "all": {},
    "dna": {"seed": 1, "data.channels": ("DNA",)},
    "other": {"seed": 2, "optimizer.learning_rate": 1e-2, "optimizer.weight_decay": 0.1, "model.dropout": 0.6,
              "data.cell_lines": ("HeLa",)},
}
COHORTS = {"resnet": MEMBERS, "nagao2020": {name: MEMBERS[name] for name in ("all", "dna")}}
SINGLE = [(model, name) for model, members in COHORTS.items() for name in members]
# One step of size one without momentum's past: the parameters differ by 1.9 times the gradient.
ONE_STEP = {"model.name": "resnet", "train.steps": 1, "optimizer.name": "sgd", "optimizer.schedule": "constant",
            "optimizer.learning_rate": 1.0, "optimizer.weight_decay": 0.0}


def exact(model, **changes):
    return {"model.name": model, "model.dtype": "float64", **changes}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data"), train=30, validation=14, unlabelled=2)


@pytest.fixture(scope="module")
def one(root, folder):
    """Runs on one device; the last one is stopped."""
    jobs = [{"workdir": str(root / "first-1"), "changes": ONE_STEP}]
    for model, members in COHORTS.items():
        jobs += [{"workdir": str(root / f"{model}-{name}"), "changes": exact(model, **changes)}
                 for name, changes in members.items()]
    jobs += [{"workdir": str(root / "resnet-cohort1"), "changes": exact("resnet"), "members": MEMBERS}]
    jobs += [{"workdir": str(root / place), "changes": exact("resnet", **{"data.placement": place})}
             for place in ("host", "disk")]
    jobs += [{"workdir": str(root / "resnet-vmap"), "changes": exact("resnet"), "members": MEMBERS, "in_program": True},
             {"workdir": str(root / "stopped"), "changes": exact("resnet"), "in_program": False, "stop_at": 20}]
    assert finish(start(folder, jobs)) == [75]
    return root


@pytest.fixture(scope="module")
def eight(one, folder):
    """Runs on eight devices, one of which goes on where one device stopped."""
    shutil.copytree(one / "stopped", one / "resumed8")
    jobs = [{"workdir": str(one / "first-8"), "changes": ONE_STEP}]
    for model, members in COHORTS.items():
        jobs += [{"workdir": str(one / f"{model}-8"), "changes": exact(model)},
                 {"workdir": str(one / f"{model}-cohort8"), "changes": exact(model), "members": members,
                  "in_program": True}]
    jobs += [{"workdir": str(one / "resnet-by-host8"), "changes": exact("resnet"), "members": MEMBERS},
             {"workdir": str(one / "resumed8"), "changes": exact("resnet")}]
    assert finish(start(folder, jobs, devices=8)) == [0]
    return one


@pytest.fixture(scope="module")
def two(one, folder):
    """Runs of two processes."""
    jobs = [{"workdir": str(one / "two"), "changes": exact("resnet")},
            {"workdir": str(one / "two-host"), "changes": exact("resnet", **{"data.placement": "host"})}]
    assert pair(folder, jobs) == [0, 0]
    return one


def largest_difference(a, b):
    """Of all that two runs hold at their end, and of all their scores; both are of the same kinds."""
    (ours, own), (theirs, other) = ((content(folder), scores(folder)) for folder in (a, b))
    assert ours.keys() == theirs.keys() and [line.keys() for line in own] == [line.keys() for line in other]
    assert {name: array.dtype for name, array in ours.items()} == {n: array.dtype for n, array in theirs.items()}
    found = [np.abs(array - theirs[name].astype(array.dtype)).max() for name, array in ours.items() if array.size]
    found += [abs(x[name] - y[name]) for x, y in zip(own, other, strict=True) for name in x]
    assert np.isfinite(found).all()  # max() would pass over NaN
    return max(found)


@pytest.mark.parametrize("weight, loss", [(np.nan, 0.5), (1.0, np.nan), (np.inf, 0.5)])
def test_what_is_not_a_number_is_no_small_difference(monkeypatch, weight, loss):
    monkeypatch.setitem(globals(), "content", lambda folder: {"a": np.ones(2), "b": np.array([weight])})
    monkeypatch.setitem(globals(), "scores", lambda folder: [{"step": 1, "loss": loss}])
    with np.errstate(invalid="ignore"), pytest.raises(AssertionError):
        largest_difference("one", "other")


def test_the_numbers_are_float64_and_other_seeds_give_others(one):
    held, lines = content(one / "resnet-all"), scores(one / "resnet-all")
    assert [line["step"] for line in lines] == [10, 20, 30, 40, 50] and held["state/step"] == [50]
    assert {a.dtype.name for a in held.values()} == {"float64", "int32"}
    other = content(one / "resnet-other")
    assert max(np.abs(a - other[name]).max() for name, a in held.items() if "kernel" in name) > 0.01


@pytest.mark.parametrize("model", COHORTS)
def test_eight_devices_train_what_one_does(eight, model):
    assert largest_difference(eight / f"{model}-all", eight / f"{model}-8") < EXACT


@pytest.mark.parametrize("name", ["two", "two-host"])
def test_two_processes_train_what_one_does(two, name):
    assert largest_difference(two / "resnet-all", two / name) < EXACT


@pytest.mark.parametrize("place", ["host", "disk"])
def test_where_cells_lie_changes_nothing(one, place):
    assert largest_difference(one / "resnet-all", one / place) < EXACT


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("cohort", ["cohort1", "vmap"])
def test_a_model_in_a_cohort_is_the_model_alone(one, member, cohort):
    """Started one by one, as on a CPU, and side by side in a loop inside the program, as on an accelerator."""
    assert largest_difference(one / f"resnet-{member}", one / f"resnet-{cohort}-{member}") < EXACT


@pytest.mark.parametrize("member", MEMBERS)
def test_a_cohort_whose_batches_are_divided_is_its_models_alone(eight, member):
    assert largest_difference(eight / f"resnet-{member}", eight / f"resnet-by-host8-{member}") < EXACT


@pytest.mark.parametrize("model, member", SINGLE)
def test_a_cohort_divided_over_eight_devices_is_its_models_alone(eight, model, member):
    assert largest_difference(eight / f"{model}-{member}", eight / f"{model}-cohort8-{member}") < EXACT


@pytest.mark.parametrize("cohort, kernel", [("nagao2020-cohort8", "convs_0/kernel"), ("resnet-cohort8", "first/kernel"),
                                            ("resnet-cohort1", "first/kernel"), ("resnet-vmap", "first/kernel")])
def test_weights_of_channels_that_a_member_does_not_see_stay_zero(eight, cohort, kernel):
    held = {name: array for name, array in content(eight / cohort).items() if name.endswith(kernel)}
    assert len(held) == 4  # the weights, two moments of the optimiser, and the best weights
    for array in held.values():
        dna = array[sorted(MEMBERS).index("dna")]  # [3, 3, channels of one or of four pixels, filters]
        assert (dna[:, :, 1::2] == 0).all() and (dna[:, :, 0::2] != 0).any()
        assert (array[0][:, :, 1::2] != 0).any()


def test_a_run_stopped_on_one_device_goes_on_with_eight(eight):
    assert content(eight / "stopped")["state/step"] == [21]
    assert largest_difference(eight / "resnet-all", eight / "resumed8") < EXACT


@pytest.mark.parametrize("free", [(0, 2**40), (2**40, 0)], ids=["host", "disk"])
def test_a_run_whose_cells_were_on_the_device_goes_on_with_streamed_ones(one, folder, free, tmp_path):
    shutil.copytree(one / "stopped", tmp_path / "run")
    job = {"workdir": str(tmp_path / "run"), "changes": exact("resnet"), "free": free}
    assert finish(start(folder, [job])) == [0]
    assert largest_difference(one / "resnet-all", tmp_path / "run") < EXACT


def test_gradients_of_the_first_step_agree_in_float32(eight):
    single, several = (content(eight / f"first-{devices}") for devices in (1, 8))
    for name, array in single.items():
        assert array.dtype in (np.float32, np.int32)
        np.testing.assert_allclose(array, several[name], rtol=0, atol=FIRST_STEP)


def test_a_run_is_read_back_in_its_own_precision(one, folder):
    """Whatever was read before it in the same process."""
    crops = crop_arrays.load_crops(folder, "validation")
    for name, kind in (("first-1", np.float32), ("resnet-all", np.float64), ("first-1", np.float32)):
        logits = trained_run.load_run(one / name).predict_logits(crops)
        assert logits.dtype == kind and logits.shape == (14, 2)
