# ruff: noqa: E501
"""Which part may import which, read from the source."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
OURS = {"cellcycle_jax", "data_prep", "configs", "experiments", "tests", "launch"}
SHARED_WORDS = {"cellcycle_jax.schema", "cellcycle_jax.errors", "cellcycle_jax.files", "cellcycle_jax.machine",
                "cellcycle_jax.crop_file", "cellcycle_jax.locks"}
JAX = {"jax", "flax", "optax", "orbax"}
SCIENCE_FREE = ("schema", "errors", "files", "machine", "crop_file", "locks")


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


def sources(folder):
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", sources("data_prep"), ids=lambda p: str(p.relative_to(ROOT)))
def test_data_prep_knows_no_jax_and_only_the_shared_words(path):
    for name in imports(path):
        assert name.split(".")[0] not in JAX | {"configs", "experiments"}, name
        if name.startswith("cellcycle_jax."):
            assert any(name == w or name.startswith(w + ".") for w in SHARED_WORDS), name


@pytest.mark.parametrize("path", sources("cellcycle_jax"), ids=lambda p: str(p.relative_to(ROOT)))
def test_cellcycle_jax_knows_neither_the_preparation_nor_the_configs(path):
    assert not {n.split(".")[0] for n in imports(path)} & (OURS - {"cellcycle_jax"})


@pytest.mark.parametrize("name", SCIENCE_FREE)
def test_the_shared_words_import_no_jax(name):
    assert not {n.split(".")[0] for n in imports(ROOT / "cellcycle_jax" / f"{name}.py")} & JAX


def test_the_package_itself_imports_nothing():
    assert not imports(ROOT / "cellcycle_jax" / "__init__.py")


# From the command inwards; a file imports only from rows below its own (or its own row's folder).
LAYERS = (
    ("studies.sweep", "studies.sweep_plan", "studies.sweep_scores", "studies.sweep_table", "studies.sweep_figures"),
    ("evaluation.evaluate", "training.loop", "features.discover", "prediction.predict", "explain.command", "report.page"),
    ("prediction.predictor",),
    ("explain.checks.shortcut_check", "explain.galleries", "explain.passport"),
    ("explain.checks.all_checks",),
    ("explain.measurements.shortlist",),
    ("features.ranking", "report.sentences", "training.setup", "explain.checks.faithfulness", "explain.checks.randomisation",
     "explain.edits.dose_response", "explain.checks.shortcuts", "explain.measurements.surrogate"),
    ("runs.trained_run", "features.feature_axes", "explain.regions.localisation", "explain.checks.channel_importance", "explain.regions.class_difference", "evaluation.baselines", "figures.scatter",
     "figures.gallery", "figures.style", "figures.explain_figures"),
    ("explain.attribution.methods",),
    ("runs.run_record",),
    ("runs.config_checks",),
    ("training.batches", "training.early_stopping", "training.cohort"),
    ("training.compiled_steps",),
    ("training.train_step", "runs.checkpoint", "devices.model_sharding", "runs.metric_log", "runs.wandb_log", "dataset.cell_table", "scoring.intervals", "scoring.crossvalidation", "scoring.calibration",
     "explain.attribution.cam", "explain.attribution.pixels", "explain.edits.edits", "explain.edits.stain_objects", "explain.edits.local_zoom", "prediction.novelty", "prediction.field_alarms",
     "training.preemption", "studies.study"),
    ("explain.attribution.activations",),
    ("dataset.model_input",),
    ("devices.memory", "runs.passport_file"),
    ("dataset.crop_arrays", "devices.mesh", "scoring.metrics", "training.optimizers"),
    ("dataset.tfds_reader", "runs.checkpoint_manifest", "crop_file"),
    ("models", "runs.state", "training.augment"),
    ("devices.runtime", "stored_config"),
    ("locks", "command_line.interruption", "prediction.verdict", "command_line.failures"),
    ("schema", "errors", "files", "machine", "features.families", "command_line.terminal"),
)


def layer(name):
    inner = name.removeprefix("cellcycle_jax.")
    for number, members in enumerate(LAYERS):
        if any(inner == m or inner.startswith(m + ".") for m in members):
            return number
    return None


@pytest.mark.parametrize("path", sources("cellcycle_jax"), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_inwards(path):
    own = layer(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for name in imports(path):
        target = layer(name) if name.startswith("cellcycle_jax.") else None
        if own is not None and target is not None:
            assert target >= own, f"{name} lies further out than {path.name}"


def modules(*folders):
    return [path for folder in folders for path in sources(folder) if path.stem != "__init__"]


@pytest.mark.parametrize("path", modules("cellcycle_jax"), ids=lambda p: str(p.relative_to(ROOT)))
def test_each_module_has_a_layer(path):
    assert layer(".".join(path.relative_to(ROOT).with_suffix("").parts)) is not None


# Named by their folder: one file per data set or architecture, and parts of one thing.
BY_FOLDER = ("data_prep/sources", "data_prep/simulation", "data_prep/segmentation", "cellcycle_jax/models",
             "cellcycle_jax/report", "cellcycle_jax/figures", "cellcycle_jax/studies")


@pytest.mark.parametrize("path", modules("cellcycle_jax", "data_prep"), ids=lambda p: str(p.relative_to(ROOT)))
def test_each_module_has_a_room_in_the_plan(path):
    plan = (ROOT / "docs" / "architecture.md").read_text()
    folder = str(path.parent.relative_to(ROOT))
    assert re.search(rf"(?<!\w){re.escape(path.name)}", plan) or folder in BY_FOLDER and f"{path.parent.name}/" in plan


def test_no_tensorflow_and_no_utils():
    for folder in ("cellcycle_jax", "data_prep", "configs", "tests"):
        for path in sources(folder):
            assert path.stem not in ("utils", "helpers", "common")
            assert "tensorflow" not in imports(path)
