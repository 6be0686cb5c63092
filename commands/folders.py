"""Folders that are named on the command line: those that must be there, and those that are made."""

import pathlib

from cellcycle_jax import files
from cellcycle_jax.errors import InputRefused

ROOT = pathlib.Path(__file__).resolve().parents[1]  # where launch.py lies


def beside_launch(path) -> pathlib.Path:
    """A path as it was typed; one that is not there and lies beside launch.py is that one."""
    path = pathlib.Path(path)
    if not path.exists() and (ROOT / path).exists():
        return ROOT / path
    return path


def existing_folder(flag: str, path):
    """The path, if it is a folder.

    Args:
        flag: the flag behind which it was typed, for the message.
        path: what was typed.

    Returns:
        `path`, as it was typed.

    Raises:
        InputRefused: there is no such folder.
    """
    folder = pathlib.Path(path)
    if folder.is_dir():
        return path
    what = "is a file; name a folder" if folder.is_file() else "no such folder"
    if str(path).startswith("~"):
        what += "; a shell replaces ~ only where the flag and the path are two words, so write the whole path"
    raise InputRefused(f"{flag}={path}: {what}")


def existing_folders(flag: str, paths: str) -> list[str]:
    """The paths that are typed in a row, by commas, if all are folders; flag and errors as of `existing_folder`."""
    return [existing_folder(flag, path) for path in paths.split(",") if path]


def new_folder(path):
    """The path, as it was typed; the folder is made where it is not there."""
    pathlib.Path(path).mkdir(parents=True, exist_ok=True)
    return path


def run_folder(arguments):
    """--workdir of a command about a run, which is told where its data set is now if --data says so.

    Args:
        arguments: what was typed: workdir and data.

    Raises:
        InputRefused: one of the two folders is not there.
        OSError: the folder of the run cannot be written to.
    """
    folder = existing_folder("--workdir", arguments.workdir)
    files.require_writable(folder)
    if arguments.data:
        from cellcycle_jax.runs import run_record  # only here, as it takes a while

        run_record.say_where_data_are(folder, existing_folder("--data", arguments.data))
    return folder
