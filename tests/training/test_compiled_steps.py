import functools
import re

import jax
import numpy as np
import pytest

from cellcycle_jax import models
from cellcycle_jax.dataset import crop_arrays, model_input
from cellcycle_jax.devices import mesh, model_sharding
from cellcycle_jax.models.nagao2020 import NagaoCNN
from cellcycle_jax.models.resnet import ResNet
from cellcycle_jax.runs import state
from cellcycle_jax.training import augment, batches, compiled_steps, optimizers, train_step
from tests import tiny

AUGMENT = {"flip": True, "rotate_deg": 20.0, "shift": 0.05, "scale": 0.0, "intensity": 0.1}
SEEDS = (0, 1, 2)


@functools.lru_cache
def step_of(name="nagao2020", augmentation=True, dropout=0.3, devices=1):
    """A model, what it sees, the step of one model, and its start by seed."""
    model = models.build(name, 2, 4, 1, dropout)
    return parts_of(model, augmentation, devices)


def parts_of(model, augmentation=True, devices=1):
    optimizer = functools.partial(optimizers.make_optimizer, "adamw", "constant", 100)
    inputs = functools.partial(model_input.model_inputs, channels=(0, 1), mask="none", scale="reference")
    change = functools.partial(augment.augment, channels=(0, 1), stored=3, **AUGMENT)
    unchanged = lambda key, image: image  # noqa: E731
    augmented = change if augmentation else unchanged
    step = train_step.make_train_step(model, optimizer, inputs, augmented, layout(1, devices=devices))
    return model, inputs, step, state.make_create(model, optimizer(1.0, 0.0), (16, 16, 2))


def layout(members, by_host=None, devices=1):
    return model_sharding.choose_layout(members, mesh.make_mesh(jax.devices()[:devices]), by_host)


@functools.lru_cache  # compiling takes most of the time of these tests
def program_of(step, members, by_host=None, loops_on_cpu=False):
    return compiled_steps.make_train_program(step, layout(members, by_host), loops_on_cpu=loops_on_cpu)


def traits(seed=0, dropout=0.3):
    return state.make_settings(seed, [True, True], 1e-2, 1e-3, dropout, [1.0, 3.0])


def index_of(seeds, first, count, batch=8, most=5):
    """Rows i32 [R, most, batch] of `count` steps from `first` on."""
    index = np.zeros((len(seeds), most, batch), np.int32)
    for row, seed in zip(index, seeds, strict=True):
        row[:count] = train_step.batch_indices(seed, first, 16, batch, count)
    return index


def run(program, parts, seeds, counts, arrays=None, batch=8, valid=None, dropout=0.3):
    """State and sums after each dispatch of `counts` steps, by a program for as many models as seeds."""
    _, _, _, create = parts
    now = state.stack([jax.device_get(create(seed)) for seed in seeds])
    given = state.stack([traits(seed, dropout) for seed in seeds])
    arrays = crop_arrays.arrays_of(tiny.crops(16)) if arrays is None else arrays
    valid, done, found = np.ones(batch, np.float32) if valid is None else valid, 0, []
    for count in counts:
        now, sums = program(given, now, index_of(seeds, done, count, batch), np.full(len(seeds), count, np.int32),
                            arrays, valid)
        found.append(jax.device_get(sums))
        done += count
    return jax.device_get(now), found


@pytest.mark.parametrize("by_host, loops_on_cpu", [(True, False), (True, True), (False, False)])
def test_dispatches_of_any_length_give_the_same_bits(by_host, loops_on_cpu):
    parts = step_of("resnet")
    program = program_of(parts[2], 1, by_host, loops_on_cpu)
    for other in ([5, 1], [1, 1, 1, 1, 1, 1], [2, 4]):
        (whole, sums), (pieces, many) = run(program, parts, [0], [3, 3]), run(program, parts, [0], other)
        for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(pieces), strict=True):
            np.testing.assert_array_equal(a, b)
        losses, others = ([x for s in found for x in s["loss"][0].tolist() if x] for found in (sums, many))
        assert losses == others and len(losses) == 6


class Together(ResNet):
    """As ResNet, which does not say that the cells of a batch have nothing to do with each other."""

    independent_cells = False


@pytest.mark.parametrize("architecture", [NagaoCNN, ResNet, Together])
@pytest.mark.parametrize("loops_on_cpu", [True, False])
def test_two_devices_take_the_steps_of_one(architecture, loops_on_cpu):
    """Augmentation and dropout draw for each cell what they draw on one device."""
    model = architecture(classes=2, filters=4, depth=1, dropout=0.3)
    alone = parts_of(model)
    divided = parts_of(model, devices=2)
    wanted, (sums,) = run(program_of(alone[2], 1), alone, [0], [3])
    program = compiled_steps.make_train_program(divided[2], layout(1, devices=2), loops_on_cpu=loops_on_cpu)
    found, (own_sums,) = run(program, divided, [0], [3])
    np.testing.assert_allclose(own_sums["loss"], sums["loss"], rtol=1e-5)
    assert own_sums["count"].tolist() == sums["count"].tolist()
    for a, b in zip(jax.tree.leaves(found.params), jax.tree.leaves(wanted.params), strict=True):
        np.testing.assert_allclose(a, b, atol=3e-4)


@pytest.mark.parametrize("name", models.MODELS)
def test_devices_meet_to_add_up_the_gradients_only(name):
    """And to count the cells; no device is sent what another has of a batch."""
    _, _, step, create = step_of(name, devices=2)
    chosen = layout(1, devices=2)
    cells_of = lambda arrays, rows, i: {key: array[rows] for key, array in arrays.items()}  # noqa: E731
    program = compiled_steps.loop_program(step, cells_of, chosen, mesh.replicated(chosen.mesh))
    given = (state.stack([traits()]), state.stack([create(0)]), index_of([0], 0, 3), np.int32([3]))
    text = program.lower(*given, crop_arrays.arrays_of(tiny.crops(16)), np.ones(8, np.float32)).compile().as_text()
    met = re.findall(r" (all-[a-z-]+|collective-permute|reduce-scatter)\(", text)
    assert set(met) == {"all-reduce"} and len(met) <= 2


def test_what_fills_up_a_batch_does_not_count():
    parts = step_of(augmentation=False, dropout=0.0)
    program = program_of(parts[2], 1)
    whole, (sums,) = run(program, parts, [0], [1], batch=8, dropout=0.0)
    _, _, _, create = parts
    index = mesh.pad_to(index_of([0], 0, 1), 12)
    now, same = program(state.stack([traits(dropout=0.0)]), state.stack([create(0)]), index, np.int32([1]),
                        crop_arrays.arrays_of(tiny.crops(16)), np.float32([1] * 8 + [0] * 4))
    assert same["count"].tolist() == [[8, 0, 0, 0, 0]]
    np.testing.assert_allclose(same["loss"], sums["loss"], rtol=1e-5)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(now.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("by_host, name", [(True, "nagao2020"), (False, "nagao2020"), (False, "resnet")])
def test_models_side_by_side_are_the_models_alone(by_host, name):
    parts = step_of(name)
    together, sums = run(program_of(parts[2], len(SEEDS), by_host), parts, SEEDS, [3])
    one = program_of(parts[2], 1)
    for r, seed in enumerate(SEEDS):
        alone, own = run(one, parts, [seed], [3])
        np.testing.assert_allclose(sums[0]["loss"][r], own[0]["loss"][0], rtol=1e-4)
        member, alone = state.member(together, r), state.member(alone, 0)
        for a, b in zip(jax.tree.leaves(member), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a, b, atol=3e-4)


@pytest.mark.parametrize("by_host", [True, False])
def test_a_model_that_has_stopped_stays_as_it_is(by_host):
    parts = step_of("resnet")
    program = program_of(parts[2], 2, by_host)
    start = state.stack([jax.device_get(parts[3](seed)) for seed in (0, 1)])
    now, sums = program(state.stack([traits(0), traits(1)]), jax.tree.map(np.copy, start), index_of((0, 1), 0, 3),
                        np.int32([0, 3]), crop_arrays.arrays_of(tiny.crops(16)), np.ones(8, np.float32))
    assert now.step.tolist() == [0, 3] and sums["count"].sum(1).tolist() == [0, 24]
    for before, after in zip(jax.tree.leaves(start.params), jax.tree.leaves(now.params), strict=True):
        np.testing.assert_array_equal(before[0], after[0])
    assert any((a[1] != b[1]).any() for a, b in
               zip(jax.tree.leaves(start.params), jax.tree.leaves(now.params), strict=True))


def test_dropout_is_a_number_of_the_program():
    """A model built with another rate drops what its traits say, as flax's own layer of that rate does."""
    built, own = step_of(dropout=0.9), step_of(dropout=0.5)
    found = [run(program_of(parts[2], 1), parts, [0], [4], dropout=0.5)[0]
             for parts in (built, own)]
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_array_equal(a, b)
    none = run(program_of(own[2], 1), own, [0], [4], dropout=0.0)[0]
    assert any((a != b).any() for a, b in zip(jax.tree.leaves(none), jax.tree.leaves(found[0]), strict=True))


def test_training_learns_the_tiny_classes():
    model, inputs, step, _ = parts = step_of("resnet")
    crops = tiny.crops(16)
    now, _ = run(program_of(step, 1), parts, [0], [5] * 12)
    predict = compiled_steps.make_predict_program(model, inputs, layout(1))
    for resident in (True, False):
        cells = batches.EvaluationCells(crops, 5, layout(1), resident)
        logits = cells.logits(predict, now.variables, np.ones((1, 2), bool))
        assert logits.shape == (1, 16, 2) and (logits[0].argmax(1) == crops.label).all()
    assert now.step.tolist() == [60]


def test_a_loss_that_is_not_finite_shows_at_its_step():
    parts = step_of()
    arrays = crop_arrays.arrays_of(tiny.crops(16))
    rows = train_step.batch_indices(0, 0, 16, 1, 4).ravel()
    arrays["image_scale"] = np.where(np.arange(16)[:, None] == rows[2], np.inf, arrays["image_scale"])
    program = program_of(parts[2], 1)
    _, (sums,) = run(program, parts, [0], [4], arrays, batch=1)
    assert np.isfinite(sums["loss"][0]).tolist() == [True, True, False, False, True]


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("count", [1, 3])
def test_the_program_lowers_for_accelerators(platform, count):
    _, _, step, create = step_of("resnet")

    def cells_of(arrays, rows, i):
        return {name: a[rows] for name, a in arrays.items()}

    chosen = layout(count, by_host=False)
    program = compiled_steps.loop_program(step, cells_of, chosen, mesh.replicated(chosen.mesh))
    given = (state.stack([traits()] * count), state.stack([create(0)] * count), np.zeros((count, 5, 8), np.int32),
             np.ones(count, np.int32), crop_arrays.arrays_of(tiny.crops(16)), np.ones(8, np.float32))
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), given)
    assert jax.export.export(program, platforms=(platform,))(*shapes).platforms == (platform,)
