"""Errors of a damaged file, as distinct from mistakes in our own code."""

import contextlib
import traceback

from cellcycle_jax.errors import InputRefused, UserError

READERS = ("tifffile", "imagecodecs", "xml")  # packages that decode files
OURS = ("data_prep", "cellcycle_jax")


def is_damage(error: Exception) -> bool:
    """Whether a package that decodes files raised `error`, and not our own code.

    The innermost frame of the two decides. So an error that NumPy raises counts for whoever called NumPy.
    """
    decoding = False
    for frame, _ in traceback.walk_tb(error.__traceback__):
        package = _package(frame)
        if package in READERS:
            decoding = True
        elif package in OURS:
            decoding = False
    return decoding


@contextlib.contextmanager
def damage_refused(path, what: str, advice: str):
    """Refuse the file at `path` where the block meets damage; all other errors pass through as they are.

    Args:
        path: the file, for the message.
        what: what is wrong with it, such as "not a readable TIFF".
        advice: what to do.

    Raises:
        InputRefused: a package that decodes files raised an error.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # these packages raise many kinds
        if not is_damage(error):
            raise
        raise InputRefused(f"{path}: {what} ({one_line(error)}); {advice}") from error


def _package(frame) -> str:
    """The package that a frame's code belongs to; compiled code has no module, but names its source file."""
    module = frame.f_globals.get("__name__") or frame.f_code.co_filename.replace("/", ".")
    return module.partition(".")[0]


def one_line(error: Exception) -> str:
    """What a library's error says, as a short single line."""
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}".removesuffix(": ")
