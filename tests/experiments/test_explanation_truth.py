import dataclasses

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import files
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.regions.explained_cells import DEFAULT_METHOD
from cellcycle_jax.features.families import families
from cellcycle_jax.schema import Compartment as C
from cellcycle_jax.training import loop
from experiments import explanation_tables as tables
from experiments import explanation_truth as study
from experiments import planted
from tests import tiny

PIXELS = 30


@pytest.mark.parametrize(("right", "of", "low", "high"), [
    # Newcombe 1998, doi 10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I, method 3
    (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
    (190, 200, 0.9104, 0.9726),  # (0.95 + z^2 / 400 -+ z sqrt(0.95 * 0.05 / 200 + z^2 / 160000)) / (1 + z^2 / 200)
    (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0),  # z^2 / (10 + z^2)
])
def test_wilson_interval(right, of, low, high):
    assert tables.wilson(right, of) == pytest.approx((low, high), abs=6e-5)
    mirrored = tables.wilson(of - right, of)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=6e-5)


def test_a_share_is_said_with_its_interval():
    assert tables.share([True] * 3 + [False]) == "3 of 4: 75.0% (30.1% to 95.4%)"
    assert tables.share(np.zeros(10, bool)) == "0 of 10: 0.0% (0.0% to 27.8%)"
    assert tables.share(v for v in [True] * 10) == "10 of 10: 100.0% (72.2% to 100.0%)"


def test_the_truth_table_says_what_single_channels_tell():
    found = {"Golgi area": [{"DNA": 0.5, "Golgi": 0.9, "EB1": 0.42}, {"DNA": 0.54, "Golgi": 0.8, "EB1": 0.5}],
             "none": [{"DNA": 0.5, "Golgi": 0.5, "EB1": 0.5}]}
    lines = tables.truth_table(found).splitlines()
    assert lines[0] == "| cue | DNA alone | Golgi alone | EB1 alone | right channels |"
    assert lines[2] == ("| Golgi area | 0.52 (0.50 to 0.54) | 0.85 (0.80 to 0.90) | 0.46 (0.42 to 0.50) | Golgi |")
    assert lines[3].endswith("| none |") and len(lines) == 4


def shares(surroundings=0.0, brightness=0.0):
    """As they are read back: of an unknown share nothing is a number."""
    return {name: {"value": value, "low": None if value is None else value - 0.05, "high": None}
            for name, value in (("surroundings", surroundings), ("brightness", brightness))}


def row(cue, network="seed0", shortcut="", caught=False, channel="DNA", region="nucleus", over_area="nucleus",
        shapley="DNA", cam="nucleus", family=""):
    """What `one_set` says of a network; explained by one method with channels and one without."""
    one = {"cue": cue, "set": 0, "network": network, "shortcut": shortcut,
           "alarms": shares(0.3) if caught else shares()}
    if shortcut:
        return one
    told = {DEFAULT_METHOD: {"channel": channel, "region": region, "region over its area": over_area},
            "shapley": {"channel": shapley}}
    if network == "seed0":
        told["grad_cam"] = {"region": cam, "region over its area": cam}
    return one | {"explained": told, "discover": family, "shortlist": family, "auroc_validation": 0.875}


def test_the_results_count_networks_of_each_kind():
    rows = [
        row("DNA brightness", family="brightness of the cell in DNA"),
        row("DNA brightness", "seed1", channel="EB1", shapley="EB1", caught=True, family="amount of Golgi"),
        row("plus-end density", channel="EB1", region="organelle", shapley="DNA", cam="cell body"),
        row("nuclear area", channel="Golgi"),
        row("DNA brightness", shortcut="corner stamp", caught=True),
        row("DNA brightness", "seed1", shortcut="corner stamp"),
        row("plus-end density", shortcut="neighbour's nucleus", caught=True),
        row("none", caught=True), row("none", "seed1"), row("none", "seed2"), row("none", "seed3"),
    ]
    first, by_cue, by_shortcut, by_method = tables.results(rows).split("\n\n")
    told = dict(line.strip("| ").split(" | ") for line in first.splitlines()[2:])
    assert {name: value.split(":")[0] for name, value in told.items()} == {
        "right channel first": "3 of 4", "right channel first, cues of one channel": "2 of 3",
        "right channel first, by Shapley values": "2 of 4",
        "right region first": "4 of 4", "planted family first in discover (data sets)": "1 of 3",
        "planted family first in the map's shortlist": "1 of 4", "shortcut caught": "2 of 3",
        "false alarms, networks with a cue": "1 of 4", "false alarms, networks without any cue": "1 of 4",
        "without any cue, and without a difference to divide": "0 of 4"}
    assert "| DNA brightness | 0.88 | 1 of 2: " in by_cue and "| plus-end density | 0.88 | 1 of 1: " in by_cue
    assert len(by_cue.splitlines()) == 5
    assert "| corner stamp | 1 of 2: " in by_shortcut and "| neighbour's nucleus | 1 of 1: " in by_shortcut
    lines = [[part.split(":")[0].strip() for part in line.strip("|").split("|")] for line in by_method.splitlines()[2:]]
    assert lines == [["grad_cam", "", "3 of 3", "3 of 3"], [DEFAULT_METHOD, "3 of 3", "3 of 3", "2 of 3"],
                     ["shapley", "2 of 3", "", ""]]


def test_an_alarm_is_a_share_above_its_own_limit_and_an_unknown_share_is_none():
    told = [{"alarms": one} for one in (shares(0.3), shares(0.0, 0.3), shares(0.0, 0.29), shares(None, 0.4), shares())]
    assert [tables.raised(one) for one in told] == [True, True, False, True, False]
    assert [tables.raised(one, ["brightness"]) for one in told] == [False, True, False, True, False]
    assert [tables.known(one) for one in told] == [True, True, True, False, True]


def test_networks_without_a_share_are_no_evidence_against_false_alarms():
    none = [row("none", f"seed{i}") | {"alarms": shares(None, None)} for i in range(3)]
    rows = [row("DNA brightness"), row("DNA brightness", shortcut="corner stamp") | {"alarms": shares(None, None)},
            row("none", caught=True), *none]
    first, _, by_shortcut, _ = tables.results(rows).split("\n\n")
    assert "| false alarms, networks without any cue | 1 of 1: " in first
    assert "| without any cue, and without a difference to divide | 3 of 4: " in first
    assert "| shortcut caught | 0 of 1: " in first and "| corner stamp | 0 of 1: " in by_shortcut


@pytest.mark.parametrize(("cue", "said", "what", "right"), [
    ("nuclear area", "EB1", "channel", True), ("DNA brightness", "EB1", "channel", False),
    ("Golgi area", "organelle", "region", True), ("Golgi area", "nucleus", "region over its area", False),
    ("plus-end density", "cell body", "region", True), ("plus-end density", "background", "region", False),
])
def test_what_is_right_follows_from_the_cue(cue, said, what, right):
    assert tables._right({"cue": cue, "explained": {"m": {what: said}}}, "m", what) is right


def told(*rows):
    return pd.DataFrame(rows, columns=["channel", "compartment", "share", "area_share"])


def test_parts_of_a_thing_count_together():
    """The rim and the inside of the nucleus are each less than the body, together more; the body is larger."""
    table = told(("DNA", "nucleus", 0.3, 0.05), ("DNA", "nuclear rim", 0.25, 0.05), ("DNA", "cell body", 0.0, 0.4),
                 ("Golgi", "nucleus", 0.0, 0.05), ("Golgi", "nuclear rim", 0.0, 0.05),
                 ("Golgi", "cell body", 0.45, 0.4))
    assert study._firsts(table, tells_channels=True) == {
        "region": "nucleus", "region over its area": "nucleus", "channel": "DNA"}
    table["share"] = [0.15, 0.1, 0.0, 0.1, 0.05, 0.6]
    assert study._firsts(table, tells_channels=True) == {
        "region": "cell body", "region over its area": "nucleus", "channel": "Golgi"}
    assert "channel" not in study._firsts(table, tells_channels=False)
    assert study._firsts(table[:0], tells_channels=True) == {"channel": "", "region": "", "region over its area": ""}


def test_every_family_of_the_truth_table_exists():
    columns = ["Nuclei_AreaShape_Area", "Nuclei_Intensity_IntegratedIntensity_DNA", "Cells_AreaShape_ObjectArea_Golgi",
               "Cells_Intensity_MeanIntensity_DNA", "Cells_Intensity_MeanIntensity_Golgi",
               "Cells_Distance_Spread_Golgi", "Cells_Number_Objects_Golgi", "Cells_Number_Spots_EB1",
               "Cells_AreaShape_ObjectArea_EB1", "Cells_Intensity_MeanIntensity_EB1"]
    known = {one.name for one in families(columns, planted.CHANNELS, planted.CHANNELS[1:]).values()}
    assert {name for cue in planted.CUES.values() for name in cue.families} == known


@pytest.mark.parametrize("cue", planted.CUES)
def test_a_simulation_has_the_effect_of_its_cue_and_no_other(cue):
    effects = planted.simulation(cue, 7).effects.to_dict()
    assert effects.pop("marker") > 0  # what labels the cells
    assert {name: value for name, value in effects.items() if value} == planted.CUES[cue].effects
    assert set(effects) == set(planted.EFFECTS)
    assert planted.simulation(cue, 7).seed == 7 and planted.simulation(cue, 7).nuisance.mitotic == 0


def crops(n, fields=10):
    """Cells with a nucleus of 8 or 12 px in the middle, above a background of 200 stored values at a scale of 2."""
    rng = np.random.default_rng(0)
    one = tiny.crops(n, size=PIXELS)
    image = np.full(one.image.shape, 200, np.uint16)
    value, large = rng.integers(300, 400, (n, 1, 1, 1)), np.arange(n) % 3 == 0
    image[:, 11:19, 11:19], image[large, 9:21, 9:21] = value, value[large]
    compartments = np.full((n, PIXELS, PIXELS), int(C.BODY), np.uint8)
    compartments[:, 11:19, 11:19], compartments[large, 9:21, 9:21] = int(C.NUCLEUS), int(C.NUCLEUS)
    stats = one.intensity_stats.copy()
    stats[..., 0] = 400
    label = (rng.random(n) < 0.4).astype(np.int32)
    field = np.char.add("f", (np.arange(n) % fields).astype(str))
    return dataclasses.replace(one, image=image, compartments=compartments, intensity_stats=stats, label=label,
                               field_id=field, image_scale=np.full_like(one.image_scale, 2))


def test_a_corner_stamp_marks_nearly_all_of_one_class():
    before = crops(1000)
    after = planted.corner_stamp(before, np.random.default_rng(0))
    stamped = (after.image != before.image).any((1, 2, 3))
    rate = [stamped[after.label == p].mean() for p in (0, 1)]
    assert rate == pytest.approx([0.05, 0.95], abs=0.02)
    changed = (after.image != before.image)[stamped]
    assert (changed.sum((1, 2)) == 25).all()  # 5 x 5 px in every channel
    assert not changed[:, 9:].any() and not changed[:, :, 9:].any() and not changed[:, :2].any()
    assert set(after.image[stamped][changed]) == {before.image.max()}
    assert (before.image[:, :2] == 200).all()  # the given crops stay
    np.testing.assert_array_equal(after.compartments, before.compartments)


def test_lit_fields_hold_one_class_and_more_light():
    before = crops(600)
    after = planted.field_brightness(before, np.random.default_rng(0))
    classes = {field: set(after.label[after.field_id == field].tolist()) for field in np.unique(after.field_id)}
    assert sorted(map(list, classes.values())) == [[0]] * 5 + [[1]] * 5
    place = {cell: i for i, cell in enumerate(before.cell_id)}
    own = before.image[[place[cell] for cell in after.cell_id]].astype(float)
    gain = np.where(after.label == 1, 1.5, 1)[:, None, None, None]
    np.testing.assert_allclose(after.image, 200 + gain * (own - 200), atol=0.5)
    lit = [field for field, held in classes.items() if held == {1}]
    assert len(after) == sum((before.label == np.isin(before.field_id, lit)).tolist())  # all that fit are kept
    drawn = planted.field_brightness(before, np.random.default_rng(1))
    assert set(drawn.field_id[drawn.label == 1]) != set(lit)


def test_a_neighbour_is_another_cells_nucleus_beside_the_own_one():
    before = crops(1000)
    after = planted.neighbour(before, np.random.default_rng(0))
    new = after.compartments != before.compartments
    rate = [new.any((1, 2))[after.label == p].mean() for p in (0, 1)]
    assert rate == pytest.approx([0.05, 0.95], abs=0.02)
    assert set(after.compartments[new]) == {int(C.OTHER_NUCLEI)}
    np.testing.assert_array_equal(after.compartments & int(C.NUCLEUS), before.compartments & int(C.NUCLEUS))
    np.testing.assert_array_equal(after.image[..., 1:], before.image[..., 1:])  # the nuclear stain alone
    different = after.image[..., 0] != before.image[..., 0]
    np.testing.assert_array_equal(different, new)
    marked = np.flatnonzero(new.any((1, 2)))
    pasted = [set(after.image[i, ..., 0][new[i]].tolist()) for i in marked]
    nuclei = set(before.image[:, 14, 14, 0].tolist())
    assert all(len(one) == 1 and one <= nuclei for one in pasted)  # of one donor
    donors = [one.pop() for one in pasted]
    assert np.mean(np.array(donors) == before.image[marked, 14, 14, 0]) < 0.1 and len(set(donors)) > 50
    away = [np.hypot(*(np.argwhere(new[i]).mean(0) - 14.5)) for i in marked]
    assert min(away) > 8 and max(away) < 15
    sides = np.array([np.sign(np.argwhere(new[i]).mean(0) - 14.5) for i in marked])
    assert (np.abs(sides.mean(0)) < 0.15).all()


def test_a_planted_copy_is_made_once(tmp_path, monkeypatch):
    source = tiny.write_data(tmp_path / "source", train=40, validation=24, unlabelled=4)
    made = planted.plant(source, tmp_path / "copy", "corner stamp", 3)
    train = crop_arrays.load_crops(made, "train")
    assert len(train) == 36 and set(train.label.tolist()) == {0, 1}
    labelled = crop_arrays.load_crops(source, "train")
    expected = planted.corner_stamp(crop_arrays.take(labelled, labelled.label >= 0), np.random.default_rng(3))
    place = {cell: i for i, cell in enumerate(expected.cell_id)}
    rows = [place[cell] for cell in train.cell_id]
    for name in (*crop_arrays.ARRAYS, "cell_id", "group_id", "field_id", "compartments_present"):
        np.testing.assert_array_equal(getattr(train, name), getattr(expected, name)[rows], err_msg=name)
    assert all(getattr(train, name) == getattr(expected, name) for name in crop_arrays.METADATA)
    assert crop_arrays.identity(made) != crop_arrays.identity(source)
    monkeypatch.setattr(planted.tfds_builder, "write", _fail)
    assert planted.plant(source, tmp_path / "copy", "corner stamp", 3) == made


@pytest.mark.slow
def test_a_set_is_made_trained_and_explained_once(tmp_path, monkeypatch):
    small = {"FIELDS": 8, "CROP_PX": 24, "UM_PER_PX": 1.2}
    for name, value in small.items():
        monkeypatch.setattr(planted, name, value)
    for name, value in {"STEPS": 20, "SEEDS": 1, "EXPLAINED": 16, "BATCH": 16}.items():
        monkeypatch.setattr(study, name, value)
    preparation, training = planted.preparation, study.training
    monkeypatch.setattr(planted, "preparation", lambda seed: _with_more_kept(preparation(seed)))
    monkeypatch.setattr(study, "training", lambda seed: _shallow(training(seed)))
    monkeypatch.setattr(methods, "METHODS", {n: methods.METHODS[n] for n in (DEFAULT_METHOD, "grad_cam")})
    clean, short = rows = study.one_set(tmp_path, "DNA brightness", 0)
    assert [one["shortcut"] for one in rows] == ["", "field brightness"]
    assert {one["cue"] for one in rows} == {"DNA brightness"} and {one["network"] for one in rows} == {"seed0"}
    told = clean["explained"]
    assert {"shapley", *(f"{n}{how}" for n in methods.METHODS for how in ("", ", by relevance"))} <= set(told)
    places = {"nucleus", "organelle", "cell body", "other nuclei", "background"}
    for name, one in told.items():
        assert ("channel" in one) == (not name.startswith("grad_cam")) and ("region" in one) == (name != "shapley")
        assert one.get("channel", "DNA") in (*planted.CHANNELS, "") and one.get("region", "nucleus") in places
    assert clean["discover"] in planted.CUES["DNA brightness"].families  # a measurement needs no training
    for one in rows:
        assert set(one["alarms"]) == set(tables.SHARES) and tables.known(one)
    files.write_json(tmp_path / "rows.json", {"found": rows})
    monkeypatch.setattr(loop, "train_cohort", _fail)
    monkeypatch.setattr(planted.simulate, "simulate", _fail)
    monkeypatch.setattr(planted.tfds_builder, "write", _fail)
    monkeypatch.setattr(methods, "METHODS", {DEFAULT_METHOD: methods.METHODS[DEFAULT_METHOD]})
    again = study.one_set(tmp_path, "DNA brightness", 0)
    assert again[1] == short and again[0]["explained"][DEFAULT_METHOD] == told[DEFAULT_METHOD]
    assert tables.results(files.read_json(tmp_path / "rows.json")["found"] + [row("none")])


def _with_more_kept(config):
    config.split.fractions = (0.5, 0.375, 0.125)
    return config


def _shallow(config):
    config.model.depth, config.model.filters = 1, 4  # half of the time goes into compiling
    return config


def _fail(*arguments, **options):
    raise AssertionError("what is finished is read back")
