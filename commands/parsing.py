"""Words of the command line -> arguments, their config read; what is mistyped is refused, the nearest one named."""

import argparse
import importlib.metadata
import platform

from cellcycle_jax.command_line import terminal
from cellcycle_jax.errors import UsageError
from commands.command_table import COMMANDS
from commands.folders import beside_launch
from configs.load import load, load_study

CONFIG_NOTE = "Config fields: --config.path.to.field=value; all are listed in configs/base.py."
SECTION_NOTE = "Config fields, for this call: --config.{section}.FIELD=value; configs/base.py lists them."
PACKAGES = ("cellcycle_jax", "jax", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")


def parse(words: list[str], description: str) -> argparse.Namespace:
    """What was typed, its config read.

    Args:
        words: those after launch.py.
        description: what --help says of the program.

    Returns:
        command, a value for each flag of the command, debug, and rest, the words that change config fields. Where the
        command has a config: config, the config itself, config_file, its file, and changed, the names of the fields
        that were changed. For `sweep`: study.

    Raises:
        UsageError: a mistyped command, flag, config file or config field, or a flag that is missing.
    """
    _refuse_unknown_command(words)
    _refuse_empty(words)
    for flag in ("out", "workdir"):
        _refuse_undecoded(flag, value_of(words, flag))
    arguments, rest = parser(description).parse_known_args(words)
    _require_command_first(words, arguments.command)
    _refuse_unknown(arguments.command, rest)
    _require_flags(arguments)
    arguments.rest = rest
    _read_config(arguments)
    return arguments


def value_of(words: list[str], flag: str) -> str:
    """What was typed behind a flag, "" where it was not given."""
    value = ""
    for word in words:
        if word.startswith(f"--{flag}="):
            value = word.partition("=")[2]
    return value


def parser(description: str) -> argparse.ArgumentParser:
    """The parser of all commands and their flags.

    Args:
        description: what --help says of the program.
    """
    whole = _Parser(
        prog="launch.py",
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action=_Version)
    subparsers = whole.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        note = CONFIG_NOTE if "config" in command.flags else ""
        if command.section:
            note = SECTION_NOTE.format(section=command.section)
        own = subparsers.add_parser(name, help=command.help, description=command.help, epilog=note, allow_abbrev=False)
        for flag_name, flag in command.flags.items():
            _add_flag(own, flag_name, flag)
        own.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return whole


def _add_flag(own, name, flag):
    """Add a flag to the parser of one command."""
    if flag.default is False:
        own.add_argument(f"--{name}", action="store_true", help=flag.help)
        return
    kind = int if isinstance(flag.default, int) else str
    shown = ""
    if flag.default is None:
        shown = " (required)"
    elif flag.default and kind is str:
        shown = f" (default {flag.default})"
    own.add_argument(f"--{name}", type=kind, default=flag.default, help=flag.help + shown)


class _Parser(argparse.ArgumentParser):
    """Mistakes become one line with the documented code, as everywhere else."""

    def error(self, message):
        raise UsageError(f"{message}; see --help")


class _Version(argparse.Action):
    """Print the versions that matter, and end."""

    def __init__(self, option_strings, dest, **_):
        super().__init__(option_strings, dest, nargs=0, help="versions of this program and of what it stands on")

    def __call__(self, parser, *_):
        """Act as argparse wants it."""
        found = []
        for package in PACKAGES:
            try:
                found.append(f"{package} {importlib.metadata.version(package)}")
            except importlib.metadata.PackageNotFoundError:
                found.append(f"{package} (not installed)")
        print(f"{', '.join(found)}, Python {platform.python_version()}")
        parser.exit()


def _refuse_unknown_command(words):
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        near = terminal.nearest(words[0], COMMANDS)
        raise UsageError(f"no such command{near}; allowed: {', '.join(COMMANDS)}")


def _refuse_empty(words):
    """Refuse --flag= with nothing behind it; a config field may be set to nothing."""
    for word in words:
        is_flag = word.startswith("--") and not word.startswith("--config.")
        if is_flag and word.endswith("=") and word.count("=") == 1:
            raise UsageError(f"{word} is empty; write a value behind it (is a shell variable unset?), or leave it out")


def _refuse_undecoded(flag, path):
    """Refuse an output of which a byte is no UTF-8: its name is written into files that are."""
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode("utf-8", "backslashreplace").decode()
        raise UsageError(f"--{flag}={shown}: the name is no UTF-8; give the folder another one") from None


def _require_command_first(words, command):
    """Refuse flags before the command, and words without a command."""
    flag_first = bool(words) and words[0].startswith("-")
    if flag_first and command:
        raise UsageError(f"{words[0]}: flags stand behind the command: launch.py {command} {words[0]}")
    if flag_first:
        near = terminal.nearest(words[0][2:], ("version", "help"), "--")
        raise UsageError(f"{words[0]}: no such flag{near}; name a command first: {', '.join(COMMANDS)}")
    if not command:
        raise UsageError(f"name a command: {', '.join(COMMANDS)}; --help explains them")


def _refuse_unknown(command, rest):
    """Refuse what is no flag of the command, and config fields of a command that has none."""
    flags = COMMANDS[command].flags
    section = COMMANDS[command].section
    for word in rest:
        name = word.split("=")[0]
        if name.startswith("--config.") and "config" in flags:
            continue
        if section and name.startswith(f"--config.{section}."):
            continue
        if name.startswith("--config"):
            why = "it has configs of its own" if command == "demo" else "it works with that of the run"
            if section:
                why += f", of which it can change --config.{section}.FIELD"
            raise UsageError(f"{name}: {command} takes no config; {why}")
        if not name.startswith("--"):
            raise UsageError(f"{word}: {command} takes no such argument; flags are written --name=value")
        near = terminal.nearest(name[2:], flags, "--")
        raise UsageError(f"{word}: {command} takes no such flag{near}; see {command} --help")


def _require_flags(arguments):
    missing = []
    for name, flag in COMMANDS[arguments.command].flags.items():
        if flag.default is None and not getattr(arguments, name):
            missing.append(f"--{name}")
    if missing:
        raise UsageError(f"{' and '.join(missing)} must be given; see {arguments.command} --help")


def _read_config(arguments):
    """Put the config, or the study, in the place of the name of its file."""
    command = COMMANDS[arguments.command]
    if arguments.command == "sweep":
        arguments.study = load_study(beside_launch(arguments.config), arguments.rest)
    elif command.config:
        arguments.changed = [word.removeprefix("--config.").split("=")[0] for word in arguments.rest]
        arguments.config_file = arguments.config
        arguments.config = load(beside_launch(arguments.config_file), arguments.rest, command.config)
