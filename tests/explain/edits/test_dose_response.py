import dataclasses

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from cellcycle_jax.explain.edits import dose_response
from cellcycle_jax.models.network import Network
from cellcycle_jax.schema import Compartment as C
from cellcycle_jax.scoring.intervals import Interval, Resampling
from tests.drawn import EVERY, PIECES, cell

SIZE, NAMES = 48, ("nuclear_area", "dna_brightness", "stain_area", "stain_spread")
OPTIONS = Resampling(0.9, 0)
CHANNELS = ("DNA", "Golgi", "EB1")


class Total(nn.Module):
    """The logit of class 1 is the sum of one channel over 100; those of the others are 0 and twice 0.3."""

    channel: int

    @nn.compact
    def __call__(self, image, train):
        total = image[..., self.channel].sum(axis=(1, 2)) / 100
        return jnp.stack([jnp.zeros_like(total), total, jnp.full_like(total, 0.6)], axis=1), {}


def population(places=(PIECES,) * 6):
    """Six cells in six groups, each brighter than the one before, with no stain but its objects."""
    cells = [cell(SIZE, p, cytoplasm=0.0) for p in places]
    images = np.stack([c.image * (1 + 0.2 * i) for i, c in enumerate(cells)]).astype(np.float32)
    return (images, np.stack([c.compartments for c in cells]), np.full(len(cells), EVERY, np.uint8),
            np.array(list("abcdef")[: len(cells)]))


def respond(model, cells, names=NAMES, class_index=1, **options):
    edited = dose_response.EditedCells(*cells, CHANNELS, "DNA", "Golgi")
    rows = dose_response.dose_response(Network(model, {}), edited, class_index, names, OPTIONS, **options)
    return {row["edit"]: row for row in rows}


@pytest.fixture(scope="module")
def of_dna():
    return respond(Total(0), population())


@pytest.fixture(scope="module")
def of_golgi():
    return respond(Total(1), population())


def test_a_sum_of_the_nuclear_channel_follows_its_brightness_as_computed(of_dna):
    images, bits, *_ = population()
    nucleus = bits & int(C.NUCLEUS) > 0
    weight = np.stack([np.where(n, 1, 0.5 * ndimage.binary_dilation(n)) for n in nucleus])
    # The pixels aslant of the outline are 1.4 px away and count by less.
    weight += np.stack([(1 - np.sqrt(2) / 2) * (ndimage.binary_dilation(n, np.ones((3, 3)))
                                                & ~ndimage.binary_dilation(n)) for n in nucleus])
    light = (images[..., 0] * weight).sum((1, 2)) / 100
    row = of_dna["dna_brightness"]
    assert row["slope"].value == pytest.approx(0.1 * light.mean(), rel=1e-4)
    for step in row["doses"]:
        assert step["realised"] == pytest.approx(step["dose"], abs=1e-6)
        assert step["margin"].value == pytest.approx(step["dose"] * light.mean(), rel=1e-4, abs=1e-6)
    assert row["certain"] and row["n_cells"] == 6 and row["n_groups"] == 6 and row["channel"] == "DNA"


def test_a_sum_of_the_nuclear_channel_does_not_see_a_nucleus_that_grows_without_gaining_light(of_dna):
    row = of_dna["nuclear_area"]
    assert [step["realised"] for step in row["doses"]] == pytest.approx([-0.2, -0.1, 0, 0.1, 0.2], abs=0.03)
    assert abs(row["slope"].value) < 1e-4 * of_dna["dna_brightness"]["slope"].value
    assert of_dna["stain_area"]["slope"].value == of_dna["stain_spread"]["slope"].value == 0
    assert not of_dna["stain_area"]["certain"]


def test_a_sum_of_the_stain_reacts_to_the_area_of_its_pieces_only(of_golgi):
    images, *_ = population()
    light = images[..., 1].sum((1, 2)).mean() / 100
    assert of_golgi["stain_area"]["slope"].value == pytest.approx(0.1 * light, rel=0.05)
    assert of_golgi["stain_area"]["certain"] and of_golgi["stain_area"]["channel"] == "Golgi"
    for name in ("nuclear_area", "dna_brightness", "stain_spread"):
        assert abs(of_golgi[name]["slope"].value) < 0.02 * of_golgi["stain_area"]["slope"].value, name


def test_the_margin_is_the_logit_less_the_mean_of_the_others(of_dna):
    change = of_dna["dna_brightness"]["doses"][-1]["margin"].value
    other = respond(Total(0), population(), ("dna_brightness",), 0)["dna_brightness"]["doses"][-1]["margin"].value
    assert other == pytest.approx(-change / 2, rel=1e-5)


def test_the_probability_is_that_of_the_softmax():
    cells = population((PIECES,))
    step = respond(Total(0), cells, ("dna_brightness",), doses=(0.0, 0.2))["dna_brightness"]["doses"][1]
    margin = step["margin"].value
    before = cells[0][..., 0].sum(dtype=float) / 100

    def probability(logit):
        return np.exp(logit) / (1 + np.exp(logit) + np.exp(0.6))

    expected = probability(before + margin) - probability(before)
    assert step["probability"].value == pytest.approx(expected, rel=1e-3)


def test_slopes_are_per_realised_dose(of_dna, monkeypatch):
    whole = dose_response.EDITS["dna_brightness"]
    monkeypatch.setitem(
        dose_response.EDITS, "half", dataclasses.replace(whole, apply=lambda c, dose: whole.apply(c, dose / 2))
    )
    row = respond(Total(0), population(), ("half",))["half"]
    assert row["doses"][-1]["realised"] == pytest.approx(0.1, abs=1e-5)
    assert row["slope"].value == pytest.approx(of_dna["dna_brightness"]["slope"].value, rel=1e-4)


def test_intervals_resample_groups(of_dna):
    images, bits, present, groups = population()
    alike = np.repeat(images[:1], 6, axis=0), np.repeat(bits[:1], 6, axis=0), present, groups
    slope = respond(Total(0), alike, ("dna_brightness",))["dna_brightness"]["slope"]
    assert np.isfinite(slope.value) and np.isnan(slope.low)  # no group differs from another
    one_group = images, bits, present, np.array(["a"] * 6)
    row = respond(Total(0), one_group, ("dna_brightness",))["dna_brightness"]
    assert np.isnan(row["slope"].low) and not row["certain"]  # one group tells no interval
    slope = of_dna["dna_brightness"]["slope"]
    assert slope.low < slope.value < slope.high


def test_cells_that_cannot_be_edited_are_counted_by_reason():
    cells = population((PIECES, PIECES[:1], (), PIECES))
    cells[2][3] = int(C.NUCLEUS)
    rows = respond(Total(1), cells)
    few = "fewer than {} objects of the organelle"
    unknown = "the objects of the organelle are not known"
    assert rows["stain_spread"]["left_out"] == {few.format(2): 2, unknown: 1} and rows["stain_spread"]["n_cells"] == 1
    assert rows["stain_area"]["left_out"] == {few.format(1): 1, unknown: 1} and rows["stain_area"]["n_cells"] == 2
    assert rows["nuclear_area"]["left_out"] == {} and rows["nuclear_area"]["n_cells"] == 4


def test_an_edit_that_no_cell_allows_has_no_slope():
    images, bits, present, groups = population()
    unseen = dose_response.EditedCells(images[..., 1:], bits, present, groups, ("Golgi", "EB1"), "DNA", "Golgi")
    (row,) = dose_response.dose_response(Network(Total(0), {}), unseen, 1, ("dna_brightness",), OPTIONS)
    assert (row["n_cells"], row["n_groups"], row["doses"], row["slope"], row["channel"]) == (0, 0, [], None, "")
    assert row["left_out"] == {"the model does not see the nuclear channel": 6}


def made(edit, channel, slope, sure=True):
    return {"edit": edit, "words": edit, "channel": channel, "slope": slope and Interval(slope), "certain": sure}


def test_agreement_compares_the_strongest_edit_of_each_channel_with_the_shares():
    rows = [made("nuclear_area", "DNA", 0.2), made("dna_brightness", "DNA", -0.9), made("stain_area", "Golgi", 0.5),
            made("stain_spread", "Golgi", None)]
    found = dose_response.agreement(rows, {"DNA": 0.7, "Golgi": 0.3})
    assert found["effects"] == {"DNA": 0.9, "Golgi": 0.5} and found["by_edits"] == "DNA" and found["agree"] is True
    assert found["edits"] == {"DNA": "dna_brightness", "Golgi": "stain_area"}
    assert "-0.900" in found["sentence"] and "DNA 70 %" in found["sentence"]
    assert dose_response.agreement(rows, {"DNA": 0.4, "Golgi": 0.6})["agree"] is False


def test_agreement_is_not_claimed_where_it_cannot_be_known():
    rows = [made("dna_brightness", "DNA", 0.9), made("stain_area", "Golgi", 0.5)]
    assert dose_response.agreement(rows[:1], {"DNA": 0.7, "Golgi": 0.3})["agree"] is None
    assert dose_response.agreement(rows, {"DNA": 0.2, "Golgi": 0.3, "EB1": 0.5})["agree"] is None
    unsure = [made("dna_brightness", "DNA", 0.9, sure=False), rows[1]]
    assert dose_response.agreement(unsure, {"DNA": 0.7, "Golgi": 0.3})["agree"] is None
    assert dose_response.agreement([], {"DNA": 1.0})["sentence"] == "No edit of a channel could be made."
