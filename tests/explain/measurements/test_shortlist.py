import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.explain.measurements import shortlist, shortlist_comparison
from cellcycle_jax.features import families, feature_axes
from cellcycle_jax.scoring.intervals import Interval, Resampling
from tests.planted import CLASSES, DNA, GOLGI, make_cells, split

CHANNELS, STAINS = ("DNA", "Golgi", "EB1"), ("Golgi",)
RESAMPLING = Resampling(0.95, 0)
STAIN = {("Golgi", "organelle"): 1.0}
NOISE = ["Nuclei_AreaShape_Orientation", "Cells_Number_Objects_Golgi", "Cells_Number_Spots_Golgi",
         "Cells_Distance_Spread_Golgi", "Nuclei_Texture_Contrast_DNA", "Nuclei_Texture_Contrast_Golgi",
         "Cells_Intensity_MeanIntensity_DNA",
         "Cells_Intensity_MeanIntensity_Golgi", "Nuclei_Intensity_MeanIntensity_Golgi"]
PIECES = "Cells_Number_Objects_Golgi"


def place(cells, columns):
    """Planted cells of both splits in linear coordinates, and the families of `columns`."""
    train = split(cells, "train")
    axes = feature_axes.learn_axes(train, columns, {})
    placed = [feature_axes.place(split(cells, name), axes, CLASSES, name) for name in ("train", "validation")]
    return (*placed, families.families([axis.feature for axis in axes], CHANNELS, STAINS))


def noisy_cells(seed=0, **changes):
    """Planted cells among whose measurements many more say nothing; what they are made of is in `NOISE`."""
    cells, rng = make_cells(1200, seed), np.random.default_rng(seed + 100)
    for column in NOISE:
        cells[column] = np.exp(rng.normal(size=len(cells)))
    return cells.assign(**changes)


def pick(values, logit, weights, **changes):
    values = pd.DataFrame(values)
    return shortlist.shortlist(weights, families.families(values.columns, CHANNELS, STAINS), values, logit, **changes)


def test_the_golgi_is_listed_first_where_the_map_points_at_it():
    cells = make_cells()
    train, _, known = place(cells, [DNA, GOLGI, schema.NUCLEAR_AREA, PIECES])
    # The network follows the DNA, which also separates the labels best; but the map lies on the Golgi.
    logit = train.linear[DNA].to_numpy() + 0.1 * train.linear[GOLGI].to_numpy()
    found = shortlist.shortlist(STAIN, known, train.linear, logit)
    assert found[0] == GOLGI and set(found) <= {GOLGI, PIECES}
    both = STAIN | {("DNA", "nucleus"): 0.01}
    assert shortlist.shortlist(both, known, train.linear, logit)[0] == GOLGI
    assert DNA in shortlist.shortlist(both, known, train.linear, logit)
    assert shortlist.shortlist({("DNA", "nucleus"): 1.0}, known, train.linear, logit)[0] == DNA


def test_the_order_is_weight_times_correlation_by_hand():
    logit = np.arange(10.0)
    swapped = np.array([0, 9, 2, 3, 4, 5, 6, 7, 8, 1.0])  # sum of squared rank differences 128: rho = 1 - 768 / 990
    values = {DNA: swapped, GOLGI: -logit}
    at = {("DNA", "nucleus"): 1.0, ("Golgi", "organelle"): 0.23, ("Golgi", "organelle outline"): 0.1}
    assert pick(values, logit, at) == [GOLGI]  # beyond which there is nothing left to follow
    assert pick(values, logit, at | {("Golgi", "organelle"): 0.22}) == [DNA, GOLGI]  # 0.1 + 0.22 is no weight


def test_one_measurement_of_a_family_and_no_repeats():
    rng = np.random.default_rng(0)
    size, golgi = rng.normal(size=(2, 400))
    values = {schema.NUCLEAR_AREA: size, "Nuclei_AreaShape_Perimeter": size + rng.normal(size=400),
              "Nuclei_Texture_Contrast_DNA": -(size**3), GOLGI: golgi}
    everywhere = {("DNA", place): 1.0 for place in ("nucleus", "nuclear rim")} | STAIN
    # The perimeter is of the same family, the texture the same measurement turned round.
    assert pick(values, size + 0.5 * golgi, everywhere) == [schema.NUCLEAR_AREA, GOLGI]


def test_what_only_goes_along_with_a_measurement_is_not_listed_beside_it():
    rng = np.random.default_rng(1)
    size, golgi, noise = rng.normal(size=(3, 2000))
    values = {"Nuclei_Texture_Contrast_DNA": size + 0.7 * noise, schema.NUCLEAR_AREA: size, GOLGI: golgi}
    everywhere = {("DNA", "nucleus"): 1.0} | STAIN
    for share, listed in ((0.3, [schema.NUCLEAR_AREA, GOLGI]), (0.05, [schema.NUCLEAR_AREA])):
        assert pick(values, size + share * golgi, everywhere) == listed  # its own part is 0.29, or 0.05
    both = pick(values, size - 0.5 * noise, everywhere)  # what the texture holds beside the size counts
    assert both == [schema.NUCLEAR_AREA, "Nuclei_Texture_Contrast_DNA"]


def test_ties_keep_the_order_of_the_columns_and_the_number_is_held():
    logit = np.arange(8.0)
    scattered = np.random.default_rng(0).normal(size=(2, 8))
    values = {PIECES: np.array([0, 1, 2, 3, 4, 7, 6, 5.0]), GOLGI: np.array([2, 1, 0, 3, 4, 5, 6, 7.0])}
    assert pick(values, logit, STAIN)[:1] == [PIECES]
    values = {GOLGI: values[GOLGI], PIECES: values[PIECES], "Cells_Distance_Spread_Golgi": scattered[0]}
    assert pick(values, logit, STAIN, most=1) == [GOLGI]


def test_missing_and_constant_measurements_and_weights_are_passed_over():
    logit = np.arange(20.0)
    half = np.where(logit < 10, np.nan, logit)
    values = {PIECES: half, GOLGI: np.full(20, np.nan), "Cells_Number_Spots_Golgi": np.ones(20)}
    assert pick(values, logit, STAIN) == [PIECES]
    assert pick(values, logit, {("Golgi", "organelle"): np.nan}) == []
    assert pick(values, np.ones(20), STAIN) == []  # a network that always says the same follows nothing
    assert pick(values, logit, {}) == []


def test_a_map_without_channels_points_at_every_channel():
    logit = np.arange(10.0)
    values = {DNA: logit, "Nuclei_Texture_Contrast_Golgi": np.roll(logit, 4), GOLGI: logit + np.roll(logit, 4)}
    found = pick(values, 2 * logit + np.roll(logit, 4), {(None, "nucleus"): 1.0})
    assert found == [DNA, "Nuclei_Texture_Contrast_Golgi"]


def compare(by_map, known, train, cells, without_map=None, without_network=None, dealt=None, **more):
    lists = shortlist.Shortlists(by_map, without_map or by_map, without_network or by_map, dealt or [by_map])
    return shortlist_comparison.compare(lists, known, train, cells, RESAMPLING, **more)


def test_a_map_that_names_the_planted_pair_is_better_than_chance():
    train, validation, known = place(noisy_cells(), [DNA, GOLGI, *NOISE])
    by_map = [DNA, GOLGI, *NOISE[:3]]
    found = compare(by_map, known, train, validation)
    assert set(found["map"]["pair"]) == {DNA, GOLGI} and found["map"]["shortlist"] == by_map
    assert found["map"]["low"] < 0.910 < found["map"]["high"]  # Phi(2.68 / 2), as in test_ranking
    assert found["random"]["draws"] >= 20
    assert found["random"]["lowest"] <= found["random"]["value"] <= found["random"]["highest"]
    gap = found["differences"]["map - random"]
    assert gap.low > 0 and gap.value == pytest.approx(found["map"]["value"] - found["random"]["value"])
    # The two best single measurements are the planted ones, so there is nothing to gain.
    assert found["univariate"]["pair"] == found["map"]["pair"]
    same = found["differences"]["map - univariate"]
    assert same.value == 0 and np.isnan(same.low)
    assert "points better than randomly chosen families (95 % interval" in found["verdict"]
    assert "That lead says nothing about the map" in found["verdict"]
    assert "The best single measurements give the same pair, too." in found["verdict"]


def test_a_map_is_held_against_the_same_choice_without_it():
    train, validation, known = place(noisy_cells(), [DNA, GOLGI, *NOISE])
    planted, noise = [DNA, GOLGI, *NOISE[:3]], NOISE[:5]
    same = compare(planted, known, train, validation)
    assert same["without_map"]["pair"] == same["map"]["pair"]
    assert "gives the same pair: the map adds nothing here." in same["verdict"]
    helps = compare(planted, known, train, validation, without_map=noise)
    gap = helps["differences"]["map - without_map"]
    assert gap.low > 0
    assert gap.value == pytest.approx(helps["map"]["value"] - helps["without_map"]["value"])
    assert "points better than the same choice without the map (95 % interval" in helps["verdict"]
    harms = compare(noise, known, train, validation, without_map=planted)
    assert "points worse than the same choice without the map (95 % interval" in harms["verdict"]


def test_what_adds_is_said_in_one_plain_sentence():
    train, validation, known = place(noisy_cells(), [DNA, GOLGI, *NOISE])
    planted, noise = [DNA, GOLGI, *NOISE[:3]], NOISE[:5]

    def last_sentence(**controls):
        return compare(planted, known, train, validation, **controls)["verdict"].split("In short: ")[1]

    assert last_sentence().startswith("neither the map nor the network adds anything here")
    assert last_sentence(without_map=noise).startswith("the map adds to this choice, but labels")
    assert last_sentence(without_network=noise).startswith("the network adds to what labels and measurements alone")
    assert last_sentence(without_map=noise, without_network=noise).startswith("the map and the network both add")


def test_weights_that_are_dealt_out_say_how_often_chance_is_as_good():
    train, validation, known = place(noisy_cells(), [DNA, GOLGI, *NOISE])
    planted, noise = [DNA, GOLGI, *NOISE[:3]], NOISE[:5]
    found = compare(planted, known, train, validation, dealt=[planted, noise, noise, noise])
    assert found["dealt"]["draws"] == 4 and found["dealt"]["as_good"] == 0.25
    assert "dealt out to other regions 25 % of 4 choices are as good or better." in found["verdict"]
    assert found["differences"]["map - dealt"].value == pytest.approx(found["map"]["value"] - found["dealt"]["value"])
    assert compare(planted, known, train, validation, dealt=[[], [DNA]])["map"] is None  # none of them has a pair


def test_the_controls_differ_in_the_map_alone_or_have_no_network():
    rng = np.random.default_rng(0)
    golgi, dna, noise = rng.normal(size=(3, 600))
    values = pd.DataFrame({DNA: dna, GOLGI: golgi, PIECES: noise})
    known = families.families(values.columns, CHANNELS, STAINS)
    weights = {("DNA", "nucleus"): 1.0, ("Golgi", "organelle"): 0.5}
    logit = golgi + 0.6 * dna  # what the network follows most, and second
    lists = shortlist.Shortlists.choose(weights, known, values, logit, dna + noise > 0, seed=0)
    assert lists.by_map == shortlist.shortlist(weights, known, values, logit) == [DNA, GOLGI]
    assert lists.without_map == [GOLGI, DNA]  # as the network follows them
    assert set(lists.without_network) == {DNA, PIECES}  # as the labels do
    assert len(lists.dealt) == shortlist.DEALS >= 200
    starts = [listed[0] for listed in lists.dealt]
    assert 0.35 < starts.count(DNA) / len(starts) < 0.65 and set(starts) == {DNA, GOLGI}


def test_no_control_chooses_from_more_measurements_than_the_map():
    train, validation, known = place(noisy_cells(), [DNA, GOLGI, *NOISE])
    found = compare(NOISE[:2], known, train, validation, without_map=[*NOISE[:3], DNA, GOLGI])
    assert found["without_map"]["shortlist"] == NOISE[:2]
    assert len(found["univariate"]["shortlist"]) == 2


def test_a_map_can_name_what_no_single_measurement_shows():
    rng = np.random.default_rng(3)
    cells = noisy_cells()
    g2, hidden = (cells[schema.LABEL] == "G2").to_numpy(), rng.normal(size=len(cells))
    # Alone each is close to chance; their difference is the class.
    pair = ["Cells_Number_Spots_Golgi", "Cells_Distance_Spread_Golgi"]
    for column, sign in zip(pair, (1, -1), strict=True):
        cells[column] = np.exp(2 * hidden + 0.4 * sign * (g2 - 0.5) + rng.normal(scale=0.05, size=len(cells)))
    for number, column in enumerate(c for c in NOISE if c not in pair):
        cells[column] = np.exp(0.5 * g2 + rng.normal(size=len(cells))) if number < 5 else cells[column]
    train, validation, known = place(cells, NOISE)
    alike = train.linear[pair].corr("spearman").iloc[0, 1]
    known = {c: known[c] for c in NOISE}
    assert alike > 0.9  # so they would count as one: the shortlist by the map is given here
    found = compare([*pair], known, train, validation)
    assert found["differences"]["map - univariate"].low > 0.1
    assert "points better than the best single measurements (95 % interval" in found["verdict"]


def test_a_map_that_names_noise_is_said_to_be_worse():
    train, validation, known = place(noisy_cells(), [DNA, GOLGI, *NOISE])
    found = compare(NOISE[:5], known, train, validation)
    assert found["differences"]["map - univariate"].high < 0
    assert "points worse than the best single measurements" in found["verdict"]
    assert "separates the classes at all is not certain" in found["verdict"]


def test_where_nothing_separates_the_verdict_says_so():
    train, validation, known = place(noisy_cells(seed=4), NOISE)
    found = compare(NOISE[4:9], known, train, validation)
    for gap in found["differences"].values():
        assert gap.value == 0 or gap.low <= 0 <= gap.high
    assert "The best single measurements give the same pair, too." in found["verdict"]
    assert "cannot be distinguished from randomly chosen families" in found["verdict"]
    assert "That lead" not in found["verdict"]
    assert "separates the classes at all is not certain" in found["verdict"]


def test_the_pair_is_chosen_without_validation_cells():
    train, validation, known = place(noisy_cells(), [DNA, GOLGI, *NOISE])
    turned = feature_axes.ProjectedCells(validation.rows, validation.shown, validation.linear, ~validation.positive)
    by_map = [DNA, GOLGI, NOISE[0]]
    right, wrong = (compare(by_map, known, train, cells) for cells in (validation, turned))
    assert right["map"]["pair"] == wrong["map"]["pair"]
    assert right["map"]["value"] == pytest.approx(1 - wrong["map"]["value"])


def test_other_lines_are_scored_with_the_same_lines():
    train, validation, known = place(noisy_cells(), [DNA, GOLGI, *NOISE])
    found = compare([DNA, GOLGI], known, train, validation, others=validation)
    for name in ("map", "without_map", "without_network", "univariate", "dealt", "random"):
        assert Interval.of(found["other_lines"][name]).value == found[name]["value"]
    assert found["other_lines"]["differences"] == found["differences"]


def test_missing_measurements_are_scored_as_the_training_median():
    train, validation, known = place(noisy_cells(), [DNA, GOLGI])
    blind = feature_axes.ProjectedCells(
        validation.rows, validation.shown, validation.linear.assign(**{GOLGI: np.nan}), validation.positive
    )
    found = compare([DNA, GOLGI], known, train, blind)
    line = feature_axes.DecisionLine.fit(train.linear[[DNA, GOLGI]].to_numpy(), train.positive)
    middle = np.full(len(blind.rows), train.linear[GOLGI].median())
    right = (line.decision(np.stack([blind.linear[DNA], middle], axis=1)) > 0) == blind.positive
    expected = (right[blind.positive].mean() + right[~blind.positive].mean()) / 2
    assert found["map"]["value"] == pytest.approx(expected)


def test_too_few_families_make_no_pair():
    train, validation, known = place(make_cells(), [DNA, GOLGI])
    found = compare([DNA], known, train, validation)
    assert found["map"] is None and "The map points at fewer than two" in found["verdict"]


def test_too_few_groups_have_no_interval_and_no_claim():
    train, validation, known = place(noisy_cells(), [DNA, GOLGI, *NOISE])
    groups = validation.rows[schema.GROUP].astype("category").cat.codes % 3
    few = feature_axes.ProjectedCells(validation.rows.assign(**{schema.GROUP: groups.astype(str)}), *(
        getattr(validation, name) for name in ("shown", "linear", "positive")))
    found = compare([DNA, NOISE[0]], known, train, few)
    assert found["verdict"].count("no interval, so nothing follows") == 2
    assert "neither the map nor the network adds anything here" in found["verdict"]
    assert "points more" not in found["verdict"] and "points less" not in found["verdict"]
