"""bench/gpu.py: what it does when things are missing, fail or take too long, and that it runs through on a CPU."""

import argparse
import os
import pathlib
import subprocess
import sys
import time

import pytest

from bench import gpu, gpu_process, results
from bench.gpu_parts import Part, parts_of
from bench.gpu_process import measure
from bench.results import load

ROOT = pathlib.Path(__file__).parents[2]
# Runs a script in a Python in which some packages are not there, nor in the Pythons that it starts.
BLOCKING = """
import sys


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"tensorflow_datasets", "grain", "ml_collections", "tqdm", "imagecodecs", "torch"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocked())
"""


def part(tmp_path, text, needs_s=0.0, environments=({},), title="sorting"):
    script = tmp_path / "part.py"
    script.write_text(text)
    return Part("sorting", "On a GPU: sorting", title, sys.executable, (str(script),), needs_s, environments)


def runs(pid):
    """Whether a process is there, and is not one that nobody has buried yet."""
    try:
        state = pathlib.Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_messages_are_collected_and_what_else_is_printed_is_passed_over(tmp_path):
    text = "print('noise'); print('BENCH {\"kind\": \"rate\"}')"
    assert measure(part(tmp_path, text), 60) == ([{"kind": "rate"}], "")


def test_a_part_that_dies_keeps_what_it_told_and_says_why(tmp_path):
    text = "print('BENCH {\"kind\": \"rate\"}', flush=True); raise MemoryError('no paper')"
    assert measure(part(tmp_path, text), 60) == ([{"kind": "rate"}], "exit code 1: MemoryError: no paper")


def test_a_part_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path):
    text = ("import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
            "print('BENCH {\"pid\": %d}' % child.pid, flush=True); child.wait()")
    messages, failure = measure(part(tmp_path, text), 3)
    assert failure.startswith("ended after 3 s")
    patience = time.monotonic() + 20
    while runs(messages[0]["pid"]):
        assert time.monotonic() < patience, "what the part started is still there"
        time.sleep(0.05)


def test_another_name_of_a_flag_is_tried_where_the_first_is_unknown(tmp_path):
    text = ("import os, sys\nif os.environ['FLAG'] == 'old': sys.exit('Unknown flag in XLA_FLAGS: old')\n"
            "print('BENCH {\"kind\": \"rate\"}')")
    of_both = part(tmp_path, text, environments=({"FLAG": "old"}, {"FLAG": "new"}))
    assert measure(of_both, 60) == ([{"kind": "rate"}], "")


@pytest.fixture
def given(tmp_path):
    return argparse.Namespace(seconds=50, record=False, json=tmp_path / "gpu.json", size="small")


def test_a_part_for_which_no_time_is_left_is_left_out_and_the_others_go_on(tmp_path, given):
    found = gpu.Found()
    parts = [part(tmp_path, "", needs_s=1000, title="long"), part(tmp_path, "import sys; sys.exit('no paper')")]
    gpu.run_all(parts, given, found)
    reasons = found.failures["On a GPU: sorting"]
    assert reasons["long"].startswith("needs about 1000 s, and 50 s were left")
    assert reasons["sorting"] == "exit code 1: no paper"


def test_each_part_is_saved_when_it_is_done(tmp_path, given, monkeypatch):
    """The second part looks at the file."""
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(results, "RECORDED", tmp_path / "results")
    given.record = True
    rate = ('{"kind": "rate", "library": "JAX", "precision": "bfloat16", "size": 64, "tf32": false, "values": [1, 2]}')
    about = '{"kind": "about", "platform": "gpu", "device": "A card", "versions": {"JAX": "1"}}'
    first = part(tmp_path, f"print('BENCH {about}'); print('BENCH {rate}')")
    (tmp_path / "second").mkdir()
    second = part(tmp_path / "second", f"assert 'A card' in open({str(given.json)!r}).read()", title="looking")
    found = gpu.Found()
    gpu.run_all([first, second], given, found)
    assert not found.failures
    assert load(given.json)["tables"][0]["ways"][0]["values"] == [1, 2]
    for path in (given.json.with_suffix(".md"), tmp_path / "RESULTS.md"):
        assert "## On a GPU: products of matrices" in path.read_text()
        assert "| JAX, bfloat16 | A card | 1.5 |" in path.read_text()


def test_the_full_size_stops_at_once_where_jax_finds_only_a_cpu(tmp_path, given):
    given.size = "full"
    about = '{"kind": "about", "platform": "cpu", "device": "cpu", "versions": {}}'
    with pytest.raises(SystemExit, match="JAX finds only a CPU here; install"):
        gpu.run_all([part(tmp_path, f"print('BENCH {about}')")], given, gpu.Found())


def test_a_part_that_hangs_does_not_take_the_time_of_all(tmp_path):
    patient = part(tmp_path, "", needs_s=10.0)
    assert (patient.limit(500.0), patient.limit(30.0)) == (40.0, 30.0)
    assert part(tmp_path, "").limit(500.0) == 500.0


def test_cohorts_come_before_everything_that_they_do_not_need():
    parts = parts_of("full", ["paper", "resnet", "small"], "torch", "programs", "kept")
    assert [part.name for part in parts[:4]] == ["rates", "cohorts", "cohorts", "cohorts"]
    assert parts[1].command[1:] == ("--network", "small", "--form", "alone", "--members", "8,35",
                                    "--dtype", "float32", "--size", "full")
    assert {part.name for part in parts} == {"rates", "cohorts", "training", "resume", "attribution", "layers"}
    assert all((gpu_process.FOLDER / part.command[0]).is_file() for part in parts)


def test_resuming_sets_the_flag_and_shares_compiled_programs_in_the_first_condition_only():
    first, second, third = [part for part in parts_of("full", ["resnet"], "torch", "programs", "kept")
                            if part.name == "resume"]
    assert first.environments[0]["JAX_COMPILATION_CACHE_DIR"] == "programs"
    assert second.environments[0]["JAX_ENABLE_COMPILATION_CACHE"] == "false"
    for with_flag in (first, second):
        assert "--xla_gpu_deterministic_ops=true" in with_flag.environments[0]["XLA_FLAGS"]
    assert "deterministic" not in third.environments[0]["XLA_FLAGS"]


def test_the_messages_need_the_standard_library_only():
    from bench import gpu_work, timed
    from tests.test_architecture import imports

    for module in (gpu_work, timed):
        named = {name.split(".")[0] for name in imports(pathlib.Path(module.__file__))}
        assert named <= sys.stdlib_module_names | {"bench"}


def without_packages(tmp_path):
    """Variables of a process in which the packages of `BLOCKING` are not there."""
    blocked = tmp_path / "blocked"
    blocked.mkdir(parents=True)
    (blocked / "sitecustomize.py").write_text(BLOCKING)
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(blocked), str(ROOT)]), "JAX_PLATFORMS": "cpu",
                         "PEERS_PYTHON": "no/such/python"}


def test_our_workers_start_without_the_packages_that_a_bare_machine_lacks(tmp_path):
    workers = sorted((ROOT / "bench" / "ours" / "gpu").glob("*.py"))
    program = "\n".join(f"import bench.ours.gpu.{path.stem}" for path in workers)
    done = subprocess.run([sys.executable, "-c", program], env=without_packages(tmp_path), capture_output=True,
                          text=True)
    assert len(workers) == 7 and done.returncode == 0, done.stderr
    done = subprocess.run([sys.executable, "-c", "import grain"], env=without_packages(tmp_path / "again"),
                          capture_output=True, text=True)
    assert "No module named 'grain'" in done.stderr


def typed(tmp_path, *arguments):
    """The script, without the packages that a bare machine lacks."""
    command = [sys.executable, "bench/gpu.py", "--size", "small", "--json", str(tmp_path / "gpu.json"), *arguments]
    return subprocess.run(command, cwd=ROOT, env=without_packages(tmp_path), capture_output=True, text=True)


@pytest.mark.slow
def test_on_a_bare_machine_everything_runs_but_what_needs_pytorch(tmp_path):
    done = typed(tmp_path, "--networks", "small", "--seconds", "3000")
    assert done.returncode == 0, done.stderr
    assert "not installed, and not needed here: tensorflow_datasets, grain, ml_collections" in done.stderr
    left_out = [line for line in done.stderr.splitlines() if line.startswith("left out: ")]
    assert left_out and all("PyTorch is not installed" in line for line in left_out)
    found = load(tmp_path / "gpu.json")
    assert {table["section"] for table in found["tables"]} == {
        "On a GPU: products of matrices", "On a GPU: cohorts", "On a GPU: training", "On a GPU: stop and resume",
        "On a GPU: attribution", "On a GPU: layers"}
    cohorts = {way["way"] for table in found["tables"] if table["section"] == "On a GPU: cohorts"
               for way in table["ways"]}
    assert cohorts == {"one after another", "grouped convolutions", "batched matrix products"}
    bits = [table for table in found["tables"] if "same bits" in table["title"]][0]
    assert [way["median"] for way in bits["ways"]] == [1.0] * 6  # a CPU gives the same bits under every condition
    assert done.stdout.rstrip().splitlines()[-1].startswith("Measured on a CPU, which decides nothing for a GPU. ")
