"""Ctrl-C ends the process at once, except inside of `deferred`, where the first one waits until state is saved.

A KeyboardInterrupt of Python waits until the code that is running comes back to Python, which a compilation does not
for seconds; and an import or a library may swallow it. So a thread of its own reads the signals. Ending at once is
safe: files are written completely or not at all, and a lock of a process that is gone is taken over.
"""

import contextlib
import os
import signal
import sys
import threading

EXIT_INTERRUPTED = 130
_state = {"command": "", "deferred": False, "pending": False}


def end_at_once(command: str) -> None:
    """From now on Ctrl-C ends this process with code 130 and one line; for the main thread of a command.

    Args:
        command: what the line begins with.
    """
    _state["command"] = command
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.signal(signal.SIGINT, lambda *_: None)  # the thread does the rest
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(readable,), name="Ctrl-C", daemon=True).start()


def finish() -> None:
    """Ignore Ctrl-C from now on: all is written, and the process is about to end with its exit code.

    While Python shuts down, which takes a second with JAX, it has the default handler of the signal again, and Ctrl-C
    would kill a command that is done, without a message.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _listen(readable):
    while signal_number := os.read(readable, 1):
        if signal_number[0] != signal.SIGINT:
            continue
        if _state["deferred"] and not _state["pending"]:
            _state["pending"] = True
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
def deferred():
    """Defer the first Ctrl-C: the block has to look at `ctrl_c_is_pending`. A second one ends the process at once."""
    _state.update(deferred=True, pending=False)
    try:
        yield
    finally:
        _state.update(deferred=False, pending=False)


def ctrl_c_is_pending() -> bool:
    """Whether Ctrl-C was pressed inside of `deferred`."""
    return _state["pending"]


def is_listening() -> bool:
    """Whether `end_at_once` was called, so that no KeyboardInterrupt will be raised."""
    return bool(_state["command"])
