"""Which runs a study has on a data set, how far each is, and as which programs the rest is trained."""

import dataclasses
import hashlib
import json
import pathlib

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays, model_input
from cellcycle_jax.errors import StoredStateRefused, UsageError
from cellcycle_jax.runs import checkpoint, run_record, trained_run
from cellcycle_jax.runs.config_checks import check_config
from cellcycle_jax.studies import study
from cellcycle_jax.training import cohort

FINISHED, DIVERGED, BEGUN, NOT_BEGUN = "finished", "diverged", "begun", "not begun"


@dataclasses.dataclass(frozen=True)
class Plan:
    """The runs of a study on a data set, in a folder."""

    study: study.Study
    members: list[study.Member]
    records: dict[str, dict]  # name -> what goes to its config.json
    keys: dict[str, tuple]  # name -> equal for runs that may be one program
    data: study.Data
    data_dir: pathlib.Path
    workdir: pathlib.Path

    def folder(self, name: str) -> pathlib.Path:
        """The run folder of a member."""
        return self.workdir / "runs" / name


def make_plan(chosen: study.Study, data_dir, workdir) -> Plan:
    """The runs of a study on a data set, all checked before any is trained; raises as `run_sweep`."""
    check_config(chosen.config)
    crops, validation = (crop_arrays.load_crops(data_dir, split, pixels=False) for split in ("train", "validation"))
    shown = sorted(crop_arrays.channel_indices(crops, chosen.config.data.channels))
    rows = crop_arrays.labelled_rows(crops, chosen.config.data.cell_lines)
    found = study.Data(tuple(crops.channels[i] for i in shown), tuple(sorted(set(crops.cell_line[rows].tolist()))))
    members, records, keys, seen = study.members(chosen, found), {}, {}, {}
    for number, member in enumerate(members):
        check_config(member.config)
        model = cohort.make_member(member.name, member.config, crops, validation)  # refuses what has no cells
        if (first := seen.setdefault(_what_is_trained(model), number)) < number:
            raise UsageError(f"--config={chosen.path}: sweep(data) gives {study.words(member.changes, found, ' ')} "
                             f"twice, as runs {first} and {number}; name each once")
        records[member.name] = run_record.describe(member.config, data_dir, crops)
        keys[member.name] = _program_key(model, crops.channels)
    for mask, scale in sorted({(member.config.data.mask, member.config.data.scale) for member in members}):
        for split in (crops, validation):
            labelled = split.label != schema.NO_LABEL
            model_input.require_compartments(split.compartments_present[labelled], mask, scale)
    return Plan(chosen, members, records, keys, found, pathlib.Path(data_dir), pathlib.Path(workdir))


def _what_is_trained(model: cohort.Member) -> str:
    """Equal for runs that are the same, however they say so: () and the names of all channels or lines are."""
    config = model.config.to_dict()
    chosen = {**config, "data": {**config["data"], "channels": model.channels, "cell_lines": None}}
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode())
    for rows in (model.train, model.validation):
        digest.update(f"{len(rows)} ".encode() + rows.tobytes())
    return digest.hexdigest()


def _program_key(model: cohort.Member, stored) -> tuple:
    """Equal for runs that may be one program; one that sees channels in an order of its own shares it with its like."""
    in_order = list(model.channels) == sorted(model.channels, key=stored.index)
    return cohort.key_of(model.config), () if in_order else model.channels


def identity(plan: Plan) -> dict:
    """What may not change in the folder of a study: its name, what its runs share, the data set."""
    return {"study": plan.study.name, "training": plan.study.config.to_dict(),
            "data_sha256": crop_arrays.identity(plan.data_dir)}


def state_of(plan: Plan, name: str) -> tuple[str, int]:
    """How far a run is in its own folder, and the step it has saved or at which it diverged.

    Raises:
        StoredStateRefused: the folder holds another run, or a record or all checkpoints in it are damaged.
    """
    folder, record = plan.folder(name), plan.records[name]
    if (folder / "diverged.json").is_file():
        return DIVERGED, _diverged_step(folder)
    if not (folder / "config.json").is_file():
        return NOT_BEGUN, 0
    run_record.continued(folder, record)  # refuses another run, and says what differs
    step, stopped = trained_run.how_far(folder)
    if stopped or step >= record["training"]["train"]["steps"]:
        return FINISHED, step
    return (BEGUN, step) if step else (NOT_BEGUN, 0)


def _diverged_step(folder):
    try:
        return int(files.read_json(folder / "diverged.json")["step"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoredStateRefused(f"{folder}/diverged.json: damaged ({type(error).__name__}: {error}); remove {folder}, "
                                 "and this run is trained again") from None


def _ids_of_cohort(folder):
    """{name: run_id} of the runs of a program."""
    members = run_record.read(folder, run_record.COHORT)["members"]
    return {name: record["run_id"] for name, record in members.items()}


def _begun_cohorts(plan):
    """{folder: names} of programs of several runs that an interruption left, if they are of the runs asked for."""
    found = {}
    for path in sorted(plan.workdir.glob("cohorts/*/cohort.json")):
        stored = _ids_of_cohort(path.parent)
        own = {name: record["run_id"] for name, record in plan.records.items()}
        same = all(run_id == own.get(name) for name, run_id in stored.items())
        if same and checkpoint.newest_step(path.parent / "checkpoints") is not None:
            found[path.parent] = list(stored)
    return found


def programs(plan: Plan, states: dict) -> list[tuple[pathlib.Path | None, list[str]]]:
    """What is left to train: a cohort's folder and its names, or None and the name of a run that is trained alone.

    A cohort that was begun goes on as it is, though some of its runs may have been finished by --index since then. So
    does a run that was begun alone. All others form new cohorts, one for each set of configs that may be one program.

    Raises:
        UsageError: a program of several runs keeps its cells elsewhere than on the device.
        StoredStateRefused: the record of a cohort is damaged.
    """
    left = {member.name: member for member in plan.members if states[member.name][0] in (BEGUN, NOT_BEGUN)}
    found = []
    for folder, names in _begun_cohorts(plan).items():
        if left.keys() & set(names):
            found.append((folder, names))
            left = {name: member for name, member in left.items() if name not in names}
    groups = {}
    for name in left:
        alone = name if states[name][0] == BEGUN else None
        groups.setdefault((plan.keys[name], alone), []).append(name)
    for names in groups.values():
        placement = left[names[0]].config.data.placement
        if len(names) > 1 and placement not in ("auto", "device"):
            raise UsageError(f"config.data.placement={placement!r}: {len(names)} runs, {names[0]} and others, are "
                             "trained as one program, which needs its cells on the device; train them one by one "
                             "(--index), or allow 'auto' or 'device'")
        digest = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:8]
        found.append((plan.workdir / "cohorts" / f"{len(names)}_runs_{digest}" if len(names) > 1 else None, names))
    return found


def listing(plan: Plan) -> str:
    """The numbered runs: name, what differs, how far they are; and as how many programs they are trained."""
    begun = {name for names in _begun_cohorts(plan).values() for name in names}
    width = max(len(member.name) for member in plan.members)
    lines = [f"{'index':>5}  {'run':{width}}  {'state':22}  config"]
    for number, member in enumerate(plan.members):
        state, step = state_of(plan, member.name)
        state = BEGUN if state == NOT_BEGUN and member.name in begun else state
        said = f"{state} at step {step}" if step else state
        changes = " ".join(f"{field}={','.join(map(str, value)) if isinstance(value, (tuple, list)) else value}"
                           for field, value in member.changes.items())
        lines.append(f"{number:5}  {member.name:{width}}  {said:22}  {changes}")
    count = len(set(plan.keys.values()))
    return "\n".join([*lines, f"{len(plan.members)} runs, trained as {count} program{'s' * (count > 1)}"])
