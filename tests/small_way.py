"""The whole way on small simulated fields by the commands that a user types, for tests that disturb it."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
PATIENCE_S = 600
SIMULATE = ("--config.lines=RPE1", "--config.fields_per_line=16", "--config.field_size_px=256",
            "--config.cells_per_field=18,22")
PREPARE = ("--config=configs/data/simulated.py",)
TRAIN = ("--config=configs/default.py", "--config.train.steps=40", "--config.train.eval_every=10",
         "--config.train.checkpoint_every=10", "--config.train.patience=0", "--config.model.filters=4",
         "--config.model.depth=1", "--config.explain.cells_per_class=6",
         "--config.discover.n_candidates=4")
FLAGS = {"simulate": ("--out={fields}", *SIMULATE),
         "prepare": ("--fields={fields}", "--out={data}", *PREPARE),
         "train": ("--data={data}", "--workdir={run}", *TRAIN),
         "evaluate": ("--workdir={run}",), "explain": ("--workdir={run}",), "discover": ("--workdir={run}",),
         "report": ("--workdir={run}",),
         "predict": ("--workdir={run}", "--fields={fields}", "--out={predicted}", *PREPARE)}


def words(command: str, **places) -> list[str]:
    """A command as it is typed behind `python launch.py`; `places` are fields, data, run, predicted."""
    return [command, *(flag.format(**places) for flag in FLAGS[command])]


def places(folder) -> dict[str, str]:
    """Where everything of the whole way lies below a folder."""
    return {name: f"{folder}/{name}" for name in ("fields", "data", "run", "predicted")}


def start(arguments, **options) -> subprocess.Popen:
    """Start a command in a group of processes of its own, as a terminal does."""
    return subprocess.Popen([sys.executable, "launch.py", *arguments], cwd=ROOT, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, start_new_session=True,
                            env=os.environ | {"JAX_NUM_CPU_DEVICES": "2"}, **options)


def go(arguments) -> None:
    """Do a command to its end.

    Raises:
        RuntimeError: it ends with another code than 0.
    """
    process = start(arguments)
    _, said = process.communicate(timeout=PATIENCE_S)
    if process.returncode:
        raise RuntimeError(f"{arguments[0]} ends with {process.returncode}: {said[-500:]}")


def go_all(folder, until: str) -> dict[str, str]:
    """Do the commands up to one of them, in a folder; where everything lies."""
    where = places(folder)
    for command in FLAGS:
        go(words(command, **where))
        if command == until:
            return where
    return where
