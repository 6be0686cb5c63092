"""Comparing ways to do the same: in turns, in one process, as tables."""

import os
import platform
import re
import time

import numpy as np


def machine(versions) -> str:
    """Kind of machine and {library: version} in words."""
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{os.cpu_count()} shared cores ({platform.machine()}, noisy), CPU time of one thread; {named}"


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


def record(text, path):
    """Put `text`, which begins with a heading, in the place of that section of the file, or at its end."""
    before = path.read_text() if path.exists() else "# Results\n"
    heading = text.split("\n", 1)[0]
    section = re.compile(rf"{re.escape(heading)}\n.*?(?=\n## |\Z)", re.DOTALL)
    text = f"{text.rstrip()}\n"
    path.write_text(section.sub(lambda _: text, before) if section.search(before) else f"{before.rstrip()}\n\n{text}")
