"""Which room may import which, read from the source; docs/architecture.md states the rules."""

import ast
import importlib
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
OURS = {"cellcycle_jax", "data_prep", "commands", "configs", "experiments", "tests", "launch"}
JAX = {"jax", "flax", "optax", "orbax"}
NOT_NAMED = ("utils", "helpers", "common")

# From the command inwards: a room imports rooms below its own. "" are the files beside the rooms.
ROOMS = {
    "cellcycle_jax": (
        "studies", "evaluation", "counterfactual", "unnamed", "explain", "explain.checks", "explain.measurements",
        "explain.edits", "explain.regions", "report", "features", "prediction", "training", "explain.attribution",
        "runs", "devices", "models", "models.cpu", "bank", "dataset", "figures", "scoring", "command_line", "",
    ),
    "data_prep": (
        "", "pictures", "fields_to_cells", "labelling", "dataset", "cells", "sources", "simulation", "reading",
        "segmentation", "measurement", "intensity", "plane", "workers",
    ),
}


def imports(path):
    """Full names of everything a file imports, relative imports resolved."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names} | {base}
    return found


def sources(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def named(path):
    return str(path.relative_to(ROOT))


def room_of(name):
    """(package, room) in which a module or something in one lies; None where it is not ours."""
    package, *inner = name.split(".")
    if package not in ROOMS:
        return None
    while inner and not (ROOT / package / "/".join(inner)).is_dir():
        inner = inner[:-1]
    return package, ".".join(inner)


def room_of_file(path):
    return room_of(".".join(path.relative_to(ROOT).parent.parts))


@pytest.mark.parametrize("path", sources(*ROOMS), ids=named)
def test_a_room_imports_rooms_below_its_own(path):
    package, own = room_of_file(path)
    order = ROOMS[package]
    assert own in order, f"{package}/{own} is in no list of rooms"
    for name in imports(path):
        if (target := room_of(name)) and target[0] == package and target[1] != own:
            assert order.index(target[1]) > order.index(own), f"{path.name} imports {name}, which lies further out"


@pytest.mark.parametrize("path", sources("data_prep"), ids=named)
def test_data_prep_knows_no_jax_and_of_cellcycle_jax_the_files_beside_the_rooms_only(path):
    for name in imports(path):
        assert name.split(".")[0] not in JAX | {"commands", "configs", "experiments"}, name
        if name.startswith("cellcycle_jax."):
            assert room_of(name) == ("cellcycle_jax", ""), name


@pytest.mark.parametrize("path", sorted((ROOT / "cellcycle_jax").glob("*.py")), ids=named)
def test_the_files_beside_the_rooms_know_no_jax(path):
    assert not {name.split(".")[0] for name in imports(path)} & JAX


@pytest.mark.parametrize("path", sources("cellcycle_jax"), ids=named)
def test_cellcycle_jax_knows_neither_the_preparation_nor_the_configs(path):
    assert not {name.split(".")[0] for name in imports(path)} & (OURS - {"cellcycle_jax"})


@pytest.mark.parametrize("path", [ROOT / "launch.py", *sources("commands")], ids=named)
def test_commands_know_no_study(path):
    assert "experiments" not in {name.split(".")[0] for name in imports(path)}


def test_the_packages_themselves_import_nothing():
    for package in ROOMS:
        assert not imports(ROOT / package / "__init__.py")


ALL_ROOMS = [(package, room) for package, rooms in ROOMS.items() for room in rooms if room]


@pytest.mark.parametrize("package, room", ALL_ROOMS)
def test_each_room_is_there_says_what_it_is_for_and_stands_in_the_plan(package, room):
    folder = ROOT / package / room.replace(".", "/")
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    plan = (ROOT / "docs" / "architecture.md").read_text()
    assert re.search(rf"(?<![\w/]){folder.name}/", plan)


@pytest.mark.parametrize("path", sources("cellcycle_jax", "data_prep", "commands", "configs", "tests"), ids=named)
def test_no_tensorflow_and_no_file_for_everything(path):
    assert path.stem not in NOT_NAMED
    assert "tensorflow" not in imports(path)


IMPORT = re.compile(r"from ((?:cellcycle_jax|data_prep)[\w.]*) import ([\w, ]+)")


def test_an_import_written_in_a_text_or_a_string_names_something_that_is_there():
    """Programs that tests start as strings, scripts and documents: what a move of files forgets first."""
    folders = ("bench", "cellcycle_jax", "cloud", "commands", "data_prep", "docs", "experiments", "tests")
    written = set()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.*")):
            installed = ".venv" in path.parts  # bench/peers has an environment of its own
            if path.suffix in (".py", ".md", ".sh") and not installed:
                written |= set(IMPORT.findall(path.read_text()))
    assert written
    for module, names in sorted(written):
        for name in names.split(","):
            wanted = name.split(" as ")[0].strip()
            found = importlib.import_module(module)
            assert hasattr(found, wanted) or importlib.import_module(f"{module}.{wanted}"), (module, wanted)
