"""Rates in rounds, by a clock that the tests set."""

import pytest

from bench import timed


@pytest.fixture
def clock(monkeypatch):
    """A clock that only `pass_` moves."""

    class Clock:
        now = 0.0
        calls = []

        def pass_(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(timed.time, "perf_counter", lambda: clock.now)
    return clock


def test_rates_are_units_per_second_and_the_first_call_does_not_count(clock):
    asked = []

    def work(units):
        asked.append(units)
        clock.pass_(100.0 if len(asked) == 1 else 0.5 * units)

    assert timed.rates_of(work, rounds=3, seconds=4.0) == [2.0, 2.0, 2.0]
    assert asked[-3:] == [8, 8, 8]


def test_slow_work_is_done_once_a_round():
    assert timed.units_for(lambda units: 10.0 * units, seconds=1.0) == 1


def test_work_that_takes_no_time_ends_with_a_number_of_units():
    assert timed.units_for(lambda units: 0.0, seconds=1.0) == timed.FASTEST_GROWTH**timed.MOST_TRIES
