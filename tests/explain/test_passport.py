"""The verdict, from made-up findings: one case that passes everything, and what each change of it must say."""

import math

import pandas as pd
import pytest

from cellcycle_jax import files
from cellcycle_jax.explain import passport as passport_module
from cellcycle_jax.explain.checks import shortcut_check
from cellcycle_jax.explain.checks.all_checks import CHECKS
from cellcycle_jax.explain.regions import class_difference
from cellcycle_jax.runs.passport_file import read_passport
from cellcycle_jax.scoring.intervals import Interval
from configs.base import training

METHOD = "integrated_gradients"
DEFAULT_LIMITS = training().explain.limits.to_dict()
NAN = math.nan
SCORE, SURROUNDINGS, BRIGHTNESS = ("score above chance", "uses the cell, not its surroundings",
                                   "does not use the brightness of the field")
FAITHFUL, WEIGHTS = ("removing what the map marks changes the prediction", "the map depends on the trained weights")
LABELS = "the map depends on the labels"
TRIVIAL, SEEDS, EDITS = ("the map is not a trivial image feature", "networks with other seeds give similar maps",
                         "editing the channel that the map names changes the prediction")
NAMES = [SCORE, SURROUNDINGS, BRIGHTNESS, FAITHFUL, WEIGHTS, LABELS, TRIVIAL, SEEDS, EDITS]
KNOWN = tuple(check for check in CHECKS if check.name in NAMES)  # a new check has tests of its own


def make_passport(found, about):
    return passport_module.make_passport(found, about, KNOWN)


def test_all_known_checks_are_registered():
    assert [check.name for check in KNOWN] == NAMES


def score(value, low=None, high=None):
    return Interval(value, value - 0.01 if low is None else low, value + 0.01 if high is None else high)


def place(compartment, share, channel="DNA", low=None, of="G2", area=0.1, read=0.05):
    bounds = score(share, low)
    of_read = score(read)
    return {"class": of, "method": METHOD, "channel": channel, "compartment": compartment, "share": share,
            "low": bounds.low, "high": bounds.high, "area_share": area, "ratio": share / area,
            "ratio_low": bounds.low / area, "ratio_high": bounds.high / area, "n_cells": 300, "n_groups": 12,
            "read": of_read.value, "read_low": of_read.low, "read_high": of_read.high}


def where(*rows):
    return pd.DataFrame(rows, columns=list(class_difference.COLUMNS))


def curves(*lows):
    return {"rows": [{"fill": f"fill{i // 2}", "measure": ("deletion", "insertion")[i % 2], "value": low + 0.05,
                      "low": low, "high": low + 0.1, "n_cells": 40} for i, low in enumerate(lows)]}


def similar(value, measure="strength", **bounds):
    return [{"measure": "ssim", **score(0.9).as_json()}, {"measure": measure, **score(value, **bounds).as_json()}]


def permuted(value, passes=True):
    return {"strength": score(value), "threshold": 0.5, "passes": passes}


def edit(channel, slope, words, sure=True):
    return {"channel": channel, "words": words, "certain": sure, "slope": slope and score(slope)}


def step(family, r2, others=()):
    return {"family": family, "or": list(others), "r2": r2, "low": r2 - 0.02, "high": r2 + 0.02}


def passing():
    """Findings of a network that reads DNA in the nucleus and nothing else, and what they stand on."""
    found = {
        "score": score(0.93),
        "region_shares": where(place("nucleus", 0.62), place("organelle", 0.21, "Golgi"), place("background", 0.05)),
        "channel_importance": {"channels": ["DNA", "Golgi"], "why": ""},
        "shortcuts": {
            "surroundings": {"intact": score(0.93), "cell": score(0.92), "around": score(0.51),
                             "transferred_share": score(0.02).as_json() | {"class": 1}, "changed": score(0.04)},
            "brightness": score(0.07).as_json() | {"class": 1}, "brightness_why": "all cells are of one field",
            "one_class_fields": False, "scale": "reference"},
        "faithfulness": {METHOD: curves(*[0.1] * 8)},
        "randomisation": {METHOD: {
            "weights": {"strength": score(0.13), "floor": score(0.23), "threshold": 0.5, "passes": True},
            "trivial": {"edges": similar(0.21), "centre": similar(0.31)},
            "labels": [permuted(0.1)], "seeds": similar(0.71, "spearman")}},
        "edits": {"class": "G2", "rows": [edit("DNA", 0.8, "DNA brightness"), edit("Golgi", None, "Golgi area")],
                   "agreement": {"by_attribution": "DNA", "sentence": "Both name the same channel."}},
        "surrogate": {"r2": score(0.81), "steps": [step("amount of DNA", 0.79)]}, "surrogate_why": "",
        "shortlist": {"shortlist": [{"measurement": "x", "family": "size of the nucleus"}], "circular": "",
                 "verdict": "The map adds."},
        "shortlist_why": "",
    }
    about = {"classes": ["G1/S", "G2"], "channels": ["DNA", "Golgi"], "stain": "Golgi", "mask": "none",
             "kept_weights": "last", "interval_level": 0.95, "method": METHOD, "limits": DEFAULT_LIMITS,
             "n_cells": 1300, "n_groups": 12, "group_by": "field", "step": 60,
             "run_id": "a1b2c3"}
    return found, about


def changed(path, value, **of_about):
    """The passport of the passing case in which one finding, given by its path, is another."""
    found, about = passing()
    *outer, last = path
    part = found
    for name in outer:
        part = part[name]
    part[last] = value
    return make_passport(found, {**about, **of_about})


def check(passport, name):
    return next(one for one in passport["checks"] if one["name"] == name)


def failing(name):
    """The path to what a check reads, and a finding that it does not pass."""
    return {
        SCORE: (("score",), score(0.55, 0.49)),
        SURROUNDINGS: (("shortcuts", "surroundings", "transferred_share"), score(0.4)),
        BRIGHTNESS: (("shortcuts", "brightness"), score(0.4)),
        FAITHFUL: (("faithfulness", METHOD), curves(*[-0.2] * 8)),
        WEIGHTS: (("randomisation", METHOD, "weights", "passes"), False),
        LABELS: (("randomisation", METHOD, "labels"), [permuted(0.2), permuted(0.7, passes=False)]),
        TRIVIAL: (("randomisation", METHOD, "trivial", "edges"), similar(0.8)),
        SEEDS: (("randomisation", METHOD, "seeds"), similar(-0.1, "spearman", low=-0.2, high=0.0)),
        EDITS: (("edits", "rows"), [edit("DNA", 0.05, "DNA brightness")]),
    }[name]


def test_a_network_that_passes_everything_raises_no_alarm_and_no_more_is_said():
    passport = make_passport(*passing())
    assert passport["status"] == "no_alarm"
    assert [one["name"] for one in passport["checks"]] == NAMES
    assert {one["answer"] for one in passport["checks"]} == {"passed"}
    assert passport["verdict"][0].startswith("No check raised an alarm. That does not show that the network uses "
                                             "biology")
    assert len(passport["verdict"]) == 4
    assert passport["verdict"][0].endswith(check(passport, SURROUNDINGS)["sentence"])  # where the score comes from
    assert {name: passport[name] for name in passing()[1]} == passing()[1]


STATUS = {SCORE: "chance", **dict.fromkeys((SURROUNDINGS, BRIGHTNESS), "shortcut"),
          **dict.fromkeys((FAITHFUL, WEIGHTS, LABELS, TRIVIAL, SEEDS, EDITS), "caution")}
FIRST = {"chance": "There is nothing to explain", "shortcut": "Do not trust", "caution": "With caution"}


@pytest.mark.parametrize("name", NAMES)
def test_one_failed_check_decides_the_status_and_is_named_in_the_verdict(name):
    passport = changed(*failing(name))
    assert [one["name"] for one in passport["checks"] if one["answer"] != "passed"] == [name]
    assert check(passport, name)["answer"] == "failed"
    assert passport["status"] == STATUS[name] and passport["verdict"][0].startswith(FIRST[STATUS[name]])
    if STATUS[name] == "chance":
        assert len(passport["verdict"]) == 1  # where chance looks is nobody's business
    else:
        assert passport["verdict"][4:] == [f"Not passed: {name}. {check(passport, name)['sentence']}"]


def test_chance_goes_before_a_shortcut_and_a_shortcut_before_caution():
    found, about = passing()
    found["randomisation"][METHOD]["weights"]["passes"] = False
    found["shortcuts"]["brightness"] = score(0.6)
    passport = make_passport(found, about)
    assert passport["status"] == "shortcut" and len(passport["verdict"]) == 6
    found["score"] = score(0.5)
    assert make_passport(found, about)["status"] == "chance"


LIMITS = [
    (SCORE, ("score",), score(0.6, 0.5), score(0.6, 0.501)),
    (SURROUNDINGS, ("shortcuts", "surroundings", "transferred_share"), score(DEFAULT_LIMITS["surroundings"]),
     score(0.089)),
    (SURROUNDINGS, ("shortcuts", "surroundings", "transferred_share"), score(0.4, 0.001), score(0.05, -0.05)),
    (BRIGHTNESS, ("shortcuts", "brightness"), score(DEFAULT_LIMITS["brightness"]), score(0.289)),
    (BRIGHTNESS, ("shortcuts", "brightness"), score(0.6, 0.001), score(0.1, -0.1)),
    (FAITHFUL, ("faithfulness", METHOD), curves(*[0.1] * 4, *[0.0] * 4), curves(*[0.1] * 5, *[0.0] * 3)),
    (TRIVIAL, ("randomisation", METHOD, "trivial", "centre"), similar(0.6, low=0.5), similar(0.4, high=0.499)),
    (SEEDS, ("randomisation", METHOD, "seeds"), similar(-0.1, "spearman", high=0.0),
     similar(0.2, "spearman", low=0.001)),
    (EDITS, ("edits", "rows"), [edit("DNA", 0.089, "DNA brightness")], [edit("DNA", 0.1, "DNA brightness")]),
    (EDITS, ("edits", "rows"), [edit("DNA", -0.089, "nuclear area")], [edit("DNA", -0.1, "nuclear area")]),
]


@pytest.mark.parametrize(("name", "path", "bad", "good"), LIMITS, ids=[f"{c[0]}, {'.'.join(c[1])}" for c in LIMITS])
def test_each_check_turns_at_its_limit(name, path, bad, good):
    assert check(changed(path, bad), name)["answer"] == "failed"
    assert check(changed(path, good), name)["answer"] == "passed"


@pytest.mark.parametrize(("name", "path", "limit"), [
    (SURROUNDINGS, ("shortcuts", "surroundings", "transferred_share"), DEFAULT_LIMITS["surroundings"]),
    (BRIGHTNESS, ("shortcuts", "brightness"), DEFAULT_LIMITS["brightness"])])
def test_an_interval_that_reaches_beyond_the_limit_is_no_pass(name, path, limit):
    for wide in (score(0.0, -2.0, 2.0), score(limit - 0.01, 0.001, limit), score(2 * limit, -0.1, 4 * limit),
                 score(0.0, -limit, 0.01)):
        passport = changed(path, wide)
        assert check(passport, name)["answer"] == "unknown" and passport["status"] == "caution"
    assert check(changed(path, score(limit / 2, 0.9 * -limit, 0.9 * limit)), name)["answer"] == "passed"


def test_an_interval_of_few_groups_does_not_tell_the_score_from_chance():
    few, enough = (changed(("score",), score(0.93), n_groups=n) for n in (3, 4))
    assert check(few, SCORE)["answer"] == "unknown" and few["status"] == "caution"
    assert check(few, SCORE)["sentence"].endswith("0.93 (0.92 to 0.94), of 3 groups, too few to distinguish it from "
                                                  "chance (it takes 4).")
    assert few["verdict"][4:] == [f"Not known: {name}. {check(few, name)['sentence']} {check(few, name)['remedy']}"
                                  for name in (SCORE, SURROUNDINGS, BRIGHTNESS)]
    assert few["verdict"][0].startswith("With caution: no shortcut is certain, but 3 checks were not passed")
    assert check(enough, SCORE)["answer"] == "passed" and enough["status"] == "no_alarm"
    assert changed(("score",), score(0.6, 0.49), n_groups=3)["status"] == "chance"


def asked(classes=("G1/S", "G2"), scored=True, **of_shortcuts):
    """The passport of the passing case with other findings about shortcuts."""
    found, about = passing()
    found["shortcuts"] |= of_shortcuts
    if not scored:
        found["shortcuts"]["surroundings"] |= {name: score(NAN, NAN, NAN) for name in ("intact", "cell", "around")}
    return make_passport(found, about | {"classes": list(classes)})


def test_light_of_fields_of_one_class_is_no_alarm_since_it_may_be_the_cells():
    mixed, pure, sparse = (asked(brightness=score(0.4), one_class_fields=one) for one in (False, True, None))
    assert {check(one, BRIGHTNESS)["answer"] for one in (mixed, pure, sparse)} == {"failed"}
    assert mixed["status"] == "shortcut" and pure["status"] == sparse["status"] == "caution"
    for one, words in ((pure, "Nearly every field holds cells of one class"),
                       (sparse, "No field holds two labelled cells")):
        assert check(one, BRIGHTNESS)["sentence"] == check(mixed, BRIGHTNESS)["sentence"] + (
            f" {words}, so this may be illumination or the cells' own brightness.")
    low = check(asked(one_class_fields=True), BRIGHTNESS)
    assert low["answer"] == "passed" and low == check(asked(), BRIGHTNESS)


def test_surroundings_of_fields_of_one_class_are_no_alarm_since_the_neighbours_are_of_the_class():
    read = {"transferred_share": score(0.4), **{name: score(0.9) for name in ("intact", "cell", "around", "changed")}}
    mixed, pure, sparse = (asked(surroundings=read, one_class_fields=one) for one in (False, True, None))
    assert {check(one, SURROUNDINGS)["answer"] for one in (mixed, pure, sparse)} == {"failed"}
    assert mixed["status"] == sparse["status"] == "shortcut" and pure["status"] == "caution"
    more = check(pure, SURROUNDINGS)["sentence"].removeprefix(check(mixed, SURROUNDINGS)["sentence"])
    assert more == shortcut_check.NEIGHBOURS_OF_CLASS


def test_relative_to_its_own_brightest_pixel_no_field_is_bright():
    passport = asked(brightness=None, brightness_why="x", scale="nucleus_max")
    assert check(passport, BRIGHTNESS)["answer"] == "impossible" and passport["status"] == "no_alarm"
    assert "relative to its own brightest pixel" in check(passport, BRIGHTNESS)["sentence"]
    assert "the noise of the field" in check(passport, BRIGHTNESS)["sentence"]


def test_of_several_classes_the_one_whose_shortcut_it_is_is_named():
    around = passing()[0]["shortcuts"]["surroundings"] | {"transferred_share": score(0.4).as_json() | {"class": 1}}
    passport = asked(("G1", "S", "G2"), surroundings=around, brightness=score(0.07).as_json() | {"class": 2})
    assert check(passport, SURROUNDINGS)["sentence"].startswith(
        "40 % (39 to 41) of the difference between S and the rest moves with the surroundings to another cell.")
    assert check(passport, BRIGHTNESS)["sentence"].startswith("7 % (6 to 8) of the difference between G2 ")


def test_scores_on_others_surroundings_are_those_of_validation_cells_and_may_not_be_known():
    said = check(asked(), SURROUNDINGS)["sentence"]
    assert ("Area under the ROC curve of validation cells: 0.93 (0.92 to 0.94) as they are, 0.92 (0.91 to 0.93) on "
            "others' surroundings, 0.51 (0.50 to 0.52) against the labels of the cells") in said
    said = check(asked(scored=False), SURROUNDINGS)["sentence"]
    assert "nan" not in said and "validation cells: not known as they are" in said


def test_surroundings_that_count_against_the_class_are_read_too():
    path = ("shortcuts", "surroundings", "transferred_share")
    against, passport = check(changed(path, score(-0.1)), SURROUNDINGS), changed(path, score(-0.1))
    assert against["answer"] == "failed" and against["alarm"] is False and passport["status"] == "caution"
    assert against["sentence"].startswith("Nothing of the difference between the classes moves with the surroundings "
                                          "to "
                                          "another cell; what moves has the opposite sign (share -10 % (-11 to -9)).")
    assert check(changed(path, score(-0.08)), SURROUNDINGS)["answer"] == "passed"
    assert check(changed(path, score(-0.4, high=0.001)), SURROUNDINGS)["answer"] == "unknown"
    zero = check(changed(path, score(-0.001)), SURROUNDINGS)["sentence"]
    assert zero.startswith("0 % (-1 to 1) of the difference")


@pytest.mark.parametrize(("name", "path"), [(SURROUNDINGS, ("shortcuts", "surroundings", "transferred_share")),
                                            (BRIGHTNESS, ("shortcuts", "brightness"))])
def test_few_groups_raise_an_alarm_but_clear_nothing(name, path):
    clear, caught = (changed(path, score(share), n_groups=3) for share in (0.02, 0.4))
    assert check(clear, name)["answer"] == "unknown" and clear["status"] == "caution"
    assert check(caught, name)["answer"] == "failed" and caught["status"] == "shortcut"
    unknown = changed(path, {"value": NAN, "low": -101.5, "high": 55.7, "class": 1})  # bounds of other resamples
    assert check(unknown, name)["answer"] == "unknown" and "nknown share" in check(unknown, name)["sentence"]


def test_a_share_of_the_surroundings_that_is_not_known_decides_nothing():
    found = changed(("shortcuts", "surroundings", "transferred_share"), {"value": NAN, "low": NAN, "high": NAN})
    assert check(found, SURROUNDINGS)["answer"] == "unknown" and found["status"] == "caution"
    assert check(found, SURROUNDINGS)["sentence"].startswith("An unknown share of the difference")
    assert found["verdict"][4].startswith(f"Not known: {SURROUNDINGS}. An unknown share")


def test_edits_count_in_the_leading_channel_only():
    moving = [edit("DNA", 0.02, "DNA brightness"), edit("Golgi", 2.0, "Golgi area")]
    assert check(changed(("edits", "rows"), moving), EDITS)["answer"] == "failed"
    assert check(changed(("edits", "rows"), [*moving, edit("DNA", -0.4, "nuclear area")]), EDITS)["answer"] == "passed"
    assert check(changed(("edits", "rows"), moving[1:]), EDITS)["answer"] == "unknown"  # none of DNA
    unsure = edit("DNA", 0.3, "nuclear area", sure=False)
    assert check(changed(("edits", "rows"), [*moving, unsure]), EDITS)["answer"] == "unknown"
    assert check(changed(("edits", "rows"), [edit("DNA", 0.095, "DNA brightness")]), EDITS)["answer"] == "unknown"


def test_a_leading_channel_that_is_not_known_is_not_said_to_have_no_edits():
    told = {"by_attribution": None, "sentence": "No edit of a channel could be made."}
    found = check(changed(("edits", "agreement"), told), EDITS)
    assert found["answer"] == "unknown" and found["sentence"].startswith("Which channel the map names is not known.")
    assert "DNA brightness +0.80" in found["sentence"]


NOT_MADE = {
    SURROUNDINGS: (("shortcuts", "surroundings"), None, "the body of the cell is not known"),
    BRIGHTNESS: (("shortcuts", "brightness"), None, "Brightness was not exchanged: all cells are of one field."),
    LABELS: (("randomisation", METHOD, "labels"), None, "--config.data.labels=permuted"),
    SEEDS: (("randomisation", METHOD, "seeds"), None, "--others=RUN"),
    EDITS: (("edits", "rows"), [], "Both name"),
}


@pytest.mark.parametrize("name", NOT_MADE)
def test_what_could_not_be_tested_neither_passes_nor_fails(name):
    path, value, words = NOT_MADE[name]
    passport = changed(path, value)
    assert check(passport, name)["answer"] == "unknown" and words in check(passport, name)["sentence"]
    if name in (SURROUNDINGS, BRIGHTNESS):
        found = check(passport, name)
        assert passport["status"] == "caution" and found["remedy"].endswith(" would tell.")
        assert f'no shortcut is certain, but one thing is not known: "{name}".' in passport["verdict"][0]
        assert passport["verdict"][4:] == [f"Not known: {name}. {found['sentence']} {found['remedy']}"]
    else:
        assert passport["status"] == "no_alarm" and len(passport["verdict"]) == 4


def test_without_any_check_but_the_score_the_verdict_is_caution():
    found, about = passing()
    found["shortcuts"] |= {"surroundings": None, "brightness": None}
    found["edits"]["rows"] = []
    found["randomisation"][METHOD] |= {"labels": None, "seeds": None}
    passport = make_passport(found, about)
    assert passport["status"] == "caution"
    assert [line.split(". ")[0] for line in passport["verdict"][4:]] == [f"Not known: {name}"
                                                                         for name in (SURROUNDINGS, BRIGHTNESS)]


@pytest.mark.parametrize(
    ("mask", "answer", "status"),
    [("cell", "impossible", "no_alarm"), ("nucleus", "impossible", "no_alarm"), ("ring", "failed", "shortcut")],
)
def test_a_mask_decides_about_surroundings_that_cannot_be_exchanged(mask, answer, status):
    passport = changed(("shortcuts", "surroundings"), None, mask=mask)
    assert check(passport, SURROUNDINGS)["answer"] == answer and passport["status"] == status
    said = check(passport, SURROUNDINGS)["sentence"]
    words = {"cell": "is a check of its own", "nucleus": "nothing of them",
             "ring": "nothing but surroundings"}
    assert words[mask] in said


def without_intervals(value):
    """The same findings of cells of one group."""
    if isinstance(value, dict):
        return {k: NAN if k in ("low", "high", "ratio_low", "ratio_high") else without_intervals(v)
                for k, v in value.items()}
    if isinstance(value, list):
        return [without_intervals(v) for v in value]
    if isinstance(value, Interval):
        return Interval(value.value)
    if isinstance(value, pd.DataFrame):
        return value.assign(low=NAN, high=NAN, ratio_low=NAN, ratio_high=NAN)
    return value


@pytest.mark.parametrize("bad", [None, SURROUNDINGS, BRIGHTNESS, FAITHFUL, SEEDS, EDITS])
def test_cells_of_one_group_are_certain_of_nothing(bad):
    found, about = passing()
    if bad:
        (*outer, last), value = failing(bad)
        part = found
        for name in outer:
            part = part[name]
        part[last] = value
    passport = make_passport(without_intervals(found), about)
    for name in (SCORE, SURROUNDINGS, BRIGHTNESS, FAITHFUL, SEEDS, EDITS):
        assert check(passport, name)["answer"] == "unknown", name
    assert passport["status"] == "caution"
    assert passport["verdict"][4].startswith(f"Not known: {SCORE}. ") and "0.93 (no interval)" in passport["verdict"][4]
    assert passport["regions"] == [] and passport["verdict"][1].startswith("No region accounts for 10%")
    assert "nan" not in " ".join([*passport["verdict"], *(one["sentence"] for one in passport["checks"])])


@pytest.mark.parametrize(
    ("value", "low", "high", "answer"),
    [(0.4, 0.3, 0.49, "passed"), (0.4, 0.3, 0.5, "unknown"), (0.6, 0.49, 0.7, "unknown"), (0.6, 0.5, 0.7, "failed"),
     (0.1, NAN, NAN, "unknown"), (NAN, NAN, NAN, "unknown")],
)
def test_a_map_is_trivial_or_is_not_for_certain_or_nothing_is_said(value, low, high, answer):
    rows = [{"measure": "strength", "value": value, "low": low, "high": high}]
    passport = changed(("randomisation", METHOD, "trivial", "edges"), rows)
    assert check(passport, TRIVIAL)["answer"] == answer
    assert passport["status"] == ("caution" if answer == "failed" else "no_alarm")


@pytest.mark.parametrize(("low", "high", "answer"), [(-0.1, 0.2, "unknown"), (NAN, NAN, "unknown")])
def test_too_few_cells_to_compare_seeds_cost_no_trust(low, high, answer):
    passport = changed(("randomisation", METHOD, "seeds"), similar(0.1, "spearman", low=low, high=high))
    assert check(passport, SEEDS)["answer"] == answer and passport["status"] == "no_alarm"


def test_a_map_that_may_not_depend_on_the_weights_costs_the_trust():
    passport = changed(("randomisation", METHOD, "weights", "passes"), None)
    assert check(passport, WEIGHTS)["answer"] == "unknown" and passport["status"] == "caution"
    assert check(passport, WEIGHTS)["remedy"]


def test_flat_maps_say_nothing_of_the_labels_wherever_they_stand_in_the_list():
    flat = {"strength": Interval(NAN), "threshold": 0.5, "passes": None}
    for comparisons in ([flat, permuted(0.2)], [permuted(0.2), flat]):
        assert check(changed(("randomisation", METHOD, "labels"), comparisons), LABELS)["answer"] == "unknown"


def test_a_score_of_cells_that_chose_the_weights_proves_nothing():
    found, about = passing()
    passport = make_passport(found, {**about, "kept_weights": "best"})
    entry = check(passport, SCORE)
    assert entry["answer"] == "unknown" and "these cells chose the weights" in entry["sentence"]
    assert passport["status"] == "caution"


def test_regions_are_named_only_where_the_score_is_certainly_high_enough():
    low = changed(("score",), score(0.64, 0.59))
    assert low["regions"] == []
    assert low["verdict"][1].startswith("No region is named: the network tells the classes too badly")
    assert len(changed(("score",), score(0.64, 0.6))["regions"]) == 2


def test_one_reason_for_caution_is_named_in_the_first_sentence():
    passport = changed(*failing(WEIGHTS))
    assert f'no shortcut is certain, but one check failed: "{WEIGHTS}".' in passport["verdict"][0]
    found, about = passing()
    found["channel_importance"]["why"] = "too many"
    assert "what each channel adds to the score is not known." in make_passport(found, about)["verdict"][0]


def test_a_score_of_one_class_is_not_called_chance():
    passport = changed(("score",), Interval(NAN))
    assert check(passport, SCORE)["answer"] == "unknown" and "is not known" in check(passport, SCORE)["sentence"]
    assert passport["status"] == "caution"


def test_places_are_named_in_order_and_none_below_a_tenth_or_uncertain():
    rows = where(place("cell body", 0.1), place("nucleus", 0.3, "Golgi"), place("nuclear rim", 0.0999),
                 place("nucleus", 0.45, low=0.2), place("background", 0.5, low=0.0), place("other nuclei", -0.4))
    passport = changed(("region_shares",), rows)
    assert passport["regions"] == [
        "in the nucleus, channel DNA: 45 % (20 to 46) of the difference, 4.5 times its share of the image",
        "in the nucleus, channel Golgi: 30 % (29 to 31) of the difference, 3.0 times its share of the image",
        "in the rest of the cell body, channel DNA: 10 % (9 to 11) of the difference, 1.0 times its share of the image",
    ]
    assert passport["verdict"][1] == f"The network distinguishes G1/S from G2 here: {'; '.join(passport['regions'])}."
    assert len(passport["region_shares"]) == 6 and passport["region_shares"][0]["compartment"] == "cell body"


def test_places_that_are_read_and_do_not_distinguish_are_named_beside():
    rows = where(
        place("nucleus", 0.6, read=0.4),
        place("background", 0.01, read=0.2),
        place("cell body", -0.3, read=0.25),  # it speaks against the class, and is read
        place("nuclear rim", 0.05, read=0.0999),
        place("organelle", 0.0995, read=0.3, low=0.05),  # it may have a tenth of the difference
    )
    passport = changed(("region_shares",), rows)
    assert passport["regions_read_beside"] == [
        "in the rest of the cell body, channel DNA: 25 % (24 to 26) of what moves its output within classes, "
        "-30 % (-31 to -29) of the difference",
        "in the background, channel DNA: 20 % (19 to 21) of what moves its output within classes, 1 % (0 to 2) of the "
        "difference",
    ]
    assert passport["verdict"][1].endswith(
        "It also reads what does not distinguish them by itself, but may correct what is read elsewhere: "
        f"{'; '.join(passport['regions_read_beside'])}."
    )
    badly = changed(("score",), score(0.55, 0.53))
    assert badly["regions_read_beside"] == []


def test_at_most_three_places_are_named():
    names = ("nucleus", "nuclear rim", "cell body", "organelle")
    rows = where(*(place(name, share) for name, share in zip(names, (0.2, 0.21, 0.22, 0.23), strict=True)))
    assert [text.split(",")[0] for text in changed(("region_shares",), rows)["regions"]] == [
        "at the Golgi", "in the rest of the cell body", "at the rim of the nucleus"]


def test_a_place_that_the_mask_blanks_is_said_to_be_blank():
    rows = where(place("nucleus", 0.6), place("background", 0.3))
    told = changed(("region_shares",), rows, mask="cell")["regions"]
    assert "the mask shows nothing" not in told[0] and "in the background (where the mask shows nothing" in told[1]
    assert "the mask shows nothing" not in " ".join(changed(("region_shares",), rows)["regions"])


def test_the_channel_is_not_named_where_there_is_one():
    assert changed(("region_shares",), where(place("nucleus", 0.6)), channels=["DNA"])["regions"][0].startswith(
        "in the nucleus: 60 %")


def test_without_any_place_that_is_told():
    verdict = changed(("region_shares",), where(place("nucleus", 0.05)))["verdict"]
    assert verdict[1].startswith("No region accounts for 10% of")
    assert "outline of the nucleus is not known" in changed(("region_shares",), where())["verdict"][1]


def test_of_three_classes_the_best_place_of_each_is_named_with_its_class():
    rows = where(place("nucleus", 0.7, of="G1"), place("nuclear rim", 0.5, of="G1"), place("cell body", 0.4, of="G2"),
                 place("background", 0.6, of="S"), place("nucleus", 0.2, of="S"))
    passport = changed(("region_shares",), rows, classes=["G1", "S", "G2"])
    assert [(text.split(",")[0], text.split("between ")[1].split(" and")[0]) for text in passport["regions"]] == [
        ("in the nucleus", "G1"), ("in the background", "S"), ("in the rest of the cell body", "G2")]
    assert passport["verdict"][1].startswith("The network distinguishes its classes here")
    assert "G1/S" not in " ".join(passport["verdict"])


NUMBERS = {
    SCORE: ("1,300 validation cells", "0.93 (0.92 to 0.94)"),
    SURROUNDINGS: ("2 % (1 to 3)", "0.92 (0.91 to 0.93) on others'", "0.51 (0.50 to 0.52) against",
                   "4 % of their calls"),
    BRIGHTNESS: ("7 % (6 to 8)",),
    FAITHFUL: ("8 of 8 tests", "40 cells", "fill0 deletion 0.150", "fill3 insertion 0.150"),
    LABELS: ("0.10 (0.09 to 0.11)", "below 0.5"),
    WEIGHTS: ("0.13 (0.12 to 0.14)", "two random networks 0.23", "below 0.5"),
    TRIVIAL: ("edges 0.21", "centre 0.31", "below 0.5"),
    SEEDS: ("0.71 (0.70 to 0.72)",),
    EDITS: ("Both name the same channel.", "margin of G2 per +10 %: DNA brightness +0.80."),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_sentence_holds_its_numbers(name):
    sentence = check(make_passport(*passing()), name)["sentence"]
    for words in NUMBERS[name]:
        assert words in sentence


def test_a_map_that_is_moved_where_the_mask_is_blank_is_said_to_test_less():
    told = check(make_passport(*passing()), FAITHFUL)["sentence"]
    masked = check(changed(("shortcuts", "surroundings"), None, mask="cell"), FAITHFUL)["sentence"]
    assert masked == f"{told} Moved elsewhere it lies partly where the mask shows nothing, so this says that the map " \
        "is on what is shown, not where on it."


def named(*steps, r2=0.81, classes=("G1/S", "G2")):
    words = {"r2": score(r2), "steps": [step(name, 0.2 + 0.3 * i, others) for i, (name, others) in enumerate(steps)]}
    return changed(("surrogate",), words, classes=list(classes))["verdict"][2]


def test_families_that_the_data_cannot_tell_apart_are_named_together():
    assert named(("size of the nucleus", ("amount of DNA", "shape of the nucleus"))).startswith(
        "Its output follows size of the nucleus (or amount of DNA, shape of the nucleus), which predicts 20 %")
    assert named(("a", ()), ("b", ("x",)), ("c", ())).startswith("Its output follows a, b (or x) and c, which predict ")


def test_what_the_named_families_explain_is_theirs_and_not_that_of_all_measurements():
    assert named(("a", ()), r2=0.97) == (
        "Its output follows a, which predicts 20 % (18 to 22) of its variance on held-out groups; all measurements "
        "together predict 97 % (96 to 98). The rest takes several measurements together, or a rule that is not a "
        "straight line.")
    assert named(("a", ()), ("b", ()), r2=0.54) == (
        "Its output follows a and b, which predict 50 % (48 to 52) of its variance on held-out groups; all "
        "measurements together predict 54 % (53 to 55). No other single measurement is certain to add 2 points.")
    assert "The rest takes" in named(("a", ()), ("b", ()), r2=0.56)


def test_an_answer_that_no_single_measurement_explains():
    assert named(r2=0.97) == ("No single measurement predicts its output, but all together predict 97 % (96 to 98) of "
                              "its variance on held-out groups.")
    assert named(r2=-0.02) == ("No measurement predicts its output, nor do all together: -2 % (-3 to -1) of its "
                               "variance on held-out groups.")
    assert named(r2=0.1).startswith("No single") and named(r2=0.099).startswith("No measurement")


def test_of_three_classes_it_is_said_whose_answer_measurements_explain():
    three = ("G1", "S", "G2")
    assert named(("a", ()), classes=three).startswith("Its output on G2 follows a, which")
    assert named(classes=three).startswith("No single measurement predicts its output on G2, but")


def test_what_words_and_hint_could_not_say_has_its_reason():
    found, about = passing()
    found |= {"surrogate": None, "surrogate_why": "too few groups"}
    found |= {"shortlist": None, "shortlist_why": "a class is absent"}
    verdict = make_passport(found, about)["verdict"]
    assert "(too few groups)" in verdict[2] and "(a class is absent)" in verdict[3]


def test_the_hint_names_its_families_or_that_there_are_none():
    start = "Measurements that follow its output in the regions of the map: "
    assert make_passport(*passing())["verdict"][3] == f"{start}size of the nucleus. The map adds."
    assert changed(("shortlist", "circular"), "DNA")["verdict"][3] == (
        f"{start}size of the nucleus. The labels were made from intensities of DNA, so these are left out here. "
        "The map adds.")
    assert changed(("shortlist", "shortlist"), [])["verdict"][3] == (
        f"{start}none. The map adds.")


def test_channels_that_were_not_worked_out_are_told_of_and_cost_the_verdict():
    passport = changed(("channel_importance", "why"), "9 channels have 512 subsets")
    assert passport["status"] == "caution"
    assert passport["verdict"][-1] == (
        "What each channel adds to the score was not worked out (9 channels have 512 subsets).")


def test_a_passport_of_an_earlier_version_is_not_taken_for_one_of_today(tmp_path):
    old = make_passport(*passing()) | {"status": "trusted", "verdict": ["No shortcut was found.", "It looks here."]}
    del old["format"]
    for entry in old["checks"]:
        entry["passed"] = entry.pop("answer") == "passed"
        del entry["remedy"]
    files.write_json(tmp_path / "explain" / "passport.json", old)
    read = read_passport(tmp_path)
    assert read["status"] == "caution"
    assert read["verdict"][0].startswith("With caution: an earlier version of this program made this passport")
    assert read["verdict"][1:] == ["It looks here."]
    assert {(entry["answer"], entry["remedy"]) for entry in read["checks"]} == {("passed", "")}
    files.write_json(tmp_path / "explain" / "passport.json", make_passport(*passing()) | {"format": 3})
    third = read_passport(tmp_path)
    assert third["status"] == "caution" and third["checks"] == files.to_json(make_passport(*passing())["checks"])
    files.write_json(tmp_path / "explain" / "passport.json", make_passport(*passing()))
    assert read_passport(tmp_path)["status"] == "no_alarm"
    assert read_passport(tmp_path / "elsewhere") is None


def test_a_passport_is_written_and_read_back(tmp_path):
    found, about = passing()
    passport = make_passport(without_intervals(found), about)
    files.write_json(tmp_path / "passport.json", passport)
    assert "NaN" not in (tmp_path / "passport.json").read_text()
    back = files.read_json(tmp_path / "passport.json")
    assert [one["answer"] for one in back["checks"]] == [one["answer"] for one in passport["checks"]]
    assert back["region_shares"][0]["low"] is None and back["region_shares"][0]["share"] == 0.62
    assert back["verdict"] == passport["verdict"] and back["regions"] == passport["regions"]


def test_a_limit_of_the_config_decides_and_stands_in_the_passport():
    found, about = passing()
    found["shortcuts"]["surroundings"]["transferred_share"] = score(0.2, 0.15, 0.25)
    assert make_passport(found, about)["status"] == "shortcut"
    about["limits"] = DEFAULT_LIMITS | {"surroundings": 0.5}
    passport = make_passport(found, about)
    assert passport["status"] == "no_alarm" and passport["limits"]["surroundings"] == 0.5
