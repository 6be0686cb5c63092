import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from cellcycle_jax.counterfactual import shortest_edit
from cellcycle_jax.explain.edits import dose_response
from cellcycle_jax.models.network import Network
from cellcycle_jax.schema import Compartment as C
from tests.drawn import EVERY, PIECES, cell

SIZE = 48
CHANNELS = ("DNA", "Golgi", "EB1")
WAY = shortest_edit.Steps({"nuclear_area": 0.1, "dna_brightness": 0.2, "stain_area": 0.3})


class AboveTotal(nn.Module):
    """The margin of class 1 is by how much the sum of a channel exceeds a threshold, in shares of it."""

    channel: int
    threshold: float

    @nn.compact
    def __call__(self, image, train):
        total = image[..., self.channel].sum(axis=(1, 2)) / self.threshold - 1
        return jnp.stack([jnp.zeros_like(total), total], axis=1), {}


def drawn_cells(n=3):
    """The same cell several times, in groups of its own."""
    one = cell(SIZE, PIECES, cytoplasm=0.0)
    images = np.stack([one.image] * n).astype(np.float32)
    bits = np.stack([one.compartments] * n)
    groups = np.array([f"w{k}" for k in range(n)])
    return dose_response.EditedCells(images, bits, np.full(n, EVERY, np.uint8), groups, CHANNELS, "DNA", "Golgi")


def find(threshold_factor, into, channel=0):
    cells = drawn_cells()
    total = float(cells.images[0, ..., channel].sum())
    network = Network(AboveTotal(channel, threshold_factor * total), {})
    return cells, shortest_edit.find(network, cells, 1, np.full(3, 1e-6 if into else -1e-6), WAY)


def test_the_shortest_edit_brightens_a_nucleus_by_as_much_as_is_needed():
    # The nucleus has about 0.6 of the light, so 12 % more in all takes 20 % more of it: 0.9 steps of 0.2.
    cells, found = find(1.12, into=True)
    assert found.crosses.all()
    number = found.names.index("dna_brightness")
    assert found.steps[:, number] == pytest.approx(1.0, abs=0.01)
    others = np.delete(found.steps, number, axis=1)
    assert np.abs(others).max() < 0.05
    assert found.images[..., 0].sum() > 1.12 * cells.images[..., 0].sum()
    assert found.length == pytest.approx(1.0)


def test_hardly_across_is_not_far_enough_where_more_is_wanted():
    cells = drawn_cells()
    total = float(cells.images[0, ..., 0].sum())
    network = Network(AboveTotal(0, 1.12 * total), {})
    # A margin of 0.05 takes 1.12 * 1.05 = 1.18 times the light, so 1.3 times that of the nucleus: 1.3 steps.
    found = shortest_edit.find(network, cells, 1, np.full(3, 0.05), WAY)
    assert found.crosses.all()
    assert found.length == pytest.approx(1.5)


def test_out_of_the_class_the_edit_goes_the_other_way():
    _, found = find(0.93, into=False)
    assert found.crosses.all()
    assert (found.steps[:, found.names.index("dna_brightness")] < -0.4).all()


def test_an_edit_of_the_stain_is_found_where_the_network_reads_it():
    _, found = find(1.2, into=True, channel=1)
    assert found.crosses.all()
    assert (np.abs(found.steps).argmax(1) == found.names.index("stain_area")).all()


def test_cells_stay_as_they_are_where_no_edit_moves_the_network():
    cells = drawn_cells()
    network = Network(AboveTotal(2, 1e9), {})  # no edit changes EB1
    found = shortest_edit.find(network, cells, 1, np.full(3, 0.1), shortest_edit.Steps({"dna_brightness": 0.2}))
    assert not found.crosses.any()
    assert (found.length == 0).all()
    assert np.array_equal(found.images, cells.images)


def test_where_nothing_can_be_edited_no_cell_crosses():
    cells = drawn_cells()
    found = shortest_edit.find(Network(AboveTotal(0, 1.0), {}), cells, 1, np.ones(3), shortest_edit.Steps({}))
    assert not found.crosses.any()
    assert found.length.tolist() == [0, 0, 0]


def test_edits_are_made_one_after_the_other():
    one = drawn_cells().single[0]
    edited = shortest_edit.edit_together(one, {"nuclear_area": 1.0, "dna_brightness": 1.0}, WAY)
    nucleus = int(C.NUCLEUS)
    grown = (edited.compartments & nucleus > 0).sum() / (one.compartments & nucleus > 0).sum()
    assert grown == pytest.approx(np.exp(0.1), abs=0.03)
    body = one.compartments & int(C.BODY) > 0
    brighter = edited.image[body, 0].sum() / one.image[body, 0].sum()
    assert brighter == pytest.approx(np.exp(0.2), abs=0.03)


def test_a_nucleus_that_is_seen_relative_to_its_brightest_pixel_does_not_get_dimmer_as_it_grows():
    one = drawn_cells().single[0]
    nucleus = one.compartments & int(C.NUCLEUS) > 0
    grown = shortest_edit.edit_together(one, {"nuclear_area": 2.0}, WAY)
    assert grown.image[nucleus, 0].max() < 0.9 * one.image[nucleus, 0].max()
    relative = shortest_edit.Steps(WAY.spread, relative=True)
    edited = shortest_edit.edit_together(one, {"nuclear_area": 2.0}, relative)
    inside = edited.compartments & int(C.NUCLEUS) > 0
    assert edited.image[inside, 0].max() == pytest.approx(1)


def test_spreads_are_those_of_the_logarithm():
    cells = drawn_cells(4)
    factors = np.array([1.0, 1.1, 1.2, 1.5], np.float32)
    brighter = dose_response.EditedCells(
        cells.images * factors[:, None, None, None],
        cells.compartments,
        cells.present,
        cells.groups,
        CHANNELS,
        "DNA",
        "Golgi",
    )
    found = shortest_edit.spreads(brighter, ["nuclear_area", "dna_brightness"])
    assert found == {"dna_brightness": pytest.approx(np.log(factors).std(), rel=1e-4)}
