"""A pass over data sets says what could not be made, and goes on after an interruption."""

from cellcycle_jax import processes
from experiments import long_pass
from experiments.unnamed_data import Case

CASES = [Case("nuclear side", 0.4, False, 600, seed) for seed in range(3)]


def found(case, out):
    """A module's function, as a worker has to find it."""
    return long_pass.found_or_refused(_examine, case, out)


def _examine(case, out):
    print("not to be seen")
    if case.seed == 1:
        raise ValueError("no cell")
    return {"case": vars(case), "seen": case.seed}


def test_what_cannot_be_made_is_written_down_and_the_rest_goes_on(tmp_path, capsys):
    raw = tmp_path / "found.jsonl"
    long_pass.append(found, CASES, raw, tmp_path, processes.Team(1))
    rows = {row["case"]["seed"]: row for row in long_pass.stored(raw)}
    assert rows[0]["seen"] == 0 and rows[2]["seen"] == 2
    assert rows[1]["refused"] == "ValueError: no cell"
    assert "not to be seen" not in capsys.readouterr().out


def test_only_what_is_not_there_is_made(tmp_path):
    raw = tmp_path / "found.jsonl"
    assert long_pass.to_do(CASES, raw) == CASES
    long_pass.append(found, CASES[:2], raw, tmp_path, processes.Team(1))
    assert long_pass.to_do(CASES, raw) == CASES[2:]
