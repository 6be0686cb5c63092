"""A pass over many data sets that says nothing but how far it is, and goes on after an interruption."""

import contextlib
import io
import json
import pathlib

from tqdm import tqdm

from cellcycle_jax import files, processes
from cellcycle_jax.devices import runtime
from experiments.unnamed_data import Case


def found_or_refused(examine, case: Case, out) -> dict:
    """What `examine(case, out)` finds; of a data set that cannot be made why, as that must not end a pass of hours."""
    runtime.prepare()
    try:
        with silence():
            return examine(case, out)
    except Exception as error:
        return {"case": vars(case), "refused": f"{type(error).__name__}: {error}"}


@contextlib.contextmanager
def silence():
    """What is printed meanwhile is not shown."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield


def no_bar(total, done):
    """A bar that is not shown, for `loop.train`."""
    return tqdm(total=total, initial=done, disable=True)


def stored(raw: pathlib.Path) -> list[dict]:
    """What was found so far; [] where there is no such file."""
    if not raw.is_file():
        return []
    return [json.loads(line) for line in raw.read_text().splitlines()]


def to_do(cases, raw: pathlib.Path) -> list[Case]:
    """The cases that are not in a file of results yet."""
    known = {Case(**found["case"]).name for found in stored(raw)}
    return [case for case in cases if case.name not in known]


def append(examine, cases, raw: pathlib.Path, out, team: processes.Team) -> None:
    """Examine cases, and append what is found to a file of results, a line each.

    Args:
        examine: (case, out) -> what was found; a function of a module, so that another process finds it.
        cases: as of `to_do`.
        raw: the file.
        out: folder for what is made meanwhile.
        team: the workers.
    """
    with raw.open("a") as results:
        for _, found in tqdm(processes.each(examine, cases, out, team), total=len(cases), unit="data set"):
            results.write(json.dumps(files.to_json(found), sort_keys=True) + "\n")
            results.flush()
