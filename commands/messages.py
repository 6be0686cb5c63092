"""What commands say: on the terminal at once, also where the output is piped."""

import pathlib
import shlex
import sys

from commands.folders import ROOT


def say(text: str) -> None:
    """Print a line, and do not keep it in a buffer."""
    print(text, flush=True)


def say_what_was_excluded(command: str, listed: str) -> None:
    """Say on standard error that some files were left out.

    Args:
        command: its name.
        listed: the file that lists them.
    """
    print(f"{command}: some files were excluded; see 'quarantined' in {listed}", file=sys.stderr)


def as_typed(*words) -> str:
    """A command as one would type it from here.

    Args:
        words: those after launch.py.
    """
    program = "launch.py" if pathlib.Path.cwd() == ROOT else str(ROOT / "launch.py")
    return shlex.join(["python", program, *map(str, words)])
