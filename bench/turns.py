"""Comparing ways to do the same, in turns in one process.

Ways that need several Python environments are compared in `workers.py`.
"""

import time


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
