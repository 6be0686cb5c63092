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
    names = [path.stem.removeprefix(PREFIX) for path in folder.glob(f"{PREFIX}*.json")]
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def write(folder, step: int, arrays: dict, facts: dict, progress: dict) -> None:
    """Finish a step, whose files are there: write down what they are."""
    content = {"files": _hashes(folder / str(step)), "arrays": arrays, "facts": facts, "progress": progress}
    files.write_text(path_of(folder, step), _sealed(files.plain(content)))


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
        found = _hashes(folder / str(step))
    except OSError as error:
        return f"{os.path.relpath(error.filename or folder, folder)}: {_reason(error)}"
    for name in sorted(stored.keys() | found.keys()):
        if stored.get(name) != found.get(name):
            reason = "missing" if name not in found else "SHA-256 differs" if name in stored else "added later"
            return f"{step}/{name}: {reason}"
    return None


def newest_whole(folder) -> tuple[int | None, dict[int, str]]:
    """The newest step without damage, None where there is none, and the damage of each newer one."""
    damaged = {}
    for step in steps(folder):
        found = damage(folder, step)
        if not found:
            return step, damaged
        damaged[step] = found
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
    return {p.relative_to(folder).as_posix(): files.sha256(p) for p in folder.rglob("*") if not p.is_dir()}


def _sealed(content):
    """The one text of a manifest; its hash is that of the same text without it."""
    rest = {name: value for name, value in content.items() if name != "sha256"}
    digest = hashlib.sha256(_text(rest).encode()).hexdigest()
    return _text(rest | {"sha256": digest})


def _text(content):
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _reason(error):
    return (error.strerror if isinstance(error, OSError) else None) or "not as it was written"
