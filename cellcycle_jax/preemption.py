"""Being told to stop: a signal is noted, the state is saved by the loop, and the scheduler is asked to run it again."""

import logging
import os
import shutil
import signal
import subprocess
import threading

from cellcycle_jax import mesh

SLURM_JOB = "SLURM_JOB_ID"


class Interruptible:
    """Turns the first SIGTERM into `asked`; a second one ends the process at once."""

    def __enter__(self):
        self.asked, self._previous = False, None
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._ask)
        return self

    def _ask(self, *_):
        self.asked = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def __exit__(self, *_):
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)


def ask_for_requeue() -> None:
    """Under Slurm, put this job back into the queue: by itself Slurm takes any exit for the end of the job."""
    job = os.environ.get(SLURM_JOB)
    if not job or not mesh.first_process():
        return
    if not shutil.which("scontrol"):
        logging.warning("job %s is not put back into the queue: there is no scontrol here; submit it again", job)
        return
    done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
    if done.returncode:
        logging.warning("scontrol requeue %s failed (%s); submit the job again", job, done.stderr.strip())
    else:
        logging.warning("job %s is put back into the queue", job)
