"""The manifest of a checkpoint, sha256-STEP.json beside the folder STEP: which bytes it has, and what they mean.

    files     path in the step -> SHA-256      facts     what `checkpoint.save` was told of classes, channels, ...
    arrays    name -> [shape, dtype]           progress  of the training loop
    sha256    of the text of all the rest

It is written in one form only, so that a changed byte shows even where the JSON means the same.
"""

import hashlib
import json
import os

from cellcycle_jax import files
from cellcycle_jax.errors import StoredStateRefused

PREFIX = "sha256-"


def path_of(folder, step: int):
    """Where the manifest of a step is, in RUN/checkpoints as a pathlib.Path."""
    return folder / f"{PREFIX}{step}.json"


def steps(folder) -> list[int]:
    """The steps that were finished, damaged ones too, newest first."""
    finished = []
    for path in folder.glob(f"{PREFIX}*.json"):
        step = path.stem.removeprefix(PREFIX)
        if step.isdecimal():
            finished.append(int(step))
    return sorted(finished, reverse=True)


def write(folder, step: int, arrays: dict, facts: dict, progress: dict) -> None:
    """Finish a step, whose files are there: write down what they are."""
    content = {"files": _hashes(folder / str(step)), "arrays": arrays, "facts": facts, "progress": progress}
    files.write_text(path_of(folder, step), _sealed(files.to_json(content)))


def read(folder, step: int) -> dict:
    """What `write` wrote.

    Raises:
        ValueError: it is not as it was written.
    """
    text = path_of(folder, step).read_bytes()
    content = json.loads(text)
    if not isinstance(content, dict) or _sealed(content).encode() != text:
        raise ValueError("not as it was written")
    return content


def damage(folder, step: int) -> str | None:
    """The first file of a step, its manifest included, that is not as it was written, and how; None if all are."""
    try:
        stored = read(folder, step)["files"]
    except (ValueError, OSError, RecursionError) as error:
        return f"{path_of(folder, step).name}: {_reason(error)}"
    try:
        present = _hashes(folder / str(step))
    except OSError as error:
        return f"{os.path.relpath(error.filename or folder, folder)}: {_reason(error)}"
    for name in sorted(stored.keys() | present.keys()):
        if name not in present:
            return f"{step}/{name}: missing"
        if name not in stored:
            return f"{step}/{name}: added later"
        if stored[name] != present[name]:
            return f"{step}/{name}: SHA-256 differs"
    return None


def newest_whole(folder) -> tuple[int | None, dict[int, str]]:
    """The newest step without damage, None where there is none, and the damage of each newer one."""
    damaged = {}
    for step in steps(folder):
        how = damage(folder, step)
        if how is None:
            return step, damaged
        damaged[step] = how
    return None, damaged


def compare(where: str, stored: dict, asked: dict) -> None:
    """Refuse what differs.

    Raises:
        StoredStateRefused: names the first difference, and both values.
    """
    for name in sorted(stored.keys() | asked.keys()):
        if stored.get(name) != asked.get(name):
            raise StoredStateRefused(f"{where}: {name} is stored as {stored.get(name)!r}, but {asked.get(name)!r} is "
                                     "asked; use the config and the data set that the run was trained with")


def _hashes(folder):
    hashes = {}
    for path in folder.rglob("*"):
        if not path.is_dir():
            hashes[path.relative_to(folder).as_posix()] = files.sha256(path)
    return hashes


def _sealed(content):
    """The one text of a manifest; its hash is that of the same text without it."""
    rest = dict(content)
    rest.pop("sha256", None)
    digest = hashlib.sha256(_text(rest).encode()).hexdigest()
    return _text(rest | {"sha256": digest})


def _text(content):
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _reason(error):
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "not as it was written"
