"""What was stored stays readable: runs, data sets and predictors, each with a config of before one of its fields.

`stored/predictor_of_2026_11` is the model that was shipped then, before `model.dtype` and others existed.
"""

import hashlib
import json
import pathlib
import shutil

import numpy as np
import pytest

import launch
from cellcycle_jax import files, old_names, stored_config
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.prediction import predictor
from cellcycle_jax.runs import checkpoint_manifest, run_record, trained_run
from cellcycle_jax.training import loop
from configs import base
from configs.load import fields
from tests import tiny

OLD_PREDICTOR = pathlib.Path(__file__).parent / "stored" / "predictor_of_2026_11"
KINDS = {"training": (stored_config.TRAINING, base.training), "preparation": (stored_config.PREPARATION,
                                                                              base.preparation)}
ALL = [(kind, name) for kind, (known, _) in KINDS.items() for name in known.fields]


def of_today(kind):
    """A config with the defaults, as it comes back from a JSON file."""
    return files.to_json(KINDS[kind][1]().to_dict())


NAMES_OF_BEFORE = {today: old for old, today in old_names.CONFIG_FIELDS.items() if old != "channels.marker"}


def without(config, name):
    """A copy without one field."""
    config = json.loads(json.dumps(config))
    *path, last = name.split(".")
    place = config
    for part in path:
        place = place[part]
    del place[last]
    return config


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of three steps on the tiny data, whose fields that came later do what was done before them."""
    folder = tmp_path_factory.mktemp("stored")
    tiny.write_data(folder / "data")
    config = base.training()
    config.update_from_flattened_dict({"model.filters": 4, "model.depth": 1, "train.batch_size": 8, "train.steps": 3,
                                       "train.kept_weights": "best"})
    loop.train(config, folder / "data", folder / "run")
    return folder / "run"


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of that run, whose record and data set may be changed."""
    shutil.copytree(trained, tmp_path / "run")
    shutil.copytree(trained.parent / "data", tmp_path / "data")
    run_record.say_where_data_are(tmp_path / "run", tmp_path / "data")
    return tmp_path / "run"


def store_training(workdir, training):
    """Write a run folder as a version whose training config was this one would have left it."""
    record = files.read_json(workdir / "config.json") | {"training": training}
    record["run_id"] = run_record.hash_of(record)
    run_record.write(workdir, record)
    for step in checkpoint_manifest.steps(workdir / "checkpoints"):
        kept = checkpoint_manifest.read(workdir / "checkpoints", step)
        facts = kept["facts"] | {"run_id": record["run_id"]}
        checkpoint_manifest.write(workdir / "checkpoints", step, kept["arrays"], facts, kept["progress"])
    return record["run_id"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_config_is_known_with_its_type(kind):
    known, make = KINDS[kind]
    defaults = files.to_json(make().to_dict())
    assert set(known.fields) == set(fields(make()))
    for name, allowed in known.fields.items():
        value = stored_config.flat(defaults)[name]
        assert isinstance(value, allowed), name
        assert isinstance(value, bool) == (allowed is bool), name
        if isinstance(value, float):
            assert allowed == stored_config.NUMBER, name  # 1.0 may be stored as 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_complete_comes_back_as_it_is(kind):
    assert stored_config.read(of_today(kind), KINDS[kind][0], "x") == of_today(kind)


@pytest.mark.parametrize(("kind", "name"), ALL, ids=[f"{kind}.{name}" for kind, name in ALL])
def test_a_config_of_before_a_field_is_read_or_refused_by_name(kind, name):
    known = KINDS[kind][0]
    stored = without(of_today(kind), name)
    if name in known.added:
        found = stored_config.flat(stored_config.read(stored, known, "RUN/config.json"))
        assert found[name] == known.added[name]
        assert set(found) == set(known.fields)
    else:
        with pytest.raises(StoredStateRefused, match=f"RUN/config.json: field {name} is missing"):
            stored_config.read(stored, known, "RUN/config.json")


WRONG = {bool: "yes", int: 1.5, str: 3, list: "DNA", stored_config.NUMBER: "much"}


@pytest.mark.parametrize(("kind", "name"), ALL, ids=[f"{kind}.{name}" for kind, name in ALL])
def test_a_value_of_another_type_is_refused_by_name(kind, name):
    known = KINDS[kind][0]
    stored = stored_config.flat(of_today(kind)) | {name: WRONG[known.fields[name]]}
    with pytest.raises(StoredStateRefused, match=f"x: {name} is .*; allowed: "):
        stored_config.read(nested(stored), known, "x")


def nested(flat):
    tree = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return tree


def test_true_is_no_number_and_a_later_field_is_named():
    stored = of_today("training")
    stored["train"]["steps"] = True
    with pytest.raises(StoredStateRefused, match="train.steps is True; allowed: a whole number"):
        stored_config.read(stored, stored_config.TRAINING, "x")
    stored = of_today("training")
    stored["train"]["warp"] = 9
    with pytest.raises(StoredStateRefused, match="field train.warp is not known to this version"):
        stored_config.read(stored, stored_config.TRAINING, "x")
    for wrong in (None, [], "text", 3):
        with pytest.raises(StoredStateRefused, match="where a config belongs"):
            stored_config.read(wrong, stored_config.TRAINING, "x")


def test_the_one_marker_of_before_is_the_only_one_of_today():
    for before, today in (("CENPF", ["CENPF"]), ("", [])):
        stored = without(of_today("preparation"), "channels.markers")
        stored["channels"]["marker"] = before
        found = stored_config.read(stored, stored_config.PREPARATION, "x")
        assert found["channels"] == {"nucleus": "DNA", "stains": [], "markers": today}


@pytest.mark.parametrize("name", stored_config.TRAINING.fields)
def test_a_run_stored_without_a_field_is_read_or_refused_with_code_5(copied, name, capsys):
    whole = files.read_json(copied / "config.json")["training"]
    run_id = store_training(copied, without(whole, name))
    if name in stored_config.TRAINING.added:
        found = trained_run.load_run(copied)
        assert found.run_id == run_id
        assert files.to_json(found.config.to_dict()) == whole
    else:
        assert launch.main(["evaluate", f"--workdir={copied}"]) == 5
        said = capsys.readouterr().err.splitlines()
        assert said == [f"evaluate: {copied}/config.json: training: field {name} is missing, so the file is damaged"]


@pytest.mark.parametrize("name", stored_config.PREPARATION.fields)
def test_a_data_set_stored_without_a_field_is_read_or_refused(copied, name):
    folder = copied.parent / "data"
    made = files.read_json(folder / "provenance.json")
    files.write_json(folder / "provenance.json", made | {"config": without(made["config"], name)})
    if name in stored_config.PREPARATION.added:
        assert (
            stored_config.flat(crop_arrays.provenance(folder)["config"])[name] == stored_config.PREPARATION.added[name]
        )
    else:
        with pytest.raises(StoredStateRefused, match=f"provenance.json: config: field {name} is missing"):
            crop_arrays.provenance(folder)


@pytest.mark.parametrize(("kind", "name"), ALL, ids=[f"{kind}.{name}" for kind, name in ALL])
def test_a_predictor_stored_without_a_field_is_read_or_refused(tmp_path, kind, name):
    shutil.copytree(OLD_PREDICTOR, tmp_path / "old")
    path = tmp_path / "old" / "predictor.json"
    record = files.read_json(path)
    holder = record if kind == "training" else record["preparation"]
    key = "training" if kind == "training" else "config"
    stored_name = NAMES_OF_BEFORE.get(name, name)
    if stored_name in stored_config.flat(holder[key]):
        holder[key] = without(holder[key], stored_name)
    files.write_json(path, record | {"sha256": predictor._digest(record)})
    if name in KINDS[kind][0].added:
        found = predictor.load_predictor(tmp_path / "old")
        config = found.training.to_dict() if kind == "training" else found.preparation["config"]
        assert stored_config.flat(files.to_json(config))[name] == KINDS[kind][0].added[name]
    else:
        with pytest.raises(StoredStateRefused, match=f"field {name} is missing"):
            predictor.load_predictor(tmp_path / "old")


def test_the_predictor_of_before_model_dtype_says_what_it_said_then():
    found = predictor.load_predictor(OLD_PREDICTOR)
    assert "dtype" not in files.read_json(OLD_PREDICTOR / "predictor.json")["training"]["model"]
    assert found.training.model.dtype == "float32"
    crops = tiny.crops(4, size=found.crop_px)
    logits, _ = found.predict(crops)
    assert logits.shape == (4, 2) and np.isfinite(logits).all()
    assert logits[1::2, 1].min() > logits[::2, 1].max()  # cells with twice the DNA are nearer to G2


def test_a_run_that_an_earlier_version_began_goes_on(copied):
    """Begun by a version without data.labels and model.dtype, continued by this one for three more steps."""
    whole = files.read_json(copied / "config.json")["training"]
    longer = json.loads(json.dumps(whole))
    longer["train"]["steps"] = 6
    old = without(without(longer, "data.labels"), "model.dtype")
    run_id = store_training(copied, old)
    config = base.training()
    config.update_from_flattened_dict({"model.filters": 4, "model.depth": 1, "train.batch_size": 8, "train.steps": 6,
                                       "train.kept_weights": "best"})
    loop.train(config, copied.parent / "data", copied)
    stored = files.read_json(copied / "config.json")
    assert stored["run_id"] == run_id and stored["training"] == old
    assert trained_run.load_run(copied, finished=True).run_id == run_id
    assert trained_run.last_step(copied)[0] == 6


def test_a_record_that_was_changed_is_noticed(copied):
    record = files.read_json(copied / "config.json")
    record["training"]["train"]["batch_size"] = 16
    files.write_json(copied / "config.json", record)
    with pytest.raises(StoredStateRefused, match="config.json: damaged or changed .run_id is"):
        trained_run.load_run(copied)


def test_code_as_the_name_of_a_model_is_refused(copied, capsys):
    training = files.read_json(copied / "config.json")["training"]
    training["model"]["name"] = "__import__('os').system('true')"
    store_training(copied, training)
    assert launch.main(["evaluate", f"--workdir={copied}"]) == 5
    assert "model.name=" in capsys.readouterr().err


def test_a_data_set_that_was_moved_is_found_by_the_flag_that_the_error_names(copied, capsys):
    moved = copied.parent / "elsewhere"
    shutil.move(copied.parent / "data", moved)
    assert launch.main(["evaluate", f"--workdir={copied}"]) == 5
    said = capsys.readouterr().err
    advice = f"launch.py evaluate --workdir={copied} --data=DIR"
    assert advice in said and len(said.splitlines()) == 1
    run_record.say_where_data_are(copied, moved)
    assert trained_run.load_run(copied).data_dir == moved


def test_another_data_set_is_not_taken_for_the_moved_one(copied, tmp_path, capsys):
    other = tiny.write_data(tmp_path / "other")
    tiny.write_provenance(other, source="simulated")
    before = files.read_json(copied / "config.json")
    assert launch.main(["discover", f"--workdir={copied}", f"--data={other}"]) == 5
    assert "is not the data set that" in capsys.readouterr().err
    assert files.read_json(copied / "config.json") == before


def test_the_hash_of_a_record_is_that_of_its_sorted_json():
    record = {"training": {"b": 1, "a": [2]}, "channels": ["DNA"]}
    text = '{"channels": ["DNA"], "training": {"a": [2], "b": 1}}'
    assert run_record.hash_of(record | {"data_dir": "x", "run_id": "y"}) == (
        hashlib.sha256(text.encode()).hexdigest()[:12])
