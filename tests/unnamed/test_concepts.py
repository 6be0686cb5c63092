import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from cellcycle_jax.models.network import Network
from cellcycle_jax.scoring.intervals import Resampling
from cellcycle_jax.unnamed import concepts, parts

RESAMPLING = Resampling(0.95, 0)


def planted(n=1500, seed=0):
    """Activations in which a measurement and two hidden properties stand; the output is of all three."""
    rng = np.random.default_rng(seed)
    of_class = rng.random(n) < 0.5
    measured = rng.normal(size=n) + of_class
    first = rng.normal(size=n) + 1.5 * of_class
    second = rng.normal(size=n) + 0.5 * of_class
    mixing = np.zeros((3, 12))
    mixing[0, :4] = 1.0
    mixing[1, 4:8] = 1.0
    mixing[2, 8:] = 1.0
    activations = np.column_stack([measured, first, second]) @ mixing + 0.3 * rng.normal(size=(n, 12))
    hidden = first + second
    left = hidden - np.polyval(np.polyfit(measured, hidden, 1), measured)
    return activations, measured[:, None], left, of_class, first, second


def test_hidden_properties_are_divided_and_what_is_measured_is_none_of_them():
    activations, measured, left, of_class, first, second = planted()
    fit = np.arange(len(left)) < 1000
    amounts, directions = concepts.divide(activations, measured, left, fit, of_class.astype(str), seed=0)
    new = ~fit
    correlation = np.corrcoef(np.column_stack([amounts, first, second, measured])[new], rowvar=False)
    with_hidden = np.abs(correlation[:-3, -3:-1]).max(0)
    assert (with_hidden > 0.85).all()
    total = amounts[new].sum(1)
    assert np.corrcoef(total, left[new])[0, 1] > 0.95
    without_class = correlation[:-3, -1][np.abs(amounts[new]).std(0) > 0.05]
    assert np.abs(without_class).max() < 0.5


def test_an_amount_is_the_activations_times_its_direction_but_for_what_is_known():
    activations, _, left, of_class, *_ = planted()
    nothing_known = np.zeros((len(left), 1))
    amounts, directions = concepts.divide(
        activations, nothing_known, left, np.ones(len(left), bool), of_class.astype(str), seed=0
    )
    read = activations @ directions
    assert np.allclose(read - read.mean(0), amounts - amounts.mean(0), atol=1e-6)


def of_cells(seed_of_units=0):
    activations, measured, left, of_class, first, second = planted()
    order = np.random.default_rng(seed_of_units).permutation(activations.shape[1])
    fit = np.arange(len(left)) < 1000
    amounts, directions = concepts.divide(activations[:, order], measured, left, fit, of_class.astype(str), seed=0)
    names = np.array([f"c{k}" for k in range(len(left))])
    hidden = np.corrcoef(np.column_stack([amounts, first, second]), rowvar=False)[:-2, -2:]
    learnt = concepts.Concepts(names, fit, amounts, directions, "tap")
    return learnt.together(hidden.argmax(1)), left, of_class


class Cells:
    """What `describe` asks of validation cells."""

    def __init__(self, left, of_class, rows):
        rng = np.random.default_rng(5)
        fields = np.array([f"f{k}" for k in rng.integers(0, 12, len(rows))])
        self.crops = type("Crops", (), {
            "cell_id": np.array([f"c{k}" for k in rows]),
            "field_id": fields,
            "group_id": fields,
        })
        self.of_class = of_class[rows]
        self.outputs = parts.Outputs(left[None, rows], np.zeros((1, len(rows))), np.zeros((1, len(rows))))


def test_shares_add_up_and_two_networks_repeat_a_concept():
    first, left, of_class = of_cells()
    second, _, _ = of_cells(seed_of_units=3)
    cells = Cells(left, of_class, np.arange(1000, 1500))
    said = concepts.describe(first, second, 0, cells, RESAMPLING)
    assert len(said) == 2
    assert said[0].share.value + said[1].share.value == pytest.approx(1, abs=0.05)
    # The first hidden property differs three times as much between the classes as the second.
    assert said[0].share.value == pytest.approx(0.75, abs=0.08)
    assert said[0].stability.value > 0.9
    assert said[0].removal.high < 0


def test_where_nothing_is_left_there_is_no_concept():
    activations, measured, left, of_class, *_ = planted()
    fit = np.ones(len(left), bool)
    amounts, directions = concepts.divide(activations, measured, np.zeros(len(left)), fit, of_class.astype(str), seed=0)
    assert amounts.shape == (len(left), 0)
    none = concepts.Concepts(np.array([f"c{k}" for k in range(len(left))]), fit, amounts, directions, "tap")
    assert none.together([]) is none
    assert concepts.describe(none, none, 0, Cells(left, of_class, np.arange(1000, 1500)), RESAMPLING) == []


def test_those_of_one_name_are_added_up():
    first, *_ = of_cells()
    merged = first.together(["x"] * first.amounts.shape[1])
    assert np.allclose(merged.amounts[:, 0], first.amounts.sum(1))
    assert np.allclose(merged.directions[:, 0], first.directions.sum(1))


def test_cells_that_are_not_known_have_no_amount():
    first, *_ = of_cells()
    found = first.of(["c3", "elsewhere"])
    assert np.allclose(found[0], first.amounts[3])
    assert np.isnan(found[1]).all()


class Means(nn.Module):
    """A model whose last tap is the image."""

    @nn.compact
    def __call__(self, image, train):
        return jnp.zeros((len(image), 2)), {"image": image}


def test_the_reading_of_a_concept_has_its_amount_as_margin():
    image = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4, 4, 2)), jnp.float32)
    read = concepts.Reading(Network(Means(), {}), jnp.asarray([2.0, -1.0]), "image")
    logits = read.logits(image)
    expected = image.mean((1, 2)) @ jnp.asarray([2.0, -1.0])
    assert np.allclose(logits[:, 1] - logits[:, 0], expected, atol=1e-6)

