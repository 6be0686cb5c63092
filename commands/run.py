"""`launch.py run`: from a folder of fields to a report, several commands one after another.

Each command is done by `step`, as if it had been typed; its exit code decides whether the next one begins.
"""

import pathlib

from cellcycle_jax import files, stored_config
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import EXIT_QUARANTINED, StoredStateRefused, UsageError
from cellcycle_jax.runs import run_record
from cellcycle_jax.runs.config_checks import check_config
from commands.folders import beside_launch, existing_folder, new_folder
from configs import base
from configs.load import load

STATE = "run.json"  # what was asked for, and which commands are finished
ABOUT_RUN = ("evaluate", "explain", "discover", "report")
# command -> the file by which one sees that what it made is still there
MADE = {
    "prepare": "data/provenance.json",
    "train": "run/config.json",
    "evaluate": "run/evaluation_validation.json",
    "explain": "run/explain/passport.json",
    "discover": "run/features/pair.json",
    "report": "run/report.html",
}
HOW = ("workers", "scheduler")  # fields of preparation that change no result


def run_command(arguments, step) -> int:
    """Prepare, train, evaluate, explain, discover and report.

    Args:
        arguments: what was typed.
        step: does one command, a list of words, and returns its exit code.

    Returns:
        As `run_whole_way`.

    Raises:
        UsageError: a mistake in the training config; as of `run_whole_way`.
        InputRefused: there is no such folder of fields.
    """
    try:
        training = load(beside_launch(arguments.training), (), base.training)
    except UsageError as error:
        raise UsageError(str(error).replace("--config=", "--training=", 1)) from None
    prepared_by = [f"--config={arguments.config_file}", *arguments.rest]
    return run_whole_way(
        existing_folder("--fields", arguments.fields),
        arguments.config,
        prepared_by,
        training,
        arguments.training,
        new_folder(arguments.out),
        step,
    )


def run_whole_way(fields, preparation, prepared_by, training, training_file, out, step) -> int:
    """From a folder of fields to a report; what an earlier call has finished is not done again.

    Args:
        fields: folder with the microscope fields.
        preparation: preparation config, changes of the command line applied.
        prepared_by: the words by which `prepare` gets that config.
        training: training config; training_file: its file.
        out: folder that receives data/, run/ and run.json.
        step: does one command, a list of words, and returns its exit code.

    Returns:
        The exit code: 0, that of the first command that failed, or 4 where files were excluded.

    Raises:
        UsageError: a training config that cannot be, or that does not fit the preparation; the folder holds the work of
            other fields or configs.
        StoredStateRefused: run.json is damaged.
    """
    out = pathlib.Path(out)
    data = out / "data"
    has_labels = preparation.labels.method != "none"
    if has_labels:
        _refuse_training(training, preparation)
    request = _request(fields, preparation.to_dict(), training.to_dict())
    finished = _finished(out, request)
    commands = {"prepare": ["prepare", *prepared_by, f"--fields={fields}", f"--out={data}", "--overwrite"]}
    if has_labels:  # without them there is nothing to train
        workdir = f"--workdir={out / 'run'}"
        commands["train"] = ["train", f"--config={training_file}", f"--data={data}", workdir]
        for name in ABOUT_RUN:
            commands[name] = [name, workdir]
    result = 0
    for name, words in commands.items():
        if name in finished:
            continue
        code = step(words)
        if code not in (0, EXIT_QUARANTINED):
            return code
        result = result or code
        finished.append(name)
        files.write_sealed_json(out / STATE, {"asked": request, "finished": finished})
    return result


def _refuse_training(training, preparation):
    """Say before anything is prepared what training would say after it."""
    check_config(training)
    run_record.refuse_depth(training.model.depth, preparation.crop.size_px)
    for name in training.data.channels:
        crop_arrays.refuse_marker(name, preparation.channels.markers)


def _request(fields, preparation, training) -> dict:
    """What was asked for, in a form that is the same however it is written, with all fields of today."""
    preparation = stored_config.read(files.to_json(preparation), stored_config.PREPARATION, f"{STATE}: preparation")
    training = stored_config.read(files.to_json(training), stored_config.TRAINING, f"{STATE}: training")
    return {"fields": str(pathlib.Path(fields).resolve()), "preparation": preparation, "training": training}


def _finished(out, request) -> list[str]:
    """The commands that an earlier call has finished in this folder, up to the first whose work is gone."""
    path = out / STATE
    if not path.is_file():
        return []
    try:
        stored = files.read_json(path)
        before = dict(stored["asked"])
        finished = list(stored["finished"])
        before = _request(before["fields"], before["preparation"], before["training"])
    except (ValueError, KeyError, TypeError, StoredStateRefused) as error:
        raise StoredStateRefused(f"{path}: damaged ({type(error).__name__}: {error}); restore it from a copy, or "
                                 "name a new --out") from None
    for name in HOW:
        before["preparation"][name] = request["preparation"][name]
    differing = [name for name in request if before[name] != request[name]]
    if differing:
        raise UsageError(f"--out={out} holds the work of other {' and '.join(differing)}; name a new --out")
    for number, name in enumerate(finished):
        if not (out / MADE[name]).is_file():
            return finished[:number]
    return finished
