"""Ctrl-C: what is running ends at once, unless it says that it has something to save first.

A signal that Python turns into an exception waits until the code that is running comes back to Python, which a
compilation does not for seconds; and an import or a library may swallow it. So a thread of its own hears of it. Ending
at once is safe: whatever is written is whole or absent, and a lock of a process that is gone is taken over.
"""

import contextlib
import os
import signal
import sys
import threading

EXIT_INTERRUPTED = 130
_state = {"command": "", "held": False, "heard": False}


def end_at_once(command: str) -> None:
    """From now on Ctrl-C ends this process with code 130 and one line; for the main thread of a command.

    Args:
        command: what the line begins with.
    """
    _state["command"] = command
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.signal(signal.SIGINT, lambda *_: None)  # what follows is up to the thread
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(readable,), name="Ctrl-C", daemon=True).start()


def finish() -> None:
    """From now on Ctrl-C changes nothing: all is written, and the process is about to end with the code that it has.

    Python gives a signal back its first meaning while it takes itself down, which JAX makes a second long: Ctrl-C would
    then kill a command that is done, without a word.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _listen(readable):
    while heard := os.read(readable, 1):
        if heard[0] != signal.SIGINT:
            continue
        if _state["held"] and not _state["heard"]:
            _state["heard"] = True
        else:
            _end()


def _end():
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    # Not by print: another thread may hold the lock of the stream, for ever.
    line = f"\n{_state['command']}: stopped by Ctrl-C; run the same command again\n"
    with contextlib.suppress(Exception):  # nobody may read it: Ctrl-C ends what the command is piped to as well
        os.write(sys.__stderr__.fileno(), line.encode())
    os._exit(EXIT_INTERRUPTED)


@contextlib.contextmanager
def held():
    """While this holds, the first Ctrl-C is only noted, for `heard`; a second one ends the process all the same."""
    _state.update(held=True, heard=False)
    try:
        yield
    finally:
        _state.update(held=False, heard=False)


def heard() -> bool:
    """Whether Ctrl-C was pressed while held."""
    return _state["heard"]


def listens() -> bool:
    """Whether `end_at_once` was called, so that no KeyboardInterrupt will be raised."""
    return bool(_state["command"])
