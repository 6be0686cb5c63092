"""Fields to damage, and preparing without its pictures."""

import shutil

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def unrendered(monkeypatch):
    """Pictures, which take half of the time of `prepare`, are not saved; for tests that say nothing of them."""
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: None)


@pytest.fixture
def some_fields(simulated_fields, tmp_path):
    """A copy of the fields of one line, to damage."""
    folder = tmp_path / "copy"
    for part in ("fields", "labels"):
        (folder / part).mkdir(parents=True)
        for path in sorted((simulated_fields / part).glob("HeLa*")):
            shutil.copy(path, folder / part)
    shutil.copy(simulated_fields / "truth.parquet", folder)
    return folder
