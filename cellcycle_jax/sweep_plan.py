"""Which runs a study has on a data set, how far each is, and as which programs the rest is trained."""

import dataclasses
import hashlib
import pathlib

from cellcycle_jax import checkpoint, cohort, data, files, run, study
from cellcycle_jax.allowed import check_config

FINISHED, DIVERGED, BEGUN, NOT_BEGUN = "finished", "diverged", "begun", "not begun"


@dataclasses.dataclass(frozen=True)
class Plan:
    """The runs of a study on a data set, in a folder."""

    study: study.Study
    members: list[study.Member]
    records: dict[str, dict]  # name -> what goes to its config.json
    data: study.Data
    data_dir: pathlib.Path
    workdir: pathlib.Path

    def folder(self, name: str) -> pathlib.Path:
        """The run folder of a member."""
        return self.workdir / "runs" / name


def make_plan(chosen: study.Study, data_dir, workdir) -> Plan:
    """The runs of a study on a data set, all checked before any is trained; raises as `run_sweep`."""
    check_config(chosen.config)
    crops, validation = (data.load_crops(data_dir, split, pixels=False) for split in ("train", "validation"))
    shown = sorted(data.channel_indices(crops, chosen.config.data.channels))
    rows = data.labelled_rows(crops, chosen.config.data.cell_lines)
    found = study.Data(tuple(crops.channels[i] for i in shown), tuple(sorted(set(crops.cell_line[rows].tolist()))))
    members, records = study.members(chosen, found), {}
    for member in members:
        check_config(member.config)
        cohort.make_member(member.name, member.config, crops, validation)  # refuses what has no cells
        records[member.name] = run.describe(member.config, data_dir, crops)
    return Plan(chosen, members, records, found, pathlib.Path(data_dir), pathlib.Path(workdir))


def identity(plan: Plan) -> dict:
    """What may not change in the folder of a study: its name, what its runs share, the data set."""
    return {"study": plan.study.name, "training": plan.study.config.to_dict(),
            "data_sha256": data.identity(plan.data_dir)}


def state_of(plan: Plan, name: str) -> tuple[str, int]:
    """How far a run is in its own folder, and the step it has saved or at which it diverged.

    Raises:
        StoredStateRefused: the folder holds another run, or all of its checkpoints are damaged.
    """
    folder, record = plan.folder(name), plan.records[name]
    if (folder / "diverged.json").is_file():
        return DIVERGED, files.read_json(folder / "diverged.json")["step"]
    if not (folder / "config.json").is_file():
        return NOT_BEGUN, 0
    if run.read_record(folder)["run_id"] != record["run_id"]:
        run.claim(folder, record)  # says what differs
    step, stopped = run.how_far(folder)
    if stopped or step >= record["training"]["train"]["steps"]:
        return FINISHED, step
    return (BEGUN, step) if step else (NOT_BEGUN, 0)


def _begun_cohorts(plan):
    """{folder: names} of programs of several runs that an interruption left, if they are of the runs asked for."""
    found = {}
    for path in sorted(plan.workdir.glob("cohorts/*/cohort.json")):
        stored = files.read_json(path)["members"]
        own = {name: record["run_id"] for name, record in plan.records.items()}
        same = all(one["run_id"] == own.get(name) for name, one in stored.items())
        if same and checkpoint.newest_step(path.parent / "checkpoints") is not None:
            found[path.parent] = list(stored)
    return found


def programs(plan: Plan, states: dict) -> list[tuple[pathlib.Path | None, list[str]]]:
    """What is left to train: a cohort's folder and its names, or None and the name of a run that is trained alone.

    A cohort that was begun goes on as it is, though some of its runs may have been finished by --index since then. So
    does a run that was begun alone. All others form new cohorts, one for each set of configs that may be one program.
    """
    left = {member.name: member for member in plan.members if states[member.name][0] in (BEGUN, NOT_BEGUN)}
    found = []
    for folder, names in _begun_cohorts(plan).items():
        if left.keys() & set(names):
            found.append((folder, names))
            left = {name: member for name, member in left.items() if name not in names}
    groups = {}
    for name, member in left.items():
        alone = name if states[name][0] == BEGUN else None
        groups.setdefault((cohort.key_of(member.config), alone), []).append(name)
    for names in groups.values():
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
    count = len({cohort.key_of(member.config) for member in plan.members})
    return "\n".join([*lines, f"{len(plan.members)} runs, trained as {count} program{'s' * (count > 1)}"])
