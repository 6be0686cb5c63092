"""Commands as a user types them, and commands that do nothing but leave the file that shows their work."""

import pathlib

import launch
from commands.run import MADE

ROOT = pathlib.Path(__file__).parents[1]
CONFIG = """from configs import base

def get_config():
    c = base.{}()
    {}
    return c
"""


def typed(capsys, *words):
    """The exit code of a command, and what it printed."""
    try:
        code = launch.main(list(words))
    except SystemExit as stop:
        code = stop.code
    return code, capsys.readouterr()


def write_all(folder, names):
    """Files of these names in a folder, each with an empty dict."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")


def commands_that_do_nothing(monkeypatch, code=lambda command: 0):
    """The commands that are given, in a list; each leaves the file that shows its work and returns `code(command)`.

    `run` and `demo` are what they are, and give such commands.
    """
    done = []
    really = launch.run_command

    def pretend(arguments):
        command = arguments.command
        if command in launch.MADE_OF_OTHERS:
            return really(arguments)
        done.append(command)
        if command in MADE:
            folder = pathlib.Path(vars(arguments).get("workdir") or arguments.out)
            made = folder / pathlib.Path(*pathlib.Path(MADE[command]).parts[1:])
            made.parent.mkdir(parents=True, exist_ok=True)
            made.touch()
        return code(command)

    monkeypatch.setattr(launch, "run_command", pretend)
    monkeypatch.chdir(ROOT)
    return done
