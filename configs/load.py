"""A config file and the command line's changes to it -> one locked config."""

import ast
import difflib
import importlib.util
import linecache
import pathlib
import re
import traceback
from numbers import Real

from ml_collections import ConfigDict

from cellcycle_jax.errors import UsageError
from cellcycle_jax.studies import study
from configs import base

KINDS = (base.simulation, base.preparation, base.training)
TUPLE_BEGINS = ("(", "[", '"', "'")  # as a tuple of Python may; anything else is texts with commas between
NARROWING = {"data.channels", "data.cell_lines"}  # what a command line says of them narrows what a study chooses from


def load(path, overrides=(), kind=None):
    """The config of a Python file's get_config(), with `--config.path.to.field=value` arguments applied.

    Args:
        path: Python file; it is run.
        overrides: command line arguments. A tuple may be written DNA,Golgi or "('DNA', 'Golgi')".
        kind: the function of configs/base.py whose fields the config must have; None: any.

    Raises:
        UsageError: no such file, a mistake in it (with its line), a config of another kind, an argument of another
            form, an unknown field (with the nearest name), a value of another type than the field's.
    """
    return _load(pathlib.Path(path), overrides, kind)[0]


def load_study(path, overrides=()) -> study.Study:
    """A study: a config file with get_config(), as `load` reads it, and sweep(data) and TABLE (experiments/README.md).

    Raises:
        UsageError: as `load`, or sweep or TABLE is missing, or an argument changes a field that sweep(data) sets; what
            `choose` of the study raises, too: a mistake in sweep(data), an unknown field, a value of another type.
    """
    path = pathlib.Path(path)
    config, module = _load(path, overrides, base.training)
    if not callable(getattr(module, "sweep", None)):
        raise UsageError(f"--config={path}: has no sweep(data), so it is no study; see experiments/README.md")
    if not isinstance(getattr(module, "TABLE", None), study.Table):
        raise UsageError(f"--config={path}: has no TABLE = Table(...), so it is no study; see experiments/README.md")
    given = {argument.removeprefix("--config.").partition("=")[0] for argument in overrides}
    return study.Study(path, config, module.TABLE, lambda data: _choose(path, module.sweep, data, config, given))


def _choose(path, sweep, data, config, given):
    """[(changes, config)] of the runs that a study's sweep(data) asks for; `given` are fields of the command line."""
    try:
        asked = list(sweep(data))
    except Exception as error:  # the file is the user's program, so it can raise anything
        raise UsageError(_mistake(path, error, ())) from error
    known, chosen = fields(config), []
    for number, changes in enumerate(asked):
        where = f"--config={path}: sweep(data), run {number}"
        if not isinstance(changes, dict):
            raise UsageError(f"{where}: is {type(changes).__name__}; allowed: a dict, config field -> value")
        if unknown := [name for name in changes if name not in known]:
            raise UsageError(f"{where}: config.{unknown[0]}: no such field{_nearest(str(unknown[0]), known)}")
        if twice := sorted(given & changes.keys() - NARROWING):
            raise UsageError(f"--config.{twice[0]}: {path} sets this field itself, for each run; change it there")
        changed = config.copy_and_resolve_references()
        for name, value in changes.items():
            try:
                changed.update_from_flattened_dict({name: value})
            except (TypeError, ValueError):
                raise UsageError(f"{where}: config.{name}={value!r}: is {type(value).__name__}; allowed: "
                                 f"{type(known[name]).__name__}, like the default {known[name]!r}") from None
        chosen.append((dict(changes), changed))
    return chosen


def _load(path, overrides, kind):
    """The config, and the module that the file is."""
    if not path.is_file():
        raise UsageError(f"--config={path}: no such file; see the folder configs/")
    config, module = _run(path, KINDS if kind is None else (kind,))
    known = fields(config)
    if kind is not None:
        _require_kind(path, known, kind)
    for argument in overrides:
        match = re.match(r"--config\.([\w.]+)=(.*)$", argument, re.DOTALL)
        if not match:
            raise UsageError(f"{argument}: not understood; a config field is changed by --config.path.to.field=value")
        name, text = match.groups()
        if name not in known:
            raise UsageError(f"--config.{name}: no such field{_nearest(name, known)}")
        config.update_from_flattened_dict({name: _value(name, text, known[name])})
    defaults = fields(kind()) if kind else known
    for name, value in fields(config).items():
        if isinstance(value, tuple):
            config.update_from_flattened_dict({name: _elements(name, value, defaults[name])})
    return config, module


def fields(config, head="") -> dict:
    """{path.to.field: value} of all fields of a config."""
    found = {}
    for key, value in config.items():
        found |= fields(value, f"{head}{key}.") if hasattr(value, "items") else {head + key: value}
    return found


def _run(path, kinds):
    """What get_config() of the file returns, and the module; `kinds` are those whose fields it may have meant."""
    spec = importlib.util.spec_from_file_location("config_file", path.resolve())
    if spec is None:
        raise UsageError(f"--config={path}: is no Python file (NAME.py)")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        make = getattr(module, "get_config", None)
        config = make() if make else None
    except (Exception, SystemExit) as error:  # the file is the user's program, so it can raise anything
        raise UsageError(_mistake(path, error, kinds)) from error
    if make is None:
        raise UsageError(f"--config={path}: has no get_config(); see configs/base.py")
    if not isinstance(config, ConfigDict):
        raise UsageError(f"--config={path}: get_config() returns {type(config).__name__}; allowed: a config of "
                         "configs/base.py, changed or not")
    return config, module


def _mistake(path, error, kinds) -> str:
    """Where in the config file an error arose, and what it means, in one line."""
    file = str(path.resolve())
    if isinstance(error, SyntaxError) and error.filename == file:
        line, what = error.lineno, f"{error.msg}: {(error.text or '').strip()}"
    else:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        line, what = (lines[-1] if lines else None), f"{type(error).__name__}: {' '.join(str(error).split())}"
    # What ml_collections says of a field that is not there: Key "NAME" does not exist ..., or the bare name.
    unknown = re.match(r"\W*(?:Key\W+)?(\w+)\W+(?:(?:does not exist|Did you mean).*)?$", str(error), re.DOTALL)
    if kinds and isinstance(error, (AttributeError, KeyError)) and unknown:
        name = unknown[1]
        written = re.search(rf"\w\.((?:\w+\.)*{name}(?:\.\w+)*)", linecache.getline(file, line or 0))
        name = written[1] if written else name
        what = f"config.{name}: no such field{_nearest(name, [field for kind in kinds for field in fields(kind())])}"
    return f"--config={path}{f', line {line}' if line else ''}: {what}"


def _nearest(name, known) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.3)
    return f"; nearest: config.{near[0]}" if near else ""


def _require_kind(path, known, kind):
    """Refuse a config that has not exactly the fields of `kind`."""
    wanted = fields(kind())
    if known.keys() == wanted.keys():
        return
    for other in KINDS:
        if known.keys() == fields(other()).keys():
            raise UsageError(f"--config={path}: is a config of base.{other.__name__}(); this command needs one of "
                             f"base.{kind.__name__}()")
    for name in [*(known.keys() - wanted.keys()), *(wanted.keys() - known.keys())][:1]:
        what = f"no such field{_nearest(name, wanted)}" if name in known else "is missing"
        raise UsageError(f"--config={path}: config.{name}: {what}; allowed: the fields of base.{kind.__name__}()")


def _value(name, text, default):
    """`text` as the type of `default`."""
    if isinstance(default, str):
        return text
    if isinstance(default, tuple) and not _holds_numbers(default) and text[:1] not in TUPLE_BEGINS:
        return tuple(part.strip() for part in text.split(",") if part.strip())
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


def _elements(name, values, default) -> tuple:
    """A tuple with elements as those of `default`, numbers or texts; an empty one stands for texts.

    A whole number among texts is one: channels may be called 405 and 488.
    """
    holds_numbers = _holds_numbers(default)
    kinds = Real if holds_numbers else (str, int)
    if any(isinstance(element, bool) or not isinstance(element, kinds) for element in values):
        allowed = "numbers" if holds_numbers else "texts"
        raise UsageError(f"config.{name}={values!r}; allowed: {allowed}, separated by commas")
    return values if holds_numbers else tuple(map(str, values))


def _holds_numbers(default: tuple) -> bool:
    """Whether a tuple with this default is one of numbers; an empty one stands for texts."""
    return bool(default) and not any(isinstance(element, str) for element in default)
