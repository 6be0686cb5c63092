"""Files that were damaged, one at a time: python -m tests.mutations --count 200 --seed 0.

Bytes are flipped, blocks zeroed, the end is cut off, a part is left out. What a command of ours wrote must then be
refused (code 5), or give the very same result, as where a byte is of no use. What users hand in must be read or refused
(code 3, or 4 where other fields are left). Nothing may end in a traceback.
"""

import argparse
import collections
import contextlib
import io
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import tifffile

import launch
from cellcycle_jax import files
from tests import small_way

# What is damaged -> which of its files, the command that meets it, codes that may come, and what must be as it was if
# the code is 0; None: users' own files, whose values nobody else knows.
TARGETS = {
    "table of cells": ("data", "cells.parquet", "evaluate", (5,), "run/evaluation_validation.json"),
    "provenance": ("data", "provenance.json", "evaluate", (5,), "run/evaluation_validation.json"),
    "crops": ("data", "tfds/cells/2.0.0/*", "evaluate", (5,), "run/evaluation_validation.json"),
    "record of a run": ("run", "config.json", "evaluate", (5,), "run/evaluation_validation.json"),
    "checkpoint": ("run", "checkpoints/*/**/*", "evaluate", (5,), "run/evaluation_validation.json"),
    "predictor": ("run", "predictor/*", "predict", (5,), "predicted/cells.csv"),
    "results": ("run", "explain/*.json", "report", (5,), "run/report.html"),
    "features": ("run", "features/*.csv", "report", (5,), "run/report.html"),
    "fields": ("fields", "fields/*.tif", "prepare", (3, 4), None),
}


def mutations(root, seed: int, count: int, targets=tuple(TARGETS)) -> tuple[list[str], dict[str, int]]:
    """Damage one file at a time of what the whole way leaves, and let a command meet it.

    Args:
        root: an empty folder.
        seed: of what is damaged.
        count: of damaged files.
        targets: which, in turns.

    Returns:
        One line for each command that ended otherwise than promised, and how many ended with which code.
    """
    rng, root = np.random.default_rng(seed), pathlib.Path(root)
    straight = small_way.go_all(root / "straight", "predict")
    _fields_of_several_kinds(pathlib.Path(straight["fields"]) / "fields")
    failures, codes = [], collections.Counter()
    for number in range(count):
        target = targets[number % len(targets)]
        place, pattern, command, allowed, result = TARGETS[target]
        where = small_way.places(root / "turn")
        for name in ("fields", "data", "run"):
            shutil.copytree(straight[name], where[name])
        if command == "prepare":
            shutil.rmtree(where["data"])
        else:
            _move(pathlib.Path(where["run"]), where["data"])
        found = sorted(p for p in pathlib.Path(where[place]).glob(pattern) if p.is_file() and p.stat().st_size)
        path = found[rng.integers(len(found))]
        how = damage(path, rng)
        code, said = _ended(small_way.words(command, **where))
        codes[f"{code}"] += 1
        harm = _harm(code, said, allowed, result, straight, root / "turn")
        if harm:
            failures.append(f"{target}, {path.relative_to(root / 'turn')}, {how}: {harm}")
        shutil.rmtree(root / "turn")
    return failures, codes


def damage(path, rng) -> str:
    """Damage a file in a way drawn at random; in words."""
    content = bytearray(path.read_bytes())
    place, length = int(rng.integers(len(content))), int(rng.integers(1, 65))
    kind = rng.choice(["flip", "zero", "cut", "leave out"], p=[0.4, 0.2, 0.2, 0.2])
    if kind == "flip":
        change = int(rng.integers(1, 256))
        content[place] ^= change
        words = f"byte {place} xor {change}"
    elif kind == "zero":
        content[place:place + length] = bytes(len(content[place:place + length]))
        words = f"bytes {place} to {place + length} zero"
    elif kind == "cut":
        del content[place:]
        words = f"cut at byte {place}"
    else:
        del content[place:place + length]
        words = f"bytes {place} to {place + length} left out"
    path.write_bytes(content)
    return words


def _fields_of_several_kinds(folder):
    """Store the fields as several programs do: plain, deflate, LZW, tiled, BigTIFF."""
    kinds = [{}, {"compression": "zlib"}, {"compression": "lzw"}, {"tile": (64, 64)}, {"bigtiff": True}]
    for number, path in enumerate(sorted(folder.glob("*.tif"))):
        with tifffile.TiffFile(path) as tiff:
            planes = tiff.asarray()
        names = {"axes": "CYX", "Channel": {"Name": ["DNA", "Golgi", "EB1", "CENPF"]}, "PhysicalSizeX": 0.5,
                 "PhysicalSizeY": 0.5}
        tifffile.imwrite(path, planes, photometric="minisblack", metadata=names, ome=True, **kinds[number % len(kinds)])


def _move(run, data):
    """Let a run find the copy of its data set."""
    record = files.read_json(run / "config.json")
    files.write_json(run / "config.json", record | {"data_dir": data})


def _ended(words):
    """Exit code of a command, or the name of what it raised; and what it said."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            return launch.main(words), said.getvalue()
        except Exception as error:
            return type(error).__name__, f"{said.getvalue()}{type(error).__name__}: {error}"


def _harm(code, said, allowed, result, straight, turn):
    """What is wrong with how a command ended; None if nothing is."""
    if code == 0:
        if result is None:
            return None
        undisturbed = pathlib.Path(straight["fields"]).parent
        said_here = (turn / result).read_text().replace(str(turn), str(undisturbed))
        return None if said_here == (undisturbed / result).read_text() else "another result, without a word"
    if code not in allowed:
        return f"ends with {code}: {said.strip()[-300:]}"
    lines = [line for line in said.replace("\r", "\n").splitlines() if line.startswith(("evaluate:", "predict:",
                                                                                        "report:", "prepare:"))]
    return None if lines else f"{code} without a line"


def main() -> int:
    """Print one line of a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        failures, codes = mutations(folder, given.seed, given.count)
    ends = ", ".join(f"{n} with code {code}" for code, n in sorted(codes.items()))
    print(f"| a file of a data set, a run or a field damaged | {given.count} files: {ends} | "
          f"{len(failures)} failures | seed {given.seed} |")
    print(*failures, sep="\n", file=sys.stderr)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
