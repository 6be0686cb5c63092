"""Ctrl-C ends a command at once, whoever reads its output."""

import os
import signal
import subprocess
import sys

import pytest

from cellcycle_jax.command_line.interruption import EXIT_INTERRUPTED

WAITS = """import time
from cellcycle_jax.command_line import interruption
interruption.end_at_once("waits")
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""


@pytest.mark.parametrize("read", [True, False])
def test_ctrl_c_ends_a_command_also_if_nobody_reads_what_it_says(read):
    readable, writable = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE, stderr=writable, text=True)
    os.close(writable)
    assert process.stdout.readline() == "ready\n"
    if not read:  # as `2>&1 | tee log` when Ctrl-C ends tee as well
        os.close(readable)
    process.send_signal(signal.SIGINT)
    try:
        code = process.wait(timeout=60)
    finally:
        process.kill()
        process.stdout.close()
    assert code == EXIT_INTERRUPTED
    if read:
        assert os.read(readable, 1000).decode() == "\nwaits: stopped by Ctrl-C; run the same command again\n"
        os.close(readable)


IS_DONE = """import os
import time
from cellcycle_jax.command_line import interruption

class TakesLongToGo:
    def __del__(self, write=os.write, sleep=time.sleep):
        write(1, b"ready\\n")
        sleep(2)

interruption.end_at_once("is done")
kept = TakesLongToGo()
interruption.finish()
"""


def test_a_command_that_is_done_keeps_its_code_while_python_takes_itself_down():
    process = subprocess.Popen([sys.executable, "-c", IS_DONE], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.stdout.close()
