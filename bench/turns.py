"""Comparing ways to do the same: in turns in one process, and what all comparisons are written down with.

Ways that need several Python environments are compared in `workers.py`.
"""

import argparse
import os
import pathlib
import platform
import re
import subprocess
import sys
import time

import numpy as np

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")


def machine(versions, timed="CPU time of one thread") -> str:
    """Kind of machine, what was timed, and {library: version} in words."""
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    cores = f"{os.cpu_count()} shared cores ({platform.machine()}, noisy)"
    return ", ".join([cores, *accelerators(), timed]) + f"; {named}"


def accelerators() -> list[str]:
    """Names of the machine's NVIDIA GPUs, without loading a library that would take their memory."""
    try:
        asked = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True,
                               text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return asked.stdout.split("\n")[:-1]


def on_gpu() -> bool:
    """Whether the machine has a GPU that is not hidden from the workers."""
    return bool(accelerators()) and os.environ.get("CUDA_VISIBLE_DEVICES") != ""


def in_turns(ways, inputs, rounds):
    """CPU seconds of each way, {name: [rounds]}, a round being all `inputs`; the first round is not counted."""
    seconds = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            start = time.process_time()
            for given in inputs:
                way(*given)
            if number:
                seconds[name].append(time.process_time() - start)
    return seconds


def table(head, rows):
    """A Markdown table."""
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, ["---"] * len(head), *rows]) + "\n\n"


def times(seconds, per, unit):
    """Rows of a table of times: the first of `seconds` is what the others are compared with."""
    first = np.array(next(iter(seconds.values())))
    rows = [(name, f"{1e3 * np.median(s) / per:.3g}", f"{np.median(first / s):.1f}") for name, s in seconds.items()]
    return table(("way", f"ms per {unit}", "times as fast"), rows)


def speeds(results, unit: str, first: str | None = None, more=None) -> str:
    """The table of a comparison; below it, what was left out and why.

    Args:
        results: of `workers.compare`.
        unit: what the items are, e.g. 'crops'.
        first: the way that the others are compared with; by default the first that ran.
        more: further columns {head: {way: text}}.
    """
    more = more or {}
    names = list(results.rates)
    first = first if first in results.rates else next(iter(names), None)
    rows = []
    for name in names:
        rate, ratio = results.rates[name], results.ratios(name, first)
        rows.append((name, results.info[name].get("device", ""), _rate(np.median(rate)),
                     f"{_rate(min(rate))} to {_rate(max(rate))}", f"{np.median(ratio):.2f}",
                     f"{min(ratio):.2f} to {max(ratio):.2f}", *(column.get(name, "") for column in more.values()),
                     f"{results.ready_s[name]:.1f}"))
    head = ("way", "on", f"{unit}/s", "over the rounds", f"times {first}", "over the rounds", *more, "s to ready")
    return (table(head, rows) if rows else "") + missing(results.left_out)


def _rate(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def missing(left_out: dict[str, str]) -> str:
    """What was left out of a table, a line each."""
    return "".join(f"Left out: {name} ({reason}).\n" for name, reason in left_out.items()) + ("\n" if left_out else "")


def arguments(docstring, rounds=5):
    """A parser with what every script takes: `--rounds` and `--record`."""
    parser = argparse.ArgumentParser(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--record", action="store_true", help="put the tables into bench/RESULTS.md")
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


def publish(title, versions, body, recorded):
    """Print a section: the command that made it, the machine, wall-clock tables; put it into RESULTS.md if asked to."""
    command = " ".join(["python", f"bench/{pathlib.Path(sys.argv[0]).name}",
                        *(given for given in sys.argv[1:] if given != "--record")])
    text = f"## {title}\n\n`{command}` on {machine(versions, 'wall-clock time')}.\n\n{body}"
    print(text)
    if recorded:
        record(text, RESULTS)


def record(text, path):
    """Put `text`, which begins with a heading, in the place of that section of the file, or at its end."""
    before = path.read_text() if path.exists() else "# Results\n"
    heading = text.split("\n", 1)[0]
    section = re.compile(rf"{re.escape(heading)}\n.*?(?=\n## |\Z)", re.DOTALL)
    text = f"{text.rstrip()}\n"
    path.write_text(section.sub(lambda _: text, before) if section.search(before) else f"{before.rstrip()}\n\n{text}")
