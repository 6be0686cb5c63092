"""A config file and the command line's changes to it -> one locked config."""

import ast
import difflib
import importlib.util
import pathlib
import re

from cellcycle_jax.errors import UsageError


def load(path, overrides=()):
    """The config of a Python file's get_config(), with `--config.path.to.field=value` arguments applied.

    Args:
        path: Python file; it is run.
        overrides: command line arguments. A tuple may be written DNA,Golgi or "('DNA', 'Golgi')".

    Raises:
        UsageError: no such file, an argument of another form, an unknown field (with the nearest name), a value of
            another type than the field's.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UsageError(f"--config={path}: no such file; see the folder configs/")
    spec = importlib.util.spec_from_file_location("config_file", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise UsageError(f"--config={path}: has no get_config(); see configs/base.py")
    config = module.get_config()
    known = fields(config)
    for argument in overrides:
        match = re.match(r"--config\.([\w.]+)=(.*)$", argument, re.DOTALL)
        if not match:
            raise UsageError(f"{argument}: not understood; a config field is changed by --config.path.to.field=value")
        name, text = match.groups()
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.3)
            raise UsageError(f"--config.{name}: no such field" + (f"; nearest: config.{near[0]}" if near else ""))
        config.update_from_flattened_dict({name: _value(name, text, known[name])})
    return config


def fields(config, head="") -> dict:
    """{path.to.field: value} of all fields of a config."""
    found = {}
    for key, value in config.items():
        found |= fields(value, f"{head}{key}.") if hasattr(value, "items") else {head + key: value}
    return found


def _value(name, text, default):
    """`text` as the type of `default`."""
    if isinstance(default, str):
        return text
    try:
        value = ast.literal_eval(text.capitalize() if isinstance(default, bool) else text)
    except (ValueError, SyntaxError):
        value = tuple(filter(None, text.split(","))) if isinstance(default, tuple) else text
    if isinstance(default, tuple) and not isinstance(value, tuple):
        value = (text,) if isinstance(value, str) or (default and isinstance(default[0], str)) else (value,)
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        raise UsageError(f"--config.{name}={text}: is {type(value).__name__}; allowed: {type(default).__name__}, "
                         f"like the default {default!r}")
    return value
