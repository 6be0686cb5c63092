"""Errors that a user can mend, each with the exit code that `launch.py` ends with.

The message of such an error is one line: what is wrong, in which file or field, the value found, what is allowed, and
what to do next. Anything else that is raised is a bug of ours and ends with code 1 and a traceback.
"""


class UserError(Exception):
    """Base of the errors that are shown as one line. `exit_code` is documented in docs/data.md."""

    exit_code = 2


class UsageError(UserError):
    """A wrong flag, config file, config key or config value."""

    exit_code = 2


class InputRefused(UserError):
    """Input data that cannot be used: a missing channel, no cells, an absent class, a field in two splits."""

    exit_code = 3


class StoredStateRefused(UserError):
    """A checkpoint, run folder or data set that is damaged or does not fit what is asked."""

    exit_code = 5


class NonFiniteLoss(UserError):
    """Training met a loss that is not a finite number, after `step` steps."""

    exit_code = 6

    def __init__(self, message: str, step: int):
        super().__init__(message)
        self.step = step

    def __reduce__(self):
        """Both arguments go along when a worker process sends it."""
        return type(self), (str(self), self.step)


class ResourceMissing(UserError):
    """Disk, memory or a required accelerator is not there."""

    exit_code = 7


# `prepare` finished, but excluded some unreadable files (listed in provenance.json).
EXIT_QUARANTINED = 4
# Training was told to stop, saved its state, and continues when the same command is run again.
EXIT_PREEMPTED = 75


def result_or_reason(function, *arguments):
    """What a function returns, and ""; where it refuses its input None, and the reason, so that others can go on."""
    try:
        return function(*arguments), ""
    except (InputRefused, StoredStateRefused, UsageError) as reason:
        return None, str(reason)
