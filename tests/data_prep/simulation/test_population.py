"""The cells of a simulation, before any pixel: closed forms, nulls, and how hard the question is."""

import numpy as np
import pytest
from ml_collections import ConfigDict
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from configs import simulate as simulate_config
from data_prep.simulation.lines import LINES
from data_prep.simulation.population import CUES, draw_ages, draw_cues, draw_population, mean_cues, phase_names

SETTINGS = simulate_config.get_config()
NONE = ConfigDict(dict.fromkeys(SETTINGS.effects, 0.0))
HELA = LINES["HeLa"]


def population(line=HELA, n=10_000, **changes):
    given = dict(effects=SETTINGS.effects, spread=SETTINGS.spread, stain_cell=SETTINGS.nuisance.stain_cell, mitotic=0.0)
    return draw_population(np.random.default_rng(1), n, line, **{**given, **changes})


def test_ages_follow_exponential_growth():
    n = 40_000
    ages = draw_ages(np.random.default_rng(0), n)
    assert ages.min() >= 0 and ages.max() <= 1
    for age in (0.25, 0.5, 0.75):
        share = 2 * (1 - 2**-age)  # integral of 2 ln2 2^-a
        assert abs((ages < age).mean() - share) < 4 * np.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize("line", LINES.values(), ids=lambda line: line.name)
def test_dna_is_one_in_g1_and_two_in_g2(line):
    cells = population(line, spread=NONE, stain_cell=0.0)
    assert (cells["dna_content"][cells["phase"] == "G1"] == 1).all()
    assert (cells["dna_content"][cells["phase"] == "G2"] == 2).all()
    assert cells["dna_content"][cells["phase"] == "S"].between(1, 2).all()
    np.testing.assert_array_equal(cells["dna_stain"], cells["dna_content"])


def test_classes_are_the_phases():
    cells = population(mitotic=0.05)
    assert dict(cells.groupby("phase")["class_name"].first()) == {"G1": "G1/S", "G2": "G2", "M": "mitotic", "S": "G1/S"}
    assert abs((cells["phase"] == "M").mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / len(cells))
    assert phase_names(np.array([0.0, HELA.s_start, HELA.g2_start]), HELA).tolist() == ["G1", "S", "G2"]


@pytest.mark.parametrize("cue, effect", CUES.items())
def test_an_effect_moves_its_own_cue_and_no_other(cue, effect):
    ages = np.array([0.0, 0.9])
    means = mean_cues(ages, HELA, ConfigDict(NONE.to_dict() | {effect: 0.5}))
    assert [name for name in CUES if means[name][1] > means[name][0]] == [cue]
    assert means[cue][1] / means[cue][0] > 1.3


def test_without_effects_a_cell_is_the_same_at_any_age():
    mitotic = np.zeros(500, bool)
    young, old = (
        draw_cues(np.random.default_rng(3), np.full(500, age), mitotic, HELA, NONE, SETTINGS.spread)
        for age in (0.1, 0.95)
    )
    np.testing.assert_array_equal(young, old)
    assert (young.std() > 0).all()


def test_spread_is_the_sd_of_the_log():
    cells = draw_cues(np.random.default_rng(0), np.zeros(20_000), np.zeros(20_000, bool), HELA, NONE, SETTINGS.spread)
    np.testing.assert_allclose(np.log(cells).std(), [SETTINGS.spread[name] for name in CUES.values()], rtol=0.03)


def oracle(cells, columns):
    """Balanced accuracy of G1/S against G2 by cross-validated logistic regression on the log of true cues."""
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    g2 = (cells["class_name"] == "G2").to_numpy()
    return balanced_accuracy_score(g2, cross_val_predict(model, np.log(cells[columns]), g2, cv=3))


@pytest.mark.parametrize("line", LINES.values(), ids=lambda line: line.name)
def test_organelles_add_to_what_the_nucleus_tells(line):
    cells = population(line)
    nuclear = ["nuclear_area_um2", "dna_stain"]
    golgi, ends = ["golgi_area_um2", "golgi_scatter_um"], ["plus_end_density_per_um2"]
    assert 0.69 < oracle(cells, nuclear[:1]) < 0.77
    assert 0.84 < oracle(cells, nuclear[1:]) < 0.90
    assert 0.86 < oracle(cells, nuclear) < 0.91
    assert oracle(cells, nuclear + golgi) > oracle(cells, nuclear) + 0.04
    assert oracle(cells, nuclear + ends) > oracle(cells, nuclear) + 0.02
    assert 0.96 < oracle(cells, nuclear + golgi + ends) < 0.995


def test_without_effects_the_oracle_guesses():
    assert abs(oracle(population(effects=NONE), [*list(CUES)[1:], "dna_stain"]) - 0.5) < 0.03


@pytest.mark.parametrize("line", LINES.values(), ids=lambda line: line.name)
def test_the_marker_tells_the_phase_or_abstains(line):
    cells = population(line)
    log_marker = np.log(cells[["marker"]].to_numpy())
    mixture = GaussianMixture(2, random_state=0).fit(log_marker)
    high = mixture.predict_proba(log_marker)[:, np.argmax(mixture.means_)]
    sure = np.maximum(high, 1 - high) >= 0.95
    assert (~sure).mean() < 0.10
    assert ((high > 0.5) == (cells["class_name"] == "G2"))[sure].mean() > 0.98
