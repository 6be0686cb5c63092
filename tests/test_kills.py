import pytest

from tests import kills
from tests.train_process import launch

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache")]


def test_a_run_that_is_killed_ends_with_the_bits_of_one_that_is_not(tmp_path):
    failures, runs, in_saves = kills.kills(tmp_path, seed=0, count=2)
    assert failures == [] and runs >= 1 and in_saves <= 2


def test_a_run_that_goes_on_with_other_numbers_is_noticed(tmp_path, monkeypatch):
    """So the test above can fail."""
    monkeypatch.setattr(kills, "FLAGS", ("--config.train.steps=2", "--config.train.eval_every=1"))

    def other(data, workdir, *flags):
        return launch(data, workdir, *flags, f"--config.seed={int(workdir.name == 'straight')}")

    monkeypatch.setattr(kills, "launch", other)
    failures, *_ = kills.kills(tmp_path, seed=0, count=0)
    assert len(failures) == 1 and "first: " in failures[0]
