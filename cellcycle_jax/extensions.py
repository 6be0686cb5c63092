"""Parts that a config names: one of this repository by its short name, one of your own as `package.module:name`.

Your own module has to be installed, or to lie in a folder of the variable PYTHONPATH.
"""

import contextlib
import importlib
import pathlib
import sys
from collections.abc import Mapping

from cellcycle_jax.errors import UsageError, UserError

OWN = "or package.module:name of your own"


def is_own(name: str) -> bool:
    """Whether a name in a config is the path of something outside the repository."""
    return ":" in name


def find(name: str, registered: Mapping, field: str):
    """What a config field names.

    Args:
        name: a key of `registered`, or `package.module:name`.
        registered: short name -> what it stands for.
        field: of the config, for the error, e.g. "segmentation.method".

    Raises:
        UsageError: there is no such name, or its module cannot be imported.
    """
    if name in registered:
        return registered[name]
    if not is_own(name):
        raise UsageError(f"config.{field}={name!r}; allowed: {', '.join(registered)}, {OWN}")
    return load(name, field)


def load(path: str, field: str):
    """What stands at `package.module:name`; errors and `field` as of `find`."""
    module_name, _, name = path.partition(":")
    module = load_module(module_name, field)
    if not hasattr(module, name):
        raise UsageError(f"config.{field}={path!r}: {module.__file__} has no {name!r}")
    return getattr(module, name)


def load_module(name: str, field: str):
    """The module called `name`; errors and `field` as of `find`."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever stands in a module of the user's own
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UsageError(
            f"config.{field}: {name!r} cannot be imported ({reason}); install it, or add its folder to PYTHONPATH"
        ) from error


def call(name: str, registered: Mapping, field: str, *arguments):
    """What the function that a config field names returns for some arguments; `find` and call.

    Raises:
        UsageError: as of `find`; or a function outside the repository raised something.
    """
    function = find(name, registered, field)
    with named_failures(name, field):
        return function(*arguments)


@contextlib.contextmanager
def named_failures(name: str, field: str, what: str = "failed"):
    """Say in one line what something outside the repository raised; errors of the repository's own parts stay bugs.

    Args:
        name: as of `find`.
        field: as of `find`.
        what: it did, for the error.

    Raises:
        UsageError: the block raised something that is not meant for the user.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not is_own(name):
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UsageError(f"config.{field}: {name} {what} ({reason}); --debug shows where") from error


def code_of(path: str) -> bytes:
    """The code of the module that `package.module:name` or `package.module` names, which is imported already."""
    module = sys.modules[path.partition(":")[0]]
    return pathlib.Path(module.__file__).read_bytes()
