"""How fast work is done, in rounds. Standard library only: workers of several Python environments use it."""

import time

MOST_TRIES = 5
FASTEST_GROWTH = 100  # of the units from one try to the next
SHORTEST_S = 1e-6  # what a clock may say of work that takes no time


def units_for(run, seconds: float) -> int:
    """Units of work that take about so long.

    The first are no measure: some work is slow only at the start of a call.

    Args:
        run: units -> seconds in which they were done.
        seconds: that the units should take.
    """
    units = 1
    for _ in range(MOST_TRIES):
        elapsed = max(run(units), SHORTEST_S)
        wanted = max(1, round(units * seconds / elapsed))
        if elapsed > seconds / 2:
            return wanted
        units = min(FASTEST_GROWTH * units, wanted)
    return units


def rates_of(work, rounds: int, seconds: float) -> list[float]:
    """Units of work done per second, one number a round.

    Args:
        work: does so many units, 1 or more, and returns when the device is done; the first call compiles and is not
            counted.
        rounds: that count.
        seconds: that a round should take.
    """
    work(1)

    def run(units):
        start = time.perf_counter()
        work(units)
        return time.perf_counter() - start

    units = units_for(run, seconds)
    return [units / max(run(units), SHORTEST_S) for _ in range(rounds)]
