"""RUN/config.json: what a run was made with, and cohort.json, the same of several runs trained as one program.

The only file that reads and writes the two. `run_id` is the hash of everything else but the place of the data set, so a
record that was changed, or damaged where it still is JSON, is noticed.
"""

import hashlib
import json
import pathlib

from ml_collections import ConfigDict

from cellcycle_jax import files, models, old_names, stored_config
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import StoredStateRefused, UsageError
from cellcycle_jax.runs.config_checks import check_config

CONFIG = "config.json"  # of a run
COHORT = "cohort.json"  # of several that are trained as one program
FIELDS = {
    CONFIG: ("training", "channels", "classes", "markers", "crop_px", "data_sha256", "run_id", "data_dir"),
    COHORT: ("members", "run_id"),
}
ADVICE = {
    CONFIG: "restore it from a copy, or train in a new --workdir",
    COHORT: "remove {folder}, and its runs are trained from the start",
}
NOT_HASHED = ("run_id", "data_dir")  # the same data set may have moved


def describe(config, data_dir, crops: crop_arrays.Crops) -> dict:
    """The record of a run: everything that it depends on, and `run_id`, its hash.

    Args:
        config: the training config.
        data_dir: folder that `prepare` wrote.
        crops: of its training split.

    Raises:
        UsageError, InputRefused: the channels asked for do not fit, or the model is too deep for the crops.
    """
    size = crops.image.shape[1]
    if "depth" in models.fields_of(config.model.name):
        refuse_depth(config.model.depth, size)
    record = {
        "training": json.loads(json.dumps(config.to_dict())),
        "channels": [crops.channels[i] for i in crop_arrays.channel_indices(crops, config.data.channels)],
        "classes": list(crops.classes),
        "markers": list(crops.markers),
        "crop_px": size,
        "data_sha256": crop_arrays.identity(data_dir),
    }
    return {**record, "run_id": hash_of(record), "data_dir": str(pathlib.Path(data_dir).absolute())}


def refuse_depth(depth: int, size: int) -> None:
    """Refuse a model that halves crops of `size` px more often than they can be.

    Raises:
        UsageError: names the depth that is allowed.
    """
    if 2 ** (depth + 1) > size:
        raise UsageError(f"config.model.depth={depth} halves crops of {size} px {depth + 1} times; at most "
                         f"{size.bit_length() - 2} is allowed")


def describe_cohort(records: dict) -> dict:
    """The record of a cohort: that of every member by name, and `run_id`, a hash of theirs."""
    return {"members": records, "run_id": _hash_of_members(records)}


def hash_of(record: dict) -> str:
    """What `run_id` of a run is: a hash of its record, 12 hexadecimal digits."""
    return _hash({name: value for name, value in record.items() if name not in NOT_HASHED})


def _hash_of_members(records):
    return _hash({name: record["run_id"] for name, record in records.items()})


def _hash(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def checkpoint_metadata(record: dict) -> dict:
    """What is written into every checkpoint, so that its numbers can be read: what goes in and what comes out."""
    if "members" in record:
        members = {name: checkpoint_metadata(member) for name, member in record["members"].items()}
        return {"run_id": record["run_id"], "members": members}
    chosen = record["training"]["data"]
    return {
        "run_id": record["run_id"],
        "classes": record["classes"],
        "channels": record["channels"],
        "mask": chosen["mask"],
        "scale": old_names.value_of_today("data.scale", chosen["scale"]),
        "crop_px": record["crop_px"],
    }


def read(workdir, name: str = CONFIG) -> dict:
    """The record in a run folder (or with `name` COHORT of a cohort's), its config with all fields of today.

    Raises:
        StoredStateRefused: there is none, it is damaged or changed, or does not fit this version.
    """
    path = pathlib.Path(workdir) / name
    record = _stored(path)
    if name != COHORT:
        return _of_today(record, str(path))
    members = {}
    for member, record_of_member in record["members"].items():
        members[member] = _of_today(record_of_member, f"{path}: {member}")
    return {**record, "members": members}


def _of_today(record, where):
    return {**record, "training": training_of_today(record["training"], f"{where}: training")}


def training_of_today(stored, where: str) -> dict:
    """A stored training config with all fields of today, in nested dicts, with values that can be.

    Args:
        stored: what a JSON file holds.
        where: the file and the part of it, for the error.

    Raises:
        StoredStateRefused: it does not fit this version.
    """
    training = stored_config.read(stored, stored_config.TRAINING, where)
    try:
        check_config(ConfigDict(training))
    except UsageError as error:
        raise StoredStateRefused(f"{where}: {error}; the file is damaged") from None
    return training


def _stored(path) -> dict:
    """The record as it lies on disk, if it is what its `run_id` is the hash of."""
    if not path.is_file():
        raise StoredStateRefused(f"{path.parent}: no {path.name}, so this is no run folder; use `launch.py train`")
    try:
        record = files.read_json(path)
        if path.name == COHORT:
            _require_fields(record, FIELDS[COHORT])
            for member in record["members"].values():
                _require_whole(member)
            _require_hash(record, _hash_of_members(record["members"]))
        else:
            _require_whole(record)
    except (ValueError, TypeError, AttributeError) as error:
        advice = ADVICE[path.name].format(folder=path.parent)
        raise StoredStateRefused(f"{path}: damaged or changed ({error}); {advice}") from None
    return record


def _require_fields(record, names):
    for name in names:
        if name not in record:
            raise ValueError(f"{name} is missing")


def _require_whole(record):
    """Refuse a run's record that was changed."""
    _require_fields(record, FIELDS[CONFIG])
    if not isinstance(record["data_dir"], str) or not record["data_dir"]:
        raise ValueError(f"data_dir is {record['data_dir']!r} instead of a path")
    _require_hash(record, hash_of(record))


def _require_hash(record, of_the_rest):
    if record["run_id"] != of_the_rest:
        raise ValueError(f"run_id is {record['run_id']!r}, but the rest has the hash {of_the_rest}")


def continued(workdir, record: dict) -> dict:
    """The record to go on with: of a run that is in the folder already its own, with its run_id and the place of today.

    A run that an earlier version began keeps the run_id that it had, by which its checkpoints know it.

    Raises:
        StoredStateRefused: the folder holds a run of another config or data set, or a damaged one.
    """
    path = _path_of(workdir, record)
    if not path.is_file():
        return record
    differences = stored_config.differences(read(workdir, path.name), record, NOT_HASHED)
    if differences:
        raise StoredStateRefused(f"{path}: holds another run ({', '.join(differences)}); use a new --workdir")
    return _moved(_stored(path), record)


def _path_of(workdir, record) -> pathlib.Path:
    return pathlib.Path(workdir) / (COHORT if "members" in record else CONFIG)


def _moved(stored, record):
    """The stored record with the place that the data set has now."""
    if "members" not in stored:
        return {**stored, "data_dir": record["data_dir"]}
    members = {name: _moved(member, record["members"][name]) for name, member in stored["members"].items()}
    return {**stored, "members": members}


def write(workdir, record: dict) -> None:
    """Write the record of `continued` to RUN/config.json, of a cohort to cohort.json."""
    files.write_json(_path_of(workdir, record), record)


def say_where_data_are(workdir, data_dir) -> None:
    """Tell a run that its data set has been moved to `data_dir`.

    Raises:
        StoredStateRefused: no run there, or another data set.
    """
    record = _stored(pathlib.Path(workdir) / CONFIG)
    if crop_arrays.identity(data_dir) != record["data_sha256"]:
        raise StoredStateRefused(f"--data={data_dir}: is not the data set that {workdir} was trained on; name the "
                                 "folder to which that one was moved")
    data_dir = str(pathlib.Path(data_dir).absolute())
    if record["data_dir"] != data_dir:
        write(workdir, {**record, "data_dir": data_dir})
