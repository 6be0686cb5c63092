"""How long each command takes on tens to hundreds of thousands of cells, and how much memory.

    python bench/scale.py --out=DIR [--cells 30000,100000,300000] [--steps 600] [--record] [--json FILE]

Simulated fields of 1344 x 1344 px with some 330 cells each go from TIFFs to a report by the commands that a user types.
Memory is the highest that a command and its workers held together (proportional set size, looked at ten times a
second; pages of files that the system keeps at hand are not counted). The fields of the largest data set are made once,
in DIR/fields, and kept; smaller ones are parts of it. One in eight is simulated; the others are the same turned and
mirrored, which costs every command as much as fields of their own, and says nothing about scores. 100,000 cells take
some 5 GB of disk. To try a limit, start this in a container that has one: the table names it.
"""

import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import jax
import numpy as np
import psutil
import tifffile

from bench.command_line import numbers, script_parser
from bench.results import Section, publish
from bench.tables import Grid, Measure, Text
from cellcycle_jax import files, machine
from configs import base
from data_prep.simulation.simulate import CHANNELS, field_names, write_ome
from data_prep.sources.simulated import NAME_PATTERN

ROOT = pathlib.Path(__file__).parents[1]
SIMULATE = ("--config.field_size_px=1344", "--config.cells_per_field=315,345")
USED_PER_FIELD = 290  # cells that are not excluded, about
LINES = 3  # of simulated cells, with as many fields each
MOST_FIELDS = 384  # of a line that have names
ORIENTATIONS = 8  # of a picture: four quarter turns, each also mirrored
GIB = 2**30
LOOK_S = 0.1  # s between two looks
USED = Measure("cells used", form=",.0f")
FIELDS = Measure("fields", form=",.0f")
SECONDS = Measure("s", "s", larger_is_better=False, exact=False, form=",.0f")
MEMORY = Measure("most memory, GiB", "GiB", larger_is_better=False, exact=False, form=".2f")


def main() -> int:
    """Go the whole way for each number of cells, and publish the table."""
    parser = script_parser(__doc__, rounds=None)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder with room")
    parser.add_argument("--cells", type=numbers, default=[30_000, 100_000, 300_000])
    parser.add_argument("--steps", type=int, default=600, help="of training")
    given = parser.parse_args()
    fields = given.out / "fields"
    made_in = _make_fields(fields, max(given.cells))
    rows = {}
    for cells in sorted(given.cells):
        rows |= _whole_way(given.out, fields, cells, given.steps)
    limit = machine.free_memory() / GIB
    text = f"At the end {limit:.1f} GiB of memory were free to this process."
    if made_in:
        text = f"The fields were made in {made_in:,.0f} s. {text}"
    grid = Grid("From fields to a report", ("about", "command"), (USED, FIELDS, SECONDS, MEMORY), rows)
    publish(given, Section("Scale", [Text(text), grid], {"JAX": jax.__version__}))
    return 0


def _make_fields(fields, cells) -> float:
    """Simulate and turn enough fields, unless they are there; the seconds it took, 0 for those."""
    simulated_per_line = -(-cells // (USED_PER_FIELD * LINES * ORIENTATIONS))
    if simulated_per_line * ORIENTATIONS > MOST_FIELDS:
        raise SystemExit(f"--cells: allowed: at most {MOST_FIELDS * LINES * USED_PER_FIELD:,}")
    asked = {"simulated_per_line": simulated_per_line}
    marker = fields / "scale.json"
    if marker.exists() and files.read_json(marker) == asked:
        return 0.0
    shutil.rmtree(fields, ignore_errors=True)
    began = time.monotonic()
    simulated = fields / "simulated"
    _watched("simulate", *SIMULATE, f"--config.fields_per_line={simulated_per_line}", f"--out={simulated}")
    for path in sorted((simulated / "fields").iterdir()):
        _turn(path, fields / "all")
    files.write_json(marker, asked)
    return time.monotonic() - began


def _turn(path, folder) -> None:
    """Write all orientations of the field in `path` under names as `simulate` gives them.

    Args:
        path: <line>_<well>_s<site>.ome.tif, the n-th of its line; its orientations become numbers 8 n to 8 n + 7.
        folder: where to.
    """
    stem = path.name.removesuffix(".ome.tif")
    line = stem.split("_")[0]
    names = field_names(line, MOST_FIELDS)
    number = [name.field_id for name in names].index(stem)
    pixels = tifffile.imread(path)
    pixel_um = base.simulation().pixel_um
    for orientation in range(ORIENTATIONS):
        turns, mirrored = divmod(orientation, 2)
        turned = np.rot90(pixels, turns, axes=(1, 2))
        if mirrored:
            turned = np.flip(turned, axis=2)
        name = names[number * ORIENTATIONS + orientation]
        target = folder / f"{name.field_id}.ome.tif"
        write_ome(target, np.ascontiguousarray(turned), CHANNELS, f"{stem}, orientation {orientation}", pixel_um)


def _whole_way(out, fields, cells, steps):
    """Rows of the grid for one number of cells; data set and run are removed before and kept after."""
    count = -(-cells // USED_PER_FIELD)
    data, run = out / f"data_{cells}", out / f"run_{cells}"
    for folder in (data, run):
        shutil.rmtree(folder, ignore_errors=True)
    commands = {
        "prepare": ["--config=configs/data/simulated.py", "--config.source=folder",
                    f"--config.name_pattern={NAME_PATTERN}", f"--fields={fields / 'all'}", f"--out={data}",
                    f"--config.max_fields={count}"],
        "train": ["--config=configs/default.py", f"--data={data}", f"--workdir={run}", f"--config.train.steps={steps}",
                  "--config.train.patience=0"],
        "evaluate": [f"--workdir={run}"],
        "explain": [f"--workdir={run}"],
        "discover": [f"--workdir={run}"],
        "report": [f"--workdir={run}"],
    }
    rows = {}
    for name, words in commands.items():
        seconds, held = _watched(name, *words)
        used = files.read_json(data / "provenance.json")["n_used"]
        measured = {SECONDS.name: seconds, MEMORY.name: held / GIB}
        rows[f"{cells:,} cells", name] = {USED.name: used, FIELDS.name: count} | measured
        print(f"{used:,} cells, {name}: {seconds:,.0f} s, {held / GIB:.2f} GiB", flush=True)
    return rows


def _watched(*words) -> tuple[float, int]:
    """Seconds of a command, and the most bytes that its processes held at one time.

    Raises:
        SystemExit: the command failed.
    """
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "launch.py", *words], cwd=ROOT, stdout=subprocess.DEVNULL)
    most, watched = 0, psutil.Process(process.pid)
    while process.poll() is None:
        most = max(most, _held(watched))
        time.sleep(LOOK_S)
    if process.returncode:
        raise SystemExit(f"{words[0]} ended with {process.returncode}")
    return time.monotonic() - began, most


def _held(process) -> int:
    """Bytes that a process and those that it started hold now, shared pages divided among them."""
    total = 0
    try:
        for member in (process, *process.children(recursive=True)):
            total += member.memory_full_info().pss
    except psutil.Error:  # one has just ended
        pass
    return total


if __name__ == "__main__":
    sys.exit(main())
