import flax.linen as nn
import jax
import numpy as np
import pytest

from cellcycle_jax import models
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks import map_similarity, randomisation
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.explain.checks.faithfulness import Predictions, faithfulness
from cellcycle_jax.models.network import Network
from cellcycle_jax.runs.state import init_variables
from tests.explain.checks.test_map_similarity import GROUPS, INTERVALS, SHAPE, noise
from tests.weighed_network import UPPER, make_cells, make_run

LAYERS = {"nagao2020": ("convs_0", "convs_1", "hidden", "head"), "resnet": ("first", "blocks_0", "blocks_1", "head")}

draw = jax.jit(init_variables, static_argnums=(0, 2))


class Linear(nn.Module):
    """A dense layer on all pixels."""

    @nn.compact
    def __call__(self, image, train):
        taps = {"image": self.perturb("image", image)}
        return nn.Dense(2, name="head")(taps["image"].reshape(len(image), -1)), taps


class Upside(nn.Module):
    """Its layers are made, and sorted by name, in another order than they are called."""

    def setup(self):
        self.a, self.b, self.c = nn.Dense(2), nn.Dense(3), nn.Dense(4)

    def __call__(self, image, train):
        return self.a(self.c(self.b(image.mean((1, 2))))), {}


def trained(model):
    """A network with weights of which none is what `init_variables` draws."""
    return Network(model, jax.tree.map(lambda leaf: leaf + 1, draw(model, 7, SHAPE)))


@pytest.mark.parametrize("name", LAYERS)
def test_layers_stand_in_the_order_of_the_network(name):
    model = models.build(name, 2, 2, 1, 0.3)
    assert randomisation.layer_order(trained(model), SHAPE) == LAYERS[name]


def test_the_order_is_that_of_the_calls():
    assert randomisation.layer_order(trained(Upside()), SHAPE) == ("b", "c", "a")


@pytest.mark.parametrize("name", LAYERS)
def test_the_cascade_replaces_what_it_says_and_keeps_it_replaced(name):
    model = models.build(name, 2, 2, 1, 0.3)
    first = trained(model)
    before = jax.tree.map(np.array, first.variables)
    fresh = draw(model, 5, SHAPE)
    replaced = set()
    for layer, network in randomisation.randomised_cascade(first, SHAPE, 5):
        variables = network.variables
        replaced.add(layer)
        assert set(variables["params"]) == set(LAYERS[name])
        for other, weights in variables["params"].items():
            expected = (fresh if other in replaced else before)["params"][other]
            jax.tree.map(np.testing.assert_array_equal, weights, expected)
    assert replaced == set(LAYERS[name])
    jax.tree.map(np.testing.assert_array_equal, first.variables, before)
    equal = jax.tree.map(lambda new, old: bool((new == old).any()), variables["params"], before["params"])
    assert not any(jax.tree.leaves(equal))


def test_the_cascade_goes_from_the_output_to_the_input():
    model = models.build("nagao2020", 2, 2, 1, 0.3)
    layers = [layer for layer, _ in randomisation.randomised_cascade(trained(model), SHAPE, 0)]
    assert layers == ["head", "hidden", "convs_1", "convs_0"]


def test_labels_that_change_nothing_fail_and_other_maps_pass():
    maps = noise(0)
    for same in (maps, -maps):
        found = randomisation.label_randomisation(maps, same, GROUPS, INTERVALS, 0.5)
        assert (found["passes"], found["strength"].value) == (False, pytest.approx(1))
    assert randomisation.label_randomisation(maps, noise(1), GROUPS, INTERVALS, 0.5)["passes"]
    assert not randomisation.label_randomisation(maps, noise(1), GROUPS, INTERVALS, 0.01)["passes"]


def test_the_upper_bound_decides():
    maps, half = noise(0), noise(1)
    half[:19] = maps[:19]  # the mean is below the threshold, its bound is not
    found = randomisation.label_randomisation(maps, half, GROUPS, INTERVALS, 0.55)
    assert found["strength"].value < 0.55 < found["strength"].high
    assert not found["passes"]


def test_flat_maps_prove_nothing():
    maps = noise(0)
    assert not randomisation.label_randomisation(maps, np.zeros_like(maps), GROUPS, INTERVALS, 0.5)["passes"]


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(size=(len(GROUPS), *SHAPE)).astype(np.float32)


def test_a_map_that_asks_no_network_fails(images):
    model = models.build("nagao2020", 2, 2, 1, 0.3)
    edges = map_similarity.edges(images)
    found = randomisation.weight_randomisation(
        edges, lambda network: edges, trained(model), SHAPE, GROUPS, INTERVALS, 0.5
    )
    layers = list(dict.fromkeys(row["layer"] for row in found["rows"]))
    assert layers == ["head", "hidden", "convs_1", "convs_0", randomisation.FLOOR]
    assert {row["measure"] for row in found["rows"]} == {"spearman", "strength", "ssim"}
    assert [row["value"] for row in found["rows"]] == pytest.approx([1] * 15)
    assert not found["passes"]


def test_gradient_times_input_of_a_linear_model_passes(images):
    variables = draw(Linear(), INTERVALS.seed, SHAPE)  # what a training with this seed would begin with
    index = np.zeros(len(images), np.int32)

    def maps_of(network):
        return methods.attribute("gradient_x_input", network, images, index, "image")

    network = Network(Linear(), variables)
    maps = maps_of(network)
    found = randomisation.weight_randomisation(maps, maps_of, network, SHAPE, GROUPS, INTERVALS, 0.5)
    assert found["passes"]
    assert found["strength"].high < 0.2
    assert found["floor"].value < 0.2
    assert found["threshold"] == 0.5


def test_the_verdict_is_about_the_last_stage_and_the_floor_about_random_networks():
    # Each stage of the cascade has maps of its own: like the trained one's until the first layer is drawn anew, and
    # the random networks' maps are all the same.
    model = models.build("nagao2020", 2, 2, 1, 0.3)
    network = trained(model)
    first = network.variables["params"]["convs_0"]["bias"]

    def maps_of(changed):
        return noise(0) if np.array_equal(changed.variables["params"]["convs_0"]["bias"], first) else noise(1)

    found = randomisation.weight_randomisation(noise(0), maps_of, network, SHAPE, GROUPS, INTERVALS, 0.5, draws=3)
    strength = {row["layer"]: row["value"] for row in found["rows"] if row["measure"] == "strength"}
    assert [strength[layer] for layer in ("head", "hidden", "convs_1")] == pytest.approx([1, 1, 1])
    assert found["strength"].value == strength["convs_0"] < 0.1
    assert found["floor"].value == strength[randomisation.FLOOR] == pytest.approx(1)
    assert found["passes"]


def test_trivial_maps_are_scored_as_any_other(images):
    weight = 4 * np.repeat(map_similarity.centre(images[:1])[0], 2, -1).reshape(-1, 1) * [[1, -1]]
    variables = {"params": {"head": {"kernel": np.float32(weight) / len(weight), "bias": np.zeros(2, np.float32)}}}
    predictions = Predictions(Network(Linear(), variables), images, np.zeros(len(images), np.int32))
    values = {}
    for name, trivial in map_similarity.TRIVIAL.items():
        maps = trivial(images)
        rows, _ = faithfulness(predictions, maps, GROUPS, INTERVALS, fills=("zero",))
        values[name] = rows[0]
    assert values["centre"]["low"] > 0  # the network sums up the middle of the crop
    assert values["centre"]["low"] > max(values["edges"]["high"], values["intensity"]["high"])
    centre = map_similarity.centre(images)[0]
    assert centre[centre > 0.5].sum() / centre.sum() > 5 * (centre > 0.5).mean()


def test_runs_on_permuted_labels_are_told_from_other_seeds():
    """The other seed is the same network; the one on permuted labels reads the other half of the crop."""
    cells = make_cells(make_run(UPPER), [0, 1] * 8)
    permuted, seed = make_run(~UPPER, labels="permuted"), make_run(UPPER)
    seed.config.seed = 1
    found = randomisation.ask(Evidence(cells, [permuted, seed]))["integrated_gradients"]
    assert next(row for row in found["seeds"] if row["measure"] == "spearman")["value"] == pytest.approx(1)
    assert len(found["labels"]) == 1 and found["labels"][0]["strength"].value < 0.9
    alone = randomisation.ask(Evidence(cells))["integrated_gradients"]
    assert alone["seeds"] is None and alone["labels"] is None
