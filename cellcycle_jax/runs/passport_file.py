"""RUN/explain/passport.json: the file in which `explain` leaves its verdict, and others read it."""

import pathlib

from cellcycle_jax import files, old_names
from cellcycle_jax.errors import StoredStateRefused

PATH = "explain/passport.json"  # in a run folder
PICTURES = ("region_shares", "edits", "faithfulness", "residuals")  # in RUN/figures, shown beside it
# Of passport.json. Planted shortcuts passed the checks of all earlier ones, most of them those of the first three.
FORMAT = 6
EARLIER = ("With caution: an earlier version of this program made this passport, and planted shortcuts passed its "
           "checks; run `launch.py explain` again.")


def write_passport(workdir, passport: dict) -> None:
    """Write what `explain.passport.make_passport` made into a run folder."""
    files.write_sealed_json(pathlib.Path(workdir) / PATH, passport)


def read_passport(workdir) -> dict | None:
    """The passport in a run folder, None where there is none.

    Of an earlier format only alarms are believed: what it called "trusted" or "no_alarm" is read as caution.

    Raises:
        StoredStateRefused: the file is damaged.
    """
    path = pathlib.Path(workdir) / PATH
    if not path.is_file():
        return None
    try:
        passport = old_names.keys_of_today(files.read_json(path), old_names.PASSPORT_KEYS)
        if passport.get("format") != FORMAT:
            passport = _of_earlier_format(passport)
    except (ValueError, KeyError, TypeError) as error:
        raise StoredStateRefused(f"{path}: damaged ({type(error).__name__}: {error}); run `launch.py explain` "
                                 "again") from None
    return passport


def _of_earlier_format(passport: dict) -> dict:
    """A passport of an earlier format in that of today."""
    passport = passport | {"checks": [_check_of_today(check) for check in passport["checks"]]}
    if passport["status"] in ("chance", "shortcut"):
        return passport
    return passport | {"status": "caution", "verdict": [EARLIER, *passport["verdict"][1:]]}


def _check_of_today(check: dict) -> dict:
    """A check of an earlier format: the first two said whether it was passed, later ones have its answer."""
    if "answer" in check:
        return check
    answers = {True: "passed", False: "failed", None: "unknown"}
    of_today = {name: value for name, value in check.items() if name != "passed"}
    return {"remedy": "", **of_today, "answer": answers[check["passed"]]}
