"""What the command lines of the scripts have in common."""

import argparse
import os
import pathlib


def script_parser(docstring: str, rounds: int | None = 5) -> argparse.ArgumentParser:
    """A parser with what every script takes: `--record`, `--json` and, unless `rounds` is None, `--rounds`."""
    parser = argparse.ArgumentParser(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)
    if rounds is not None:
        parser.add_argument("--rounds", type=_count, default=rounds)
    parser.add_argument(
        "--record",
        action="store_true",
        help="put the tables into bench/RESULTS.md and their values into bench/results/NAME.json",
    )
    parser.add_argument("--json", type=_file, metavar="FILE.json", help="write the values there, as well or instead")
    return parser


def listed(allowed):
    """A type for an argument: names out of `allowed`, separated by commas."""

    def parse(text):
        names = text.split(",")
        if unknown := set(names) - set(allowed):
            raise argparse.ArgumentTypeError(f"found {', '.join(sorted(unknown))}; allowed are {', '.join(allowed)}")
        return names

    return parse


def numbers(text: str) -> list[int]:
    """A type for an argument: whole numbers, separated by commas."""
    return [int(number) for number in text.split(",")]


def in_words(script: str, arguments) -> str:
    """A command as others would type it: without where its results went, and without names of folders."""
    words = ["python", f"bench/{pathlib.Path(script).name}", *without_destination(arguments)]
    return " ".join(words)


def without_destination(arguments) -> list[str]:
    """Arguments less `--record` and `--json FILE`; a path of several folders becomes DIR, since it names a machine."""
    kept = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--json":
            next(rest, None)
        elif argument != "--record" and not argument.startswith("--json="):
            name, equals, value = argument.rpartition("=")
            kept.append(f"{name}{equals}DIR" if os.sep in value else argument)
    return kept


def _count(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"found {number}; allowed is 1 or more")
    return number


def _file(text):
    path = pathlib.Path(text)
    if path.suffix != ".json" or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"found {text}; allowed is NAME.json in a folder that is there")
    return path
