"""Which runs of a study train together, and what is refused before any of them does."""

import pathlib

import pytest

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays, model_input
from cellcycle_jax.errors import UsageError
from cellcycle_jax.runs import config_checks
from cellcycle_jax.studies import sweep_plan
from cellcycle_jax.training import cohort, loop
from configs.load import load_study
from tests import tiny
from tests.study_runs import command, write_study

ROOT = pathlib.Path(__file__).parents[2]


def test_the_command_line_narrows_but_does_not_change_what_the_study_sets(study_path, study_data, tmp_path):
    chosen = load_study(ROOT / "experiments/channels.py", ["--config.data.channels=Golgi"])
    plan = sweep_plan.make_plan(chosen, study_data, tmp_path)
    assert [m.name for m in plan.members] == ["Golgi_seed0", "Golgi_seed1", "Golgi_seed2"]
    with pytest.raises(UsageError, match="--config.seed: .* sets this field itself"):
        sweep_plan.make_plan(load_study(study_path, ["--config.seed=5"]), study_data, tmp_path)


def test_what_cannot_be_one_program_is_several(study_path, study_data, tmp_path):
    body = ("return [{'model.filters': filters, 'seed': seed} for filters in (4, 5) for seed in (0, 1)] + "
            "[{'model.depth': 0}]")
    plan = sweep_plan.make_plan(load_study(write_study(tmp_path, body)), study_data, tmp_path)
    assert list(plan.records) == ["filters=4_seed0", "filters=4_seed1", "filters=5_seed0", "filters=5_seed1", "depth=0"]
    found = sweep_plan.programs(plan, dict.fromkeys(plan.records, ("not begun", 0)))
    assert [names for _, names in found] == [["filters=4_seed0", "filters=4_seed1"],
                                             ["filters=5_seed0", "filters=5_seed1"], ["depth=0"]]
    assert [folder is None for folder, _ in found] == [False, False, True]
    begun = {**dict.fromkeys(plan.records, ("not begun", 0)), "filters=4_seed0": ("begun", 4),
             "filters=5_seed0": ("finished", 12)}
    assert [names for _, names in sweep_plan.programs(plan, begun)] == [
        ["filters=4_seed0"], ["filters=4_seed1"], ["filters=5_seed1"], ["depth=0"]]
    assert sweep_plan.listing(plan, 1).endswith("5 runs, trained as 3 programs")
    found = sweep_plan.programs(plan, dict.fromkeys(plan.records, ("not begun", 0)), joins=False)
    assert found == [(None, [name]) for name in plan.records]
    assert sweep_plan.listing(plan, 2).endswith("5 runs, trained by 2 processes, one after another in each")


def test_channels_in_another_order_are_a_program_of_their_own(study_data, tmp_path):
    body = ("return [{'data.channels': chosen, 'seed': seed} for chosen in (('Golgi', 'DNA'), ('DNA',), "
            "('DNA', 'Golgi')) for seed in (0, 1)]")
    plan = sweep_plan.make_plan(load_study(write_study(tmp_path, body)), study_data, tmp_path)
    found = [names for _, names in sweep_plan.programs(plan, dict.fromkeys(plan.records, ("not begun", 0)))]
    assert found == [["Golgi+DNA_seed0", "Golgi+DNA_seed1"],
                     ["DNA_seed0", "DNA_seed1", "DNA+Golgi_seed0", "DNA+Golgi_seed1"]]
    splits = [crop_arrays.load_crops(study_data, split) for split in ("train", "validation")]
    configs = {member.name: member.config for member in plan.members}
    shown = [cohort.all_channels([cohort.make_member(n, configs[n], *splits) for n in names], tiny.CHANNELS)
             for names in found]
    assert shown == [("Golgi", "DNA"), ("DNA", "Golgi")]
    assert sweep_plan.listing(plan, 1).endswith("6 runs, trained as 2 programs")


def test_what_a_late_program_cannot_do_is_refused_before_the_first(study_data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(loop, "_train", lambda *_: pytest.fail("trained"))
    body = ("return [{'seed': 0}, {'seed': 1}] + [{'data.placement': 'host', 'seed': seed} for seed in (0, 1)]")
    flags = [f"--config={write_study(tmp_path, body)}", f"--data={study_data}", f"--workdir={tmp_path}/out"]
    code, said = command(capsys, *flags)
    assert code == 2 and len(said.err.strip().splitlines()) == 1 and "placement='host': 2 runs" in said.err
    assert "--index" in said.err and command(capsys, *flags, "--list")[0] == 0
    body = "return [{'data.mask': mask} for mask in ('none', 'own')]"
    monkeypatch.setitem(model_input.MASKS, "own", schema.Compartment(4))  # crops of tests do not know it
    monkeypatch.setattr(config_checks, "ALLOWED", [one for one in config_checks.ALLOWED if one[0] != "data.mask"])
    code, said = command(capsys, f"--config={write_study(tmp_path, body)}", *flags[1:])
    assert code == 3 and "data.mask='own'" in said.err


@pytest.mark.parametrize("name, contents", [
    ("cohorts/6_runs/cohort.json", ('{"members": {', "[]", '{"members": [], "run_id": ""}')),
    ("runs/DNA_seed0/diverged.json", ("", "[]", '{"step": null}')),
])
@pytest.mark.parametrize("more", [[], ["--list"]])
def test_a_damaged_record_below_a_study_is_refused(study_path, study_data, tmp_path, capsys, name, contents, more):
    (tmp_path / name).parent.mkdir(parents=True)
    for content in contents:
        (tmp_path / name).write_text(content)
        code, said = command(capsys, f"--config={study_path}", f"--data={study_data}", f"--workdir={tmp_path}", *more)
        assert code == 5 and f"{name}: damaged" in said.err and len(said.err.strip().splitlines()) == 1
        assert ("remove" in said.err or "--workdir" in said.err) and not (tmp_path / ".lock").exists()
