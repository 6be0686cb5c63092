"""The run folders that a cohort leaves: of each model what training it alone would have left, but for rounding."""

import pathlib

from cellcycle_jax import files
from cellcycle_jax.runs import checkpoint, metric_log, run_record, state
from cellcycle_jax.training import cohort, early_stopping


def write_runs(parts, records, trained, workdir, folders: dict) -> None:
    """A run folder for every member that has not diverged.

    Args:
        parts: `setup.TrainingSetup` of the cohort.
        records: of each member, what goes to its config.json.
        trained: state after the last step, kept weights and progress, as the loop ends with.
        workdir: folder of the cohort.
        folders: name -> run folder to write.
    """
    now, kept, reached = trained
    environment = files.read_json(workdir / "env.json")
    lines = metric_log.read(workdir)
    for r, (member, record) in enumerate(zip(parts.members, records, strict=True)):
        progress = reached["members"][r]
        if progress["stopped"] == early_stopping.DIVERGED:
            continue
        folder = pathlib.Path(folders[member.name])
        record = run_record.continued(folder, record)
        run_record.write(folder, record)
        files.write_json(folder / "env.json", environment)
        metric_log.rewrite(folder, _lines_of(member.name, lines))
        step = int(now.step[r])
        checkpoint.save(
            folder / "checkpoints",
            step,
            _alone(parts, r, now, parts.shapes[r]),
            _alone(parts, r, kept, parts.shapes[r].variables),
            {"step": step, "members": [progress]},
            run_record.checkpoint_metadata(record),
        )


def _lines_of(name, lines):
    """The lines of metrics.jsonl about a member, as `train` would have written them."""
    own_lines = []
    for line in lines:
        if line.get("member") == name:
            own_line = dict(line)
            del own_line["member"]
            own_lines.append(own_line)
    return own_lines


def _alone(parts, r, tree, shapes):
    """What belongs to member `r` in a tree of all members, as the tree of a cohort of one."""
    own_channels = parts.members[r].channels_among(parts.channels)
    own_tree = cohort.narrow(state.member(tree, r), shapes, own_channels, len(parts.channels))
    return state.stack_one(own_tree)
