"""Signals that come when training is done, too late to stop it."""

import os
import signal

import pytest

from cellcycle_jax.command_line import interruption
from cellcycle_jax.training.preemption import Interruptible


@pytest.fixture
def deferring(monkeypatch):
    """As in a process of launch.py."""
    monkeypatch.setitem(interruption._state, "command", "train")
    yield
    assert not interruption.ctrl_c_is_pending()


def press_ctrl_c():
    interruption._state["pending"] = True  # as the thread does that reads signals


def test_ctrl_c_in_the_last_steps_stops_what_would_follow(deferring):
    with pytest.raises(KeyboardInterrupt), Interruptible() as stop:
        stop.progressed()
        press_ctrl_c()


def test_ctrl_c_that_stopped_training_is_not_raised_again(deferring):
    with pytest.raises(SystemExit) as left, Interruptible() as stop:
        stop.progressed()
        press_ctrl_c()
        raise SystemExit(interruption.EXIT_INTERRUPTED)
    assert left.value.code == interruption.EXIT_INTERRUPTED


def test_sigterm_in_the_last_steps_is_obeyed_when_they_are_done():
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        with Interruptible() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.asked and not received
        assert received == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_without_a_signal_nothing_is_raised(deferring):
    with Interruptible() as stop:
        stop.progressed()
    assert not stop.asked
