"""One part of bench/gpu.py as a process: what it tells, until it ends or its time is over."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading

from bench.protocol import MARK

FOLDER = pathlib.Path(__file__).parent
UNKNOWN_FLAG = "Unknown flag"  # what XLA says before it ends the process
LAST_OUTPUT_S = 5  # that output may take to arrive after the process has ended
LONGEST_REASON = 300  # characters


def measure(part, limit: float) -> tuple[list[dict], str]:
    """Run a part.

    Args:
        part: of `gpu_parts.Part`.
        limit: s, after which it is ended.

    Returns:
        Its messages, and why it did not come to its end, in one line; '' where it did.
    """
    for environment in part.environments:
        messages, failure = _run([part.python, str(FOLDER / part.command[0]), *part.command[1:]], environment, limit)
        if UNKNOWN_FLAG not in failure:
            break
    return messages, failure


def _run(command, environment, limit):
    messages = []
    others = []
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **environment},
        start_new_session=True,  # so that what it starts ends with it
    )

    def read():
        for line in process.stdout:
            if line.startswith(MARK):
                with contextlib.suppress(ValueError):  # half a line of a process that was ended
                    messages.append(json.loads(line.removeprefix(MARK)))
            elif line.strip():
                others.append(line.strip())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        _end(process)
    reader.join(LAST_OUTPUT_S)
    if code is None:
        return list(messages), f"ended after {limit:.0f} s, its longest time; what it had measured is kept"
    if code:
        return list(messages), f"exit code {code}: {_reason(others)}"
    return list(messages), ""


def _end(process):
    """End the process and all that it started, and wait for it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _reason(lines):
    """The last line that names an error, or the last one."""
    telling = [line for line in lines if "Error" in line or UNKNOWN_FLAG in line]
    return (telling or lines or ["no last words"])[-1][:LONGEST_REASON]
