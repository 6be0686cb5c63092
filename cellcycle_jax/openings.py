"""When the test split of a data set was opened, and by which run: DATA/openings.jsonl.

It lies with the data set and stays there when `prepare --overwrite` makes another one in the same folder. So fields
that were test fields once are known again where they are dealt to another split.
"""

import datetime
import pathlib
import sys

from cellcycle_jax import files

NAME = "openings.jsonl"


def add(data_dir, run_id: str, step: int, splits_of_pictures: dict) -> list[dict]:
    """Write down that a test split is opened.

    Where nothing can be written, as in a data set that only others may change, that is said, and the split opens all
    the same: the log of the run holds the opening as well.

    Args:
        data_dir: the data set.
        run_id, step: of the run that is scored.
        splits_of_pictures: of provenance.json; it is written only where it differs from that of the last opening.

    Returns:
        The openings before this one, as of `read`.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    line = {"time": now, "run_id": run_id, "step": step}
    earlier = read(data_dir)
    if not earlier or earlier[-1]["splits_of_pictures"] != splits_of_pictures:
        line["splits_of_pictures"] = splits_of_pictures
    try:
        files.append_json_line(pathlib.Path(data_dir) / NAME, line)
    except OSError as error:
        print(
            f"warning: {pathlib.Path(data_dir) / NAME}: the opening of the test split is not written down beside the "
            f"data set ({error.strerror}); the log of the run has it",
            file=sys.stderr,
        )
    return earlier


def read(data_dir) -> list[dict]:
    """All openings, the first one first: time, run_id, step, splits_of_pictures ({} where it was not written)."""
    openings = []
    pictures = {}
    for line in files.read_json_lines(pathlib.Path(data_dir) / NAME):
        pictures = line.get("splits_of_pictures", pictures)
        openings.append({"time": "", "run_id": "", "step": None, **line, "splits_of_pictures": pictures})
    return openings


def in_words(openings: list[dict]) -> list[str]:
    """That the test split was opened before, a sentence; nothing where it was not."""
    if not openings:
        return []
    runs = len({opening["run_id"] for opening in openings})
    times = "once" if len(openings) == 1 else f"{len(openings)} times"
    by = "one run" if runs == 1 else f"{runs} runs"
    return [f"The test split in this folder was opened {times} before, by {by}, last on {openings[-1]['time'][:10]}: "
            "what was chosen since may have been chosen by it."]


def carried_on(data_dir, splits_of_pictures: dict) -> list[str]:
    """What openings of earlier data sets in a folder mean for the one that is made now, sentences.

    Args:
        data_dir: the folder.
        splits_of_pictures: {SHA-256 of the pixels of a field: its splits} of the data set that is made now.
    """
    openings = read(data_dir)
    were_test = set()
    were_seen = set()
    for opening in openings:
        for picture, splits in opening["splits_of_pictures"].items():
            (were_test if "test" in splits else were_seen).add(picture)
    are_test = {picture for picture, splits in splits_of_pictures.items() if "test" in splits}
    moved = (were_test & splits_of_pictures.keys()) - are_test
    seen = are_test & were_seen
    sentences = in_words(openings)
    if moved or seen:
        sentences.append(
            f"Since then its fields were dealt out anew: {len(moved)} that were test fields are in train or validation "
            f"now, and {len(seen)} of {len(are_test)} test fields were in train or validation then."
        )
    return sentences
