"""Runs the commands of README.md and docs/ as they stand there, in a copy of the repository.

Each document has a place of its own with what it takes for granted: fields, or a run of an earlier page. `python` is
there a script that adds flags to what was typed, so that training takes seconds; nothing that was typed is changed. A
block that is neither run nor listed with a reason fails.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from tests.test_extending import EXAMPLES, added, blocks, with_function

ROOT = pathlib.Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
PROGRAMS = "python|make|pip|git|curl|docker|sbatch|export|mkdir|dask|sky|aws|zenodo_get"
COMMAND = re.compile(rf"^ +(?:(?:{PROGRAMS})\b|[A-Z]+=)", re.M)
DOCUMENTS = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]

# Of a block that is not run: how its first line begins, and why.
LEFT_OUT = {
    "pip install -e '.[cuda12]'": "needs a GPU",
    "python launch.py train --config=configs/default.py --data=data/mine --workdir=runs/mine --require": "needs a GPU",
    "DATA=/shared/mine RUN=": "needs a cluster",
    "export DATA=/shared/mine": "needs a cluster",
    "python launch.py train --config=configs/default.py --data=DATA --workdir=RUN --coordinator": "needs two hosts; "
    "tests/training/test_preemption.py runs it on one",
    "sky jobs launch": "needs a cloud",
    "docker build": "needs Docker",
    "pip install -e '.[dask]'": "needs several machines; test_all_fields.py runs a scheduler and workers",
    "python -m experiments.unnamed_example": "minutes; tests/experiments/test_unnamed_example.py makes a small one",
    "mkdir bbbc039_u2os_hoechst": "a download",
    "git clone": "a download",
    "pip download fucciphase": "a download; tests/data_prep/sources/test_published.py repacks one",
    "pip install zenodo_get": "a download",
    "aws s3 ls": "a download",
}
# What `python` adds, by command.
TRAINING = ["--config.train.steps=40", "--config.train.eval_every=20", "--config.model.filters=4",
            "--config.explain.cells_per_class=6",
            "--config.discover.n_candidates=4"]
SMALL_FIELDS = ["--config.field_size_px=256", "--config.cells_per_field=14,18"]
QUICK = {"train": TRAINING, "sweep": TRAINING, "simulate": SMALL_FIELDS, "run": ["--training=quick.py"]}
QUICK_SCRIPTS = {
    "bench/segmentation.py": ["--every=40", "--fields=1"],
    "bench/prepare.py": ["--rounds=1", "--fields=1"],
    "-m": ["-k", "test_architecture"],  # of `make test`
}


def command_blocks(document):
    """[(line, text)] of the indented blocks of a document in which a command stands."""
    lines = (ROOT / document).read_text().splitlines()
    found, start = [], None
    fenced = False
    for number, line in enumerate([*lines, ""]):
        fenced ^= line.startswith("```")
        inside = not fenced and line.startswith("    ")
        if inside and start is None and (number == 0 or not lines[number - 1].strip()):
            start = number
        elif start is not None and not inside:
            found.append((start + 1, "\n".join(lines[start:number])))
            start = None
    return [(number, text) for number, text in found if COMMAND.search(text)]


def reason_for_leaving_out(text):
    """Why a block is not run; None where it is."""
    return next((why for begin, why in LEFT_OUT.items() if text.strip().startswith(begin)), None)


def test_every_reason_is_still_of_use():
    texts = [text for document in DOCUMENTS for _, text in command_blocks(document)]
    for begin in LEFT_OUT:
        assert any(text.strip().startswith(begin) for text in texts), begin


def test_commands_are_found():
    found = {document: len(command_blocks(document)) for document in DOCUMENTS}
    assert found["README.md"] >= 7 and found["docs/from-folder-to-report.md"] >= 4
    assert found["docs/extending.md"] >= 3 and found["docs/segmentation.md"] == 0


class Place:
    """A copy of the repository in which a document is followed."""

    def __init__(self, folder):
        self.folder = folder / "cellcycle_jax"
        anywhere = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*cache", "wandb", "*.egg-info")

        def left_behind(folder, names):
            results = {"runs", "data"} if pathlib.Path(folder) == ROOT else set()
            return anywhere(folder, names) | results

        shutil.copytree(ROOT, self.folder, ignore=left_behind)
        (self.folder / ".venv" / "bin").mkdir(parents=True)
        script = self.folder / ".venv" / "bin" / "python"
        script.write_text(
            f"#!{sys.executable}\nimport os, sys\nwords = sys.argv[1:]\nadd = {QUICK_SCRIPTS!r}.get(words[0], [])\n"
            f"if words[0] == 'launch.py':\n    add = {QUICK!r}.get(words[1], [])\n"
            f"os.execv({sys.executable!r}, [{sys.executable!r}, *words, *add])\n")
        script.chmod(0o755)
        (self.folder / ".venv" / ".ready").touch()  # nothing has to be installed
        changes = "\n".join(f"    c.{flag.removeprefix('--config.').replace('=', ' = ')}" for flag in TRAINING)
        head = "from configs import base\n\n\ndef get_config():\n    c = base.training()"
        self.write("quick.py", f"{head}\n{changes}\n    return c\n")

    def write(self, name, text):
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def run(self, text):
        """Do a block as a shell does it; any command that fails ends it."""
        environment = os.environ | {"PATH": f"{self.folder}/.venv/bin:{os.environ['PATH']}", "MPLBACKEND": "agg"}
        environment.pop("JAX_NUM_CPU_DEVICES", None)
        return subprocess.run(["bash", "-ec", text], cwd=self.folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """Planes u16 [4, H, W] of simulated fields by name."""
    from configs import base
    from data_prep.simulation.simulate import simulate

    config = base.simulation()
    config.lines, config.fields_per_line, config.field_size_px = ("RPE1",), 16, 256
    config.cells_per_field, config.workers = (16, 20), 2
    folder = tmp_path_factory.mktemp("simulated")
    simulate(config, folder)
    return [tifffile.imread(path) for path in sorted((folder / "fields").glob("*.tif"))]


def wells(count):
    """Names of wells, B02 and so on."""
    return [f"{row}{column:02d}" for row in "BCDEFG" for column in range(2, 12)][:count]


def set_up_readme(place, fields, document="README.md"):
    """A plate with a file per channel, configs/data/mine.py as the page has it, new fields, and fields of DNA alone."""
    text = (ROOT / document).read_text()
    (example,) = re.findall(r"\n    # configs/data/mine.py:.*?return c\n", text, re.S)
    place.write("configs/data/mine.py", example.replace("\n    ", "\n"))
    for folder, chosen in (("FOLDER", fields), ("NEW", fields[:6])):
        for well, planes in zip(wells(len(chosen)), chosen, strict=True):
            for channel, plane in enumerate(planes[[0, 1, 3]], start=1):
                path = place.folder / folder / "plate1" / f"{well}_1_w{channel}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(path, plane)
    (place.folder / "DIR").mkdir()
    for number, planes in enumerate(fields[:3]):
        tifffile.imwrite(place.folder / "DIR" / f"{number}.tif", planes[0])
    if SHARED.is_dir():
        for name in ("bbbc039_u2os_hoechst", "dsb2018_fluorescence"):
            (place.folder / name).symlink_to(SHARED / name)
            (place.folder / "DIR" / name).symlink_to(SHARED / name)


def set_up_walk(place, fields):
    """The same, with the config of its own page."""
    set_up_readme(place, fields, "docs/from-folder-to-report.md")


def set_up_data(place, fields):
    """Four planes a file, PLATE/LINE_WELL_sSITE.tif, the config that the page has for them, and DATA made of them."""
    place.write("configs/data/mine.py", blocks("data.md")["configs/data/mine.py"])
    for well, planes in zip(wells(len(fields)), fields, strict=True):
        path = place.folder / "DIR" / "plate1" / f"RPE1_{well}_s1.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, planes, photometric="minisblack")
    done = place.run("python launch.py prepare --config=configs/data/mine.py --fields=DIR --out=DATA")
    assert done.returncode == 0, done.stderr


def set_up_extending(place, fields):
    """Three planes a file, and all that the page adds to the repository."""
    (place.folder / "DIR").mkdir()
    for number, planes in enumerate(fields):
        tifffile.imwrite(place.folder / "DIR" / f"{number:02d}.tif", planes[[0, 1, 3]], photometric="minisblack")
    for path in ("configs/data/ki67.py", "cellcycle_jax/models/mine.py", "experiments/masks.py"):
        place.write(path, EXAMPLES[path])
    path = "cellcycle_jax/models/__init__.py"
    place.write(path, added((ROOT / path).read_text(), EXAMPLES[path]))
    path = "data_prep/measurement/measure.py"
    place.write(path, with_function(path, "measure_cells"))


def set_up_run(place, fields):
    """RUN, runs/demo/run of the simulated data set, fields of four planes in DIR, and a config that adds nothing."""
    done = place.run("python launch.py simulate --out=made --config.lines=RPE1 --config.fields_per_line=10\n"
                     "python launch.py prepare --config=configs/data/simulated.py --fields=made --out=DATA\n"
                     "python launch.py train --config=configs/default.py --data=DATA --workdir=RUN\n"
                     "python launch.py evaluate --workdir=RUN\n"
                     "mkdir -p runs/demo && cp -r RUN runs/demo/run")
    assert done.returncode == 0, done.stderr
    place.write("configs/data/mine.py",
                "from configs import base\n\n\ndef get_config():\n    return base.preparation()\n")
    for number, planes in enumerate(fields[:3]):
        path = place.folder / "DIR" / f"{number}.ome.tif"
        path.parent.mkdir(exist_ok=True)
        names = {"axes": "CYX", "Channel": {"Name": ["DNA", "Golgi", "EB1", "CENPF"]}}
        tifffile.imwrite(path, planes, photometric="minisblack", metadata=names)


def set_up_cloud(place, fields):
    """data/mine, tiny."""
    from tests.study_runs import write_data

    write_data(place.folder / "data" / "mine")


SET_UP = {
    "README.md": set_up_readme,
    "docs/from-folder-to-report.md": set_up_walk,
    "docs/data.md": set_up_data,
    "docs/extending.md": set_up_extending,
    "docs/predicting.md": set_up_run,
    "docs/explaining.md": set_up_run,
    "docs/unnamed.md": set_up_run,
    "docs/counterfactual.md": set_up_run,
    "docs/cloud.md": set_up_cloud,
}


def needs_shared(text):
    return "bbbc039_u2os_hoechst" in text or "bench/segmentation.py" in text


@pytest.mark.slow
@pytest.mark.parametrize("document", [name for name in DOCUMENTS if command_blocks(name)])
def test_every_command_block_of_a_document_can_be_typed(document, fields, tmp_path):
    place = Place(tmp_path)
    if document in SET_UP:
        SET_UP[document](place, fields)
    done = 0
    for line, text in command_blocks(document):
        if reason_for_leaving_out(text) or (needs_shared(text) and not SHARED.is_dir()):
            continue
        ended = place.run(text)
        assert ended.returncode == 0, f"{document}:{line}\n{text}\n{ended.stdout[-2000:]}\n{ended.stderr[-3000:]}"
        done += 1
    assert done


def test_planes_are_those_of_the_pages(fields):
    assert {planes.shape for planes in fields} == {(4, 256, 256)} and fields[0].dtype == np.uint16
