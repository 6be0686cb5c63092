"""Workers of the benchmarks: what one that fails leaves behind, and rates from known times."""

import pathlib
import sys

import numpy as np
import pytest

from bench import timed, workers
from bench.tables import of_workers
from bench.workers import Results, Way, Worker, WorkerFailed, compare

ROOT = pathlib.Path(__file__).parents[2]
# Speaks the protocol by itself, so that its times are known: as many seconds a unit as it is told.
PACED = """
import json, sys
print('noise of a library'); print('BENCH ' + json.dumps({"items": 3, "device": "paper", "versions": {"Clock": "1"}}))
sys.stdout.flush()
for line in sys.stdin:
    units = json.loads(line)["units"]
    answer = {"seconds": units * float(sys.argv[1])} if units else {"told": {"argument": sys.argv[1]}}
    print('BENCH ' + json.dumps(answer), flush=True)
"""
SERVING = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from bench.protocol import serve
done = []
def work(units):
    done.append(units)
    if len(done) == int(sys.argv[1]):
        sys.exit("out of paper")
serve(work, items=1, tell=lambda: {{"done": done}})
"""


@pytest.fixture
def way(tmp_path):
    """Makes a way from the text of its worker."""
    def make(name, text, *arguments, python=sys.executable):
        script = tmp_path / f"{name}.py"
        script.write_text(text)
        return Way(name, python, (script, *arguments))

    return make


def test_rates_are_items_per_second_and_ratios_are_taken_round_by_round(way):
    results = compare([way("slow", PACED, 0.5), way("fast", PACED, 0.125)], rounds=3, seconds=1.0)
    assert results.rates == {"slow": [6.0] * 3, "fast": [24.0] * 3}
    assert results.ratios("fast", "slow").tolist() == [4.0] * 3
    assert results.told == {"slow": {"argument": "0.5"}, "fast": {"argument": "0.125"}}
    assert results.versions() == {"Clock": "1"}
    np.testing.assert_allclose(Results(rates={"a": [2.0, 9.0], "b": [1.0, 3.0]}).ratios("a", "b"), [2, 3])


def test_units_are_chosen_so_that_a_share_takes_about_so_long(way):
    worker = Worker(way("paced", PACED, 0.01))
    assert timed.units_for(worker.run, 2.0) == 200
    worker.close()


def test_a_worker_that_dies_at_work_is_left_out_with_its_last_words_and_the_others_go_on(way):
    results = compare([way("dying", SERVING, 3), way("living", SERVING, 0)], rounds=2, seconds=0.0)
    assert results.left_out == {"dying": "out of paper; exit code 1"}
    assert list(results.rates) == list(results.info) == ["living"] and len(results.rates["living"]) == 2
    assert "Left out: dying (out of paper; exit code 1)." in of_workers("Sorting", "sheets/s", results).markdown()


def test_a_worker_that_does_not_start_says_why(way):
    with pytest.raises(WorkerFailed, match="ModuleNotFoundError: No module named 'no_such_peer'; exit code 1"):
        Worker(way("lacking", "import no_such_peer"))


def test_a_missing_python_is_named_and_how_to_make_the_peers(way, monkeypatch):
    with pytest.raises(WorkerFailed, match="no/such/python: No such file or directory$"):
        Worker(way("own", "", python="no/such/python"))
    monkeypatch.setattr(workers, "PEERS", "no/such/peers")
    results = compare([way("peer", "", python="no/such/peers")], rounds=1)
    assert results.left_out == {"peer": "no/such/peers: No such file or directory; make it with `make peers`"}
    assert not results.rates


def test_a_worker_that_does_not_answer_is_ended(way, monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", 0.2)
    with pytest.raises(WorkerFailed, match="no answer within 0 s"):
        Worker(way("silent", "import time; time.sleep(60)"))
