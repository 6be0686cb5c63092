"""The files in cloud/ and the commands in docs/cloud.md, as far as they can be checked without a cloud."""

import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from commands import parsing
from commands.command_table import COMMANDS
from configs import base
from configs.load import load

ROOT = pathlib.Path(__file__).parents[2]
CLOUD = ROOT / "cloud"
SKY = sorted(CLOUD.glob("*.sky.yaml"))
SBATCH = sorted(CLOUD.glob("*.sbatch"))
DOCKERFILE = CLOUD / "Dockerfile"
SCHEDULERS = ("SKYPILOT_NODE_IPS", "SKYPILOT_NUM_NODES", "SKYPILOT_NODE_RANK", "SLURM_ARRAY_TASK_ID",
              "SLURM_GPUS_ON_NODE", "PYTHON", "ACCELERATOR", "@")


def names(paths):
    return [path.name for path in paths]


def joined(text):
    """Lines of a shell script without comments, continued ones as one."""
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if not line.lstrip().startswith("#")]


def our_commands(text):
    """Arguments of each launch.py command; what the shell would put in counts as a word."""
    found = []
    for line in joined(text):
        line = re.sub(r"\$\([^)]*\)", "1", line)
        line = re.sub(r"\$\{?\w+(:?-)?\w*\}?", "1", line).replace('"$@"', "--config=configs/default.py")
        if match := re.search(r"launch\.py (\w+ .*)", line):
            found.append(shlex.split(match[1].split(" | ")[0]))
    return found


def check(arguments):
    """That launch.py's parser takes these arguments, and that the config files and fields they name exist."""
    arguments = [a for a in arguments if a not in ("...", "[...]")]
    parsed, rest = parsing.parser("").parse_known_args(arguments)
    assert all(argument.startswith("--config.") for argument in rest), rest
    config = getattr(parsed, "config", None)
    if config and config != "1":
        assert (ROOT / config).is_file(), config
        if parsed.command != "sweep":
            load(ROOT / config, rest, COMMANDS[parsed.command].config)
    return parsed


def test_there_is_something_to_check():
    assert names(SKY) == ["sweep.sky.yaml", "train.sky.yaml"] and names(SBATCH) == ["sweep.sbatch", "train.sbatch"]


@pytest.mark.parametrize("path", SKY, ids=names(SKY))
def test_a_sky_file_runs_what_there_is(path):
    task = yaml.safe_load(path.read_text())
    (arguments,) = our_commands(task["run"])
    parsed = check(arguments)
    assert parsed.command == path.name.split(".")[0] and parsed.require_accelerator == "gpu"
    recovery = task["resources"]["job_recovery"]
    assert recovery["recover_on_exit_codes"] == [75] and task["resources"]["use_spot"]
    used = set(re.findall(r"\$\{?(\w+)", task["run"] + str(task["file_mounts"])))
    assert used <= {*task["envs"], *SCHEDULERS}, used
    assert {name for name, value in task["envs"].items() if value is None} <= used  # none is asked for in vain
    constraints, = re.findall(r"-c (\S+)", task["setup"])
    assert (ROOT / constraints).is_file()


@pytest.mark.parametrize("path", SBATCH, ids=names(SBATCH))
def test_a_slurm_script_runs_what_there_is(path):
    text = path.read_text()
    assert subprocess.run(["bash", "-n", path]).returncode == 0
    (arguments,) = our_commands(text)
    if path.name == "sweep.sbatch":
        arguments[-1] = "--config=experiments/channels.py"
    assert check(arguments).command == path.stem
    options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", text, re.MULTILINE))
    assert options["signal"] == "TERM@120" and options["open-mode"] == "append" and "requeue" in options
    command = next(line for line in joined(text) if "launch.py" in line)
    assert command.startswith("srun ")  # a signal of Slurm goes to what srun starts, not to the shell
    used = set(re.findall(r"\$\{?(@|\w+)", "\n".join(joined(text))))
    assert used <= {"DATA", "RUN", "SWEEP", *SCHEDULERS}, used


def test_the_container_file_copies_what_is_there_and_is_sent():
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = []
    for line in joined(DOCKERFILE.read_text()):
        if line.startswith("COPY "):
            copied += [word for word in line.split()[1:-1] if not word.startswith("--")]
    assert {"launch.py", "cellcycle_jax", "data_prep", "commands", "configs"} <= set(copied)
    for path in [*copied, *sent]:
        assert (ROOT / path).exists(), path
    assert {path.split("/")[0] for path in copied} == set(sent)
    for constraints in re.findall(r"-c (constraints/\S+)", DOCKERFILE.read_text()):
        assert constraints in copied


def test_the_container_runs_our_commands_as_a_user_of_its_own_and_without_tensorflow():
    lines = joined(DOCKERFILE.read_text())
    assert 'ENTRYPOINT ["python", "launch.py"]' in lines and "USER 1000" in lines
    assert not any("tensorflow" in line.lower() for line in lines)
    assert next(line for line in lines if line.startswith("FROM")).startswith("FROM python:3.12")  # as its constraints
    assert "py312" in DOCKERFILE.read_text()


def test_what_is_installed_is_pinned():
    """Each requirement stands in the constraints of every target."""
    wanted = {re.match(r"[\w-]+", line)[0].replace("_", "-").lower()
              for line in (ROOT / "requirements.txt").read_text().splitlines() if line[:1].isalpha()}
    for path in sorted((ROOT / "constraints").glob("*.txt")):
        pinned = {line.split("==")[0] for line in path.read_text().splitlines()}
        assert wanted <= pinned, (path.name, wanted - pinned)


def commands_of_the_page():
    text = (ROOT / "docs" / "cloud.md").read_text()
    indented = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    through = re.sub(r"docker run .* cellcycle_jax (?=\w)", "launch.py ", indented)
    return our_commands(through)


def test_every_command_of_the_page_can_be_given():
    found = commands_of_the_page()
    assert len(found) >= 6 and {arguments[0] for arguments in found} == {"train", "sweep"}
    for arguments in found:
        check(arguments)


def test_every_file_and_config_field_of_the_page_exists():
    text = (ROOT / "docs" / "cloud.md").read_text()
    for path in re.findall(r"\b((?:cloud|tests|configs|experiments|constraints)/[\w./-]*\w)", text):
        assert (ROOT / path).exists(), path
    for option in re.findall(r"`(--config\.\S+)`", text):
        load(ROOT / "configs/default.py", [option], base.training)
    for variable in re.findall(r"--env (\w+)=", text):
        assert any(variable in yaml.safe_load(path.read_text())["envs"] for path in SKY), variable


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_the_script_that_tries_slurm_is_a_script():
    assert subprocess.run(["bash", "-n", ROOT / "tests" / "slurm.sh"]).returncode == 0
