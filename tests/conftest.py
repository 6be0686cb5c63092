"""Small data that several test files share, made once per session by the project's own tools."""

import os
import pathlib

# Compiled programs are kept from run to run, for all processes of the tests; `pytest --cache-clear` removes them.
COMPILED = pathlib.Path(__file__).parents[1] / ".pytest_cache" / "d" / "compiled"

# JAX reads variables when it is imported, so they are set before all imports that may bring JAX.
os.environ |= {
    "JAX_NUM_CPU_DEVICES": "2",  # however many cores there are; tests that need another number start a process
    "JAX_COMPILATION_CACHE_DIR": str(COMPILED),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    "CELLCYCLE_JAX_CACHE": str(COMPILED),
}

import pytest  # noqa: E402

from configs import base  # noqa: E402
from configs.data import simulated  # noqa: E402
from data_prep.prepare import prepare  # noqa: E402
from data_prep.simulation.simulate import simulate  # noqa: E402

SHARED = pathlib.Path(__file__).parents[2] / "shared" / "data"


def small_simulation():
    """Two lines, ten small fields each."""
    config = base.simulation()
    config.lines = ("HeLa", "NIH3T3")
    config.fields_per_line = 10
    config.field_size_px = 256
    config.cells_per_field = (14, 18)
    config.workers = 2
    return config


@pytest.fixture(scope="session")
def simulated_fields(tmp_path_factory):
    """Folder that `simulate` wrote."""
    folder = tmp_path_factory.mktemp("fields")
    simulate(small_simulation(), folder)
    return folder


@pytest.fixture(scope="session")
def prepared(simulated_fields, tmp_path_factory):
    """Folder that `prepare` made of the simulated fields."""
    folder = tmp_path_factory.mktemp("data")
    config = simulated.get_config()
    config.workers = 2
    config.split.fractions = (0.5, 0.2, 0.3)
    assert prepare(config, simulated_fields, folder) == 0
    return folder


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real images that lies beside a checkout; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real images are not here ({SHARED.name} folder beside the checkout)")
    return SHARED


@pytest.fixture(scope="module")
def study_data(tmp_path_factory):
    """Folder of the tiny data set that studies are tried on."""
    from tests.study_runs import write_data  # imports JAX

    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def study_path(tmp_path_factory):
    """A study of three choices of channels with two seeds each."""
    from tests.study_runs import write_study

    return write_study(tmp_path_factory.mktemp("study"))
