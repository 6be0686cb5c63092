"""The table and the files of the commands name the same."""

import ast
import pathlib

import pytest

import launch
from cellcycle_jax.errors import UsageError
from commands import next_steps, parsing
from commands.command_table import COMMANDS

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_file_that_does_it(name):
    tree = ast.parse((ROOT / "commands" / f"{name}.py").read_text())
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run_command"]
    taken = [argument.arg for argument in function.args.args]
    assert taken == (["arguments", "step"] if name in launch.MADE_OF_OTHERS else ["arguments"])
    assert ast.get_docstring(tree).startswith(f"`launch.py {name}`: ")


def test_what_is_said_of_commands_is_said_of_those_there_are():
    assert set(next_steps.NEXT) | set(launch.MADE_OF_OTHERS) <= set(COMMANDS)
    for name in COMMANDS:
        assert f"python launch.py {name} " in launch.__doc__


def test_explain_changes_its_own_section_of_the_run_s_config_and_no_other():
    words = ["explain", "--workdir=run", "--config.explain.limits.region_share=0.2"]
    assert parsing.parse(words, "").rest == words[2:]
    with pytest.raises(UsageError, match="explain takes no config; .* it can change --config.explain.FIELD"):
        parsing.parse(["explain", "--workdir=run", "--config.train.steps=3"], "")
