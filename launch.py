"""Command line of cellcycle_jax: what is typed goes to the function that does it, and comes back as an exit code.

    python launch.py demo     --out=runs/demo
    python launch.py run      --config=configs/data/NAME.py --fields=DIR --out=DIR
    python launch.py simulate --config=configs/simulate.py --out=DIR
    python launch.py prepare  --config=configs/data/simulated.py --fields=DIR --out=DIR
    python launch.py train    --config=configs/default.py --data=DIR --workdir=RUN
    python launch.py evaluate --workdir=RUN [--final]
    python launch.py explain  --workdir=RUN
    python launch.py discover --workdir=RUN
    python launch.py unnamed  --workdir=RUN
    python launch.py counterfactual --workdir=RUN
    python launch.py report   --workdir=RUN
    python launch.py predict  --workdir=RUN --fields=DIR --out=DIR
    python launch.py sweep    --config=experiments/NAME.py --data=DIR --workdir=DIR [--list | --index=7 | --final]
    python launch.py --version

A config field is changed on the command line by its path, e.g. --config.train.steps=200. The config file is a Python
file and is run: name only files that you trust. Exit codes: 0 done, 1 our bug, 2 usage or config, 3 input data refused,
4 some inputs excluded, 5 checkpoint or data set refused, 6 non-finite loss, 7 resources, 75 stopped and saved,
130 stopped by Ctrl-C.
"""

import importlib
import sys
import traceback

from cellcycle_jax.command_line import interruption

if __name__ == "__main__":  # before the imports below, which take a while
    interruption.end_at_once(next((word for word in sys.argv[1:] if not word.startswith("-")), "launch.py"))

from cellcycle_jax.command_line import failures, terminal  # noqa: E402
from cellcycle_jax.errors import EXIT_QUARANTINED  # noqa: E402
from commands import messages, next_steps, parsing  # noqa: E402

if __name__ == "__main__":
    terminal.outlive_readers()

MADE_OF_OTHERS = ("run", "demo")  # commands that do others, one after another


def main(argv=None, hint: bool = True) -> int:
    """Parse the command line, run one command, return the exit code.

    Args:
        argv: the words after launch.py; None: those that were typed.
        hint: whether to say at the end what to type next.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command = words[0] if words else ""
    try:
        arguments = parsing.parse(words, __doc__)
        with terminal.collected_warnings():
            code = run_command(arguments)
        if hint and code in (0, EXIT_QUARANTINED):
            next_steps.say_next(arguments)
        return code
    except KeyboardInterrupt:
        print(f"{command}: stopped by Ctrl-C; run the same command again", file=sys.stderr)
        return interruption.EXIT_INTERRUPTED
    except Exception as error:
        output = parsing.value_of(words, "out") or parsing.value_of(words, "workdir")
        explained = failures.explained(error, output)
        if explained is None:
            raise
        if "--debug" in words:
            traceback.print_exc()
        terminal.end_line(error)
        print(f"{command or 'launch.py'}: {explained}", file=sys.stderr)
        return explained.exit_code


def run_command(arguments) -> int:
    """Import the file of the command, which may take seconds, and hand over to it.

    Args:
        arguments: what was typed, as `parsing.parse` returns it.

    Returns:
        The exit code.
    """
    command = importlib.import_module(f"commands.{arguments.command}")
    if arguments.command in MADE_OF_OTHERS:
        code = command.run_command(arguments, _step)
    else:
        code = command.run_command(arguments)
    return code or 0


def _step(words) -> int:
    """One command of several, as if it had been typed."""
    messages.say(f"\n$ {messages.as_typed(*words)}")
    return main(words, hint=False)


if __name__ == "__main__":
    try:
        exit_code = main()
    finally:
        interruption.finish()
    sys.exit(exit_code)
