"""Being told to stop: a signal is noted, the state is saved by the loop, and the scheduler is asked to run it again."""

import atexit
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import threading

from cellcycle_jax import processes
from cellcycle_jax.command_line import interruption
from cellcycle_jax.devices import mesh
from cellcycle_jax.errors import EXIT_PREEMPTED

SLURM_JOB = "SLURM_JOB_ID"
SLURM_ARRAY = "SLURM_ARRAY_JOB_ID"
SLURM_TASK = "SLURM_ARRAY_TASK_ID"


class Interruptible:
    """Turns the first SIGTERM, and the first Ctrl-C once there is something to save, into `asked`.

    A second one ends the process at once, and so does Ctrl-C before `progressed` was called. One that came too late to
    stop the training, which is done, ends the process when the block does, so that what would follow does not begin.
    A worker process goes on saving after a second SIGTERM: a scheduler may tell it, and then its command tells it too.
    """

    def __enter__(self):
        self._terminated = False
        self._previous = None
        self._held = contextlib.ExitStack()
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._ask)
        return self

    @property
    def asked(self) -> bool:
        """Whether the run is to be saved and ended."""
        return self._terminated or self.by_ctrl_c

    @property
    def by_ctrl_c(self) -> bool:
        """Whether it was Ctrl-C that asked."""
        return interruption.ctrl_c_is_pending()

    def progressed(self) -> None:
        """There is something to save: from now on the first Ctrl-C is noted instead of obeyed."""
        if interruption.is_listening() and self._previous is not None:
            self._held.close()
            self._held.enter_context(interruption.deferred())

    def _ask(self, *_):
        self._terminated = True
        if not processes.is_worker():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def __exit__(self, error, *_):
        by_ctrl_c = self.by_ctrl_c
        self._held.close()
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
        if error is None and by_ctrl_c:
            raise KeyboardInterrupt
        if error is None and self._terminated:
            os.kill(os.getpid(), signal.SIGTERM)


def leave(by_ctrl_c: bool) -> None:
    """End this process, whose state is saved.

    Raises:
        SystemExit: with code 130 after Ctrl-C and else 75, the scheduler asked to run it again.
    """
    if by_ctrl_c:
        raise SystemExit(interruption.EXIT_INTERRUPTED)
    ask_for_requeue()
    raise SystemExit(EXIT_PREEMPTED)


def ask_for_requeue() -> None:
    """Under Slurm, put this job back into the queue as this process ends: Slurm takes any exit for the end of the job.

    Not before, as Slurm then ends all processes of the job, and this one has locks to give up and a log to close.
    """
    if os.environ.get(SLURM_JOB) and mesh.first_process():
        atexit.register(_requeue, _slurm_job())


def _slurm_job() -> str:
    """What Slurm calls this job; the last one of an array has the number by which the whole array goes."""
    if SLURM_ARRAY in os.environ:
        return f"{os.environ[SLURM_ARRAY]}_{os.environ[SLURM_TASK]}"
    return os.environ[SLURM_JOB]


def _requeue(job):
    if not shutil.which("scontrol"):
        logging.warning("job %s is not put back into the queue: there is no scontrol here; submit it again", job)
        return
    done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
    if done.returncode:
        logging.warning("scontrol requeue %s failed (%s); submit the job again", job, done.stderr.strip())
    else:
        logging.warning("job %s is put back into the queue", job)
