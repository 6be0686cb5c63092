"""Which runs a study has on a data set, how far each is, and as which programs the rest is trained."""

import dataclasses
import hashlib
import itertools
import json
import pathlib

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays, model_input
from cellcycle_jax.errors import StoredStateRefused, UsageError
from cellcycle_jax.runs import checkpoint, run_record, trained_run
from cellcycle_jax.runs.config_checks import check_config
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.studies import study
from cellcycle_jax.training import cohort

FINISHED = "finished"
DIVERGED = "diverged"
BEGUN = "begun"
NOT_BEGUN = "not begun"


@dataclasses.dataclass(frozen=True)
class Plan:
    """The runs of a study on a data set, in a folder."""

    study: study.Study
    members: list[study.Member]
    records: dict[str, dict]  # name -> what goes to its config.json
    keys: dict[str, tuple]  # name -> equal for runs that may be one program
    data: study.Data
    opened: OpenData
    workdir: pathlib.Path

    @property
    def data_dir(self) -> pathlib.Path:
        """The folder of the data set."""
        return self.opened.folder

    def folder(self, name: str) -> pathlib.Path:
        """The run folder of a member."""
        return self.workdir / "runs" / name

    @property
    def by_name(self) -> dict[str, study.Member]:
        """The members, each under its name."""
        return {member.name: member for member in self.members}


def make_plan(chosen: study.Study, data_dir, workdir) -> Plan:
    """The runs of a study on a data set, all checked before any is trained; raises as `run_sweep`."""
    check_config(chosen.config)
    opened = OpenData(data_dir)
    crops = opened.crops("train")
    validation = opened.crops("validation")
    data = _choices(crops, chosen.config.data)
    members = study.members(chosen, data)
    records = {}
    keys = {}
    number_of = {}
    inputs = set()
    for number, member in enumerate(members):
        check_config(member.config)
        model = cohort.make_member(member.name, member.config, crops, validation)  # refuses what has no cells
        first = number_of.setdefault(_what_is_trained(model), number)
        if first < number:
            what = study.words(member.changes, data, " ")
            raise UsageError(f"--config={chosen.path}: sweep(data) gives {what} twice, "
                             f"as runs {first} and {number}; name each once")
        records[member.name] = run_record.describe(member.config, data_dir, crops)
        keys[member.name] = _program_key(model, crops.channels)
        inputs.add((member.config.data.mask, member.config.data.scale))
    for mask, scale in sorted(inputs):
        for split in (crops, validation):
            labelled = split.label != schema.NO_LABEL
            model_input.require_compartments(split.compartments_present[labelled], mask, scale)
    return Plan(chosen, members, records, keys, data, opened, pathlib.Path(workdir))


def _choices(crops, config):
    """What a study can choose from in the training split, narrowed by the fields of `config.data`."""
    indices = sorted(crop_arrays.channel_indices(crops, config.channels))
    channels = [crops.channels[index] for index in indices]
    rows = crop_arrays.labelled_rows(crops, config.cell_lines)
    lines = sorted(set(crops.cell_line[rows].tolist()))
    return study.Data(tuple(channels), tuple(lines))


def _what_is_trained(model: cohort.Member) -> str:
    """Equal for runs that are the same, however they say so: () and the names of all channels or lines are."""
    config = model.config.to_dict()
    config["data"] |= {"channels": model.channels, "cell_lines": None}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for rows in (model.train, model.validation):
        digest.update(f"{len(rows)} ".encode() + rows.tobytes())
    return digest.hexdigest()


def _program_key(model: cohort.Member, stored) -> tuple:
    """Equal for runs that may be one program; one that sees channels in an order of its own shares it with its like."""
    in_order = list(model.channels) == sorted(model.channels, key=stored.index)
    return cohort.key_of(model.config), () if in_order else model.channels


def identity(plan: Plan) -> dict:
    """What may not change in the folder of a study: its name, what its runs share, the data set."""
    return {
        "study": plan.study.name,
        "training": plan.study.config.to_dict(),
        "data_sha256": crop_arrays.identity(plan.data_dir),
    }


def states_of(plan: Plan) -> dict[str, tuple[str, int]]:
    """`state_of` each run, in the order of the study."""
    return {member.name: state_of(plan, member.name) for member in plan.members}


def unfinished(states: dict) -> list[str]:
    """The runs that are neither finished nor diverged, of run -> `state_of`."""
    return [name for name, (state, _) in states.items() if state in (BEGUN, NOT_BEGUN)]


def state_of(plan: Plan, name: str) -> tuple[str, int]:
    """How far a run is in its own folder, and the step it has saved or at which it diverged.

    Raises:
        StoredStateRefused: the folder holds another run, or a record or all checkpoints in it are damaged.
    """
    folder = plan.folder(name)
    record = plan.records[name]
    if (folder / "diverged.json").is_file():
        return DIVERGED, _diverged_step(folder)
    if not (folder / "config.json").is_file():
        return NOT_BEGUN, 0
    run_record.continued(folder, record)  # refuses another run, and says what differs
    step, stopped = trained_run.last_step(folder)
    if stopped or step >= record["training"]["train"]["steps"]:
        return FINISHED, step
    if step:
        return BEGUN, step
    return NOT_BEGUN, 0


def _diverged_step(folder):
    try:
        return int(files.read_json(folder / "diverged.json")["step"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoredStateRefused(f"{folder}/diverged.json: damaged ({type(error).__name__}: {error}); "
                                 f"remove {folder}, and this run is trained again") from None


def _ids_of_runs(records):
    return {name: record["run_id"] for name, record in records.items()}


def _begun_cohorts(plan):
    """{folder: names} of programs of several runs that were interrupted, where all of their runs are in the plan."""
    own = _ids_of_runs(plan.records)
    begun = {}
    for path in sorted(plan.workdir.glob("cohorts/*/cohort.json")):
        folder = path.parent
        stored = _ids_of_runs(run_record.read(folder, run_record.COHORT)["members"])
        in_plan = stored.items() <= own.items()
        if in_plan and checkpoint.newest_step(folder / "checkpoints") is not None:
            begun[folder] = list(stored)
    return begun


def programs(plan: Plan, states: dict, joins: bool = True) -> list[tuple[pathlib.Path | None, list[str]]]:
    """What is left to train: a cohort's folder and its names, or None and the name of a run that is trained alone.

    A cohort that was begun goes on as it is, though some of its runs may have been finished by --index since then. So
    does a run that was begun alone. All others form new cohorts, one for each set of configs that may be one program.

    Args:
        plan: of the study.
        states: run -> `state_of` it.
        joins: whether runs that were not begun form cohorts; else each is trained alone.

    Raises:
        UsageError: a program of several runs keeps its cells elsewhere than on the device.
        StoredStateRefused: the record of a cohort is damaged.
    """
    left = unfinished(states)
    result = []
    for folder, names in _begun_cohorts(plan).items():
        if not set(names).isdisjoint(left):
            result.append((folder, names))
            left = [name for name in left if name not in names]
    groups = {}
    for name in left:
        alone = name if states[name][0] == BEGUN or not joins else None
        groups.setdefault((plan.keys[name], alone), []).append(name)
    for names in groups.values():
        folder = _new_cohort(plan, names) if len(names) > 1 else None
        result.append((folder, names))
    return result


def _new_cohort(plan, names):
    """The folder of a program of these runs; refuses runs whose cells do not lie on the device."""
    placement = plan.by_name[names[0]].config.data.placement
    if placement not in ("auto", "device"):
        raise UsageError(f"config.data.placement={placement!r}: {len(names)} runs, {names[0]} and others, are "
                         "trained as one program, which needs its cells on the device; train them one by one "
                         "(--index), or allow 'auto' or 'device'")
    digest = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
    return plan.workdir / "cohorts" / f"{len(names)}_runs_{digest[:8]}"


def listing(plan: Plan, workers: int) -> str:
    """The numbered runs: name, what differs, how far they are; and how they are trained.

    Args:
        plan: of the study.
        workers: processes that train side by side; 1: runs that may be one program are one.
    """
    begun = set(itertools.chain.from_iterable(_begun_cohorts(plan).values()))
    width = len(max(plan.records, key=len))
    lines = [f"{'index':>5}  {'run':{width}}  {'state':22}  config"]
    for number, member in enumerate(plan.members):
        state, step = state_of(plan, member.name)
        if state == NOT_BEGUN and member.name in begun:
            state = BEGUN
        progress = f"{state} at step {step}" if step else state
        changes = []
        for field, value in member.changes.items():
            changes.append(f"{field}={study.value_text(value, ',')}")
        lines.append(f"{number:5}  {member.name:{width}}  {progress:22}  {' '.join(changes)}")
    lines.append(f"{len(plan.members)} runs, trained {_in_words(plan, workers)}")
    return "\n".join(lines)


def _in_words(plan, workers):
    """How the runs are trained."""
    if workers > 1:
        return f"by {workers} processes, one after another in each"
    count = len(set(plan.keys.values()))
    plural = "s" if count > 1 else ""
    return f"as {count} program{plural}"
