"""RUN/explain/passport.json: the file in which `explain` leaves its verdict, and others read it."""

import pathlib

from cellcycle_jax import files, old_names
from cellcycle_jax.errors import StoredStateRefused

PATH = "explain/passport.json"  # in a run folder
PICTURES = ("region_shares", "edits", "faithfulness", "residuals")  # in RUN/figures, shown beside it
FORMAT = 2  # of passport.json; the first had the status "trusted", which its checks did not earn
EARLIER = ("With caution: an earlier version of this program made this passport, and planted shortcuts passed its "
           "checks; run `launch.py explain` again.")


def write_passport(workdir, passport: dict) -> None:
    """Write what `explain.passport.make_passport` made into a run folder."""
    files.write_sealed_json(pathlib.Path(workdir) / PATH, passport)


def read_passport(workdir) -> dict | None:
    """The passport in a run folder, None where there is none.

    Of an earlier format only its alarms are believed: what it called "trusted" is read as caution.

    Raises:
        StoredStateRefused: the file is damaged.
    """
    path = pathlib.Path(workdir) / PATH
    if not path.is_file():
        return None
    try:
        passport = old_names.keys_of_today(files.read_json(path), old_names.PASSPORT_KEYS)
        if passport.get("format") != FORMAT and passport["status"] in ("trusted", "caution"):
            passport |= {"status": "caution", "verdict": [EARLIER, *passport["verdict"][1:]]}
    except (ValueError, KeyError, TypeError) as error:
        raise StoredStateRefused(f"{path}: damaged ({type(error).__name__}: {error}); run `launch.py explain` "
                                 "again") from None
    return passport
