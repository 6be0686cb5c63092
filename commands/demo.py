"""`launch.py demo`: the whole way on simulated fields whose answer is known."""

import pathlib
import shutil
import time

from cellcycle_jax.errors import UsageError

# folder of a demo -> what shows that a command of ours made it
DEMO_MARKS = {
    "fields": ("simulation.json", "fields/*.ome.tif"),
    "data": ("provenance.json", "tfds/cells", ".work-*"),
    "run": ("config.json", ".lock"),
}


def run_command(arguments, step) -> int:
    """Go the whole way on simulated fields; returns the exit code of `run_demo`."""
    return run_demo(arguments.out, arguments.overwrite, step)


def run_demo(out, overwrite: bool, step) -> int:
    """The whole way on simulated fields whose answer is known, the locked test split included.

    Args:
        out: folder that receives fields/, data/ and run/.
        overwrite: whether an earlier demo there is replaced.
        step: does one command, a list of words, and returns its exit code.

    Returns:
        The exit code: 0, or that of the first command that failed.

    Raises:
        UsageError: the folder holds an earlier demo, or anything else under one of these names.
    """
    out = pathlib.Path(out)
    fields = out / "fields"
    data = out / "data"
    workdir = out / "run"
    parts = (fields, data, workdir)
    existing = [part for part in parts if part.exists()]
    if existing and not overwrite:
        raise UsageError(f"--out={out} holds an earlier demo; name another folder or give --overwrite")
    for part in existing:
        if not _is_of_a_demo(part):
            raise UsageError(f"{part}: not made by a demo, so it is not removed; move it away, or name another --out")
    for part in existing:
        shutil.rmtree(part)
    start = time.monotonic()
    commands = (
        ["simulate", "--config=configs/demo/fields.py", f"--out={fields}"],
        ["prepare", "--config=configs/data/simulated.py", f"--fields={fields}", f"--out={data}"],
        ["train", "--config=configs/demo/train.py", f"--data={data}", f"--workdir={workdir}"],
        ["evaluate", f"--workdir={workdir}"],
        ["explain", f"--workdir={workdir}"],
        ["discover", f"--workdir={workdir}"],
        ["evaluate", f"--workdir={workdir}", "--final"],
        ["report", f"--workdir={workdir}"],
    )
    for words in commands:
        code = step(words)
        if code:
            return code
    seconds = time.monotonic() - start
    print(f"\nThe whole way took {seconds:.0f} s. Open {workdir}/report.html", flush=True)
    return 0


def _is_of_a_demo(part):
    """Whether a folder holds no file yet or carries the mark of the command that fills it."""
    if part.is_symlink() or not part.is_dir():
        return False
    for mark in DEMO_MARKS[part.name]:
        if any(part.glob(mark)):
            return True
    return not any(path.is_file() for path in part.rglob("*"))
