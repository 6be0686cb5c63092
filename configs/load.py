"""A config file and the command line's changes to it -> one locked config."""

import ast
import difflib
import functools
import importlib.util
import linecache
import pathlib
import re
import traceback
from numbers import Real

from ml_collections import ConfigDict

from cellcycle_jax import old_names
from cellcycle_jax.errors import UsageError
from cellcycle_jax.studies import study
from configs import base

KINDS = (base.simulation, base.preparation, base.training)
TUPLE_BEGINS = ("(", "[", '"', "'")  # as a tuple of Python may; anything else is texts with commas between
COMMA_OUTSIDE_BRACKETS = re.compile(r",(?![^(\[]*[)\]])")
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
    given = set()
    for argument in overrides:
        given.add(argument.removeprefix("--config.").partition("=")[0])
    choose = functools.partial(_choose, path, module.sweep, config, given)
    return study.Study(path, config, module.TABLE, choose)


def _choose(path, sweep, config, given, data):
    """[(changes, config)] of the runs that a study's sweep(data) gives; `given` are fields of the command line."""
    try:
        runs = list(sweep(data))
    except Exception as error:  # the file is the user's program, so it can raise anything
        raise UsageError(_mistake(path, error, ())) from error
    chosen = []
    for number, changes in enumerate(runs):
        where = f"--config={path}: sweep(data), run {number}"
        if not isinstance(changes, dict):
            raise UsageError(f"{where}: is {type(changes).__name__}; allowed: a dict, config field -> value")
        changes = _changes_of_today(changes, fields(config))
        _require_fields(changes, fields(config), where)
        set_twice = sorted(given & changes.keys() - NARROWING)
        if set_twice:
            raise UsageError(f"--config.{set_twice[0]}: {path} sets this field itself, for each run; change it there")
        chosen.append((changes, _changed(config, changes, where)))
    return chosen


def _changes_of_today(changes, known) -> dict:
    """Changes of a study under the names that fields and their values have today."""
    renamed = {_name_of_today(name, known): value for name, value in changes.items() if not _is_retired(name)}
    return {name: old_names.value_of_today(name, value) for name, value in renamed.items()}


def _require_fields(changes, known, where):
    for name in changes:
        if name not in known:
            raise UsageError(f"{where}: config.{name}: no such field{_nearest(str(name), known)}")


def _changed(config, changes, where):
    """A copy of the config with other values in some fields."""
    defaults = fields(config)
    changed = config.copy_and_resolve_references()
    for name, value in changes.items():
        try:
            changed.update_from_flattened_dict({name: value})
        except (TypeError, ValueError):
            default = defaults[name]
            raise UsageError(f"{where}: config.{name}={value!r}: is {type(value).__name__}; allowed: "
                             f"{type(default).__name__}, like the default {default!r}") from None
    return changed


def _load(path, overrides, kind):
    """The config, and the module that the file is."""
    if not path.is_file():
        raise UsageError(f"--config={path}: no such file; see the folder configs/")
    config, module = _run(path, KINDS if kind is None else (kind,))
    known = fields(config)
    if kind is not None:
        _require_kind(path, known, kind)
    for argument in overrides:
        if not _is_retired(argument.removeprefix("--config.").partition("=")[0]):
            name, value = _change(argument, known)
            config.update_from_flattened_dict({name: value})
    _use_source_of_today(config)
    defaults = fields(kind()) if kind else known
    for name, value in fields(config).items():
        if isinstance(value, tuple):
            elements = _elements(name, value, defaults[name])
            config.update_from_flattened_dict({name: elements})
    return ConfigDict(config.to_dict()).lock(), module


def _use_source_of_today(config) -> None:
    """Give a config with a source of before that of today and what it stands for, and note it."""
    source = config.get("source")
    if source in old_names.SOURCES:
        config.update_from_flattened_dict(old_names.source_of_today(fields(config)))
        old_names.note(f"source={source!r}", "source='folder', with a name_pattern,")


def _change(argument, known):
    """The field and the value that an argument of the command line gives it."""
    match = re.match(r"--config\.([\w.]+)=(.*)$", argument, re.DOTALL)
    if not match:
        raise UsageError(f"{argument}: not understood; a config field is changed by --config.path.to.field=value")
    name, text = match.groups()
    name = _name_of_today(name, known)
    if name not in known:
        raise UsageError(f"--config.{name}: no such field{_nearest(name, known)}")
    return name, old_names.value_of_today(name, _value(name, text, known[name]))


def _is_retired(name) -> bool:
    """Whether a field does nothing any more, and then a note."""
    retired = name in old_names.RETIRED_FIELDS
    if retired:
        old_names.note_retired(name)
    return retired


def _name_of_today(name, known) -> str:
    """The name that a field has today, and a note where that is another one."""
    today = old_names.CONFIG_FIELDS.get(name, name)
    if today != name and today in known:
        old_names.note(name, today)
        return today
    return name


def changes(words, kind) -> dict:
    """{field: value} of `--config.path.to.field=value` arguments, for a config that is not read from a file.

    Args:
        words: the arguments.
        kind: the function of configs/base.py that has these fields.

    Raises:
        UsageError: as `load`.
    """
    defaults = kind()
    known = fields(defaults)
    changed = {}
    for word in words:
        name, value = _change(word, known)
        changed[name] = _elements(name, value, known[name]) if isinstance(value, tuple) else value
    return changed


def fields(config, head="") -> dict:
    """{path.to.field: value} of all fields of a config."""
    flat = {}
    for key, value in config.items():
        if hasattr(value, "items"):
            flat |= fields(value, f"{head}{key}.")
        else:
            flat[head + key] = value
    return flat


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
        line = error.lineno
        what = f"{error.msg}: {(error.text or '').strip()}"
    else:
        line = None
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename == file:
                line = frame.lineno
        one_line = " ".join(str(error).split())
        what = f"{type(error).__name__}: {one_line}"
    # What ml_collections says of a field that is not there: Key "NAME" does not exist ..., or the bare name.
    unknown = re.match(r"\W*(?:Key\W+)?(\w+)\W+(?:(?:does not exist|Did you mean).*)?$", str(error), re.DOTALL)
    if kinds and isinstance(error, (AttributeError, KeyError)) and unknown:
        name = unknown[1]
        written = re.search(rf"\w\.((?:\w+\.)*{name}(?:\.\w+)*)", linecache.getline(file, line or 0))
        name = written[1] if written else name
        known = []
        for kind in kinds:
            known += fields(kind())
        what = f"config.{name}: no such field{_nearest(name, known)}"
    where = f"--config={path}, line {line}" if line else f"--config={path}"
    return f"{where}: {what}"


def _nearest(name, known) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.3)
    if not near:
        return ""
    return f"; nearest: config.{near[0]}"


def _require_kind(path, known, kind):
    """Refuse a config that has not exactly the fields of `kind`."""
    wanted = fields(kind())
    if known.keys() == wanted.keys():
        return
    for other in KINDS:
        if known.keys() == fields(other()).keys():
            raise UsageError(f"--config={path}: is a config of base.{other.__name__}(); this command needs one of "
                             f"base.{kind.__name__}()")
    unknown = known.keys() - wanted.keys()
    missing = wanted.keys() - known.keys()
    if unknown:
        name = min(unknown)
        what = f"no such field{_nearest(name, wanted)}"
    else:
        name = min(missing)
        what = "is missing"
    raise UsageError(f"--config={path}: config.{name}: {what}; allowed: the fields of base.{kind.__name__}()")


def _value(name, text, default):
    """`text` as the type of `default`."""
    if isinstance(default, str):
        return text
    if isinstance(default, tuple):
        return _tuple_value(text, default)
    try:
        value = ast.literal_eval(text.capitalize() if isinstance(default, bool) else text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        raise UsageError(f"--config.{name}={text}: is {type(value).__name__}; allowed: {type(default).__name__}, "
                         f"like the default {default!r}")
    return value


def _tuple_value(text, default) -> tuple:
    """`text` as a tuple: (1, 2) as in Python, or elements with commas between them."""
    if not _holds_numbers(default) and text[:1] not in TUPLE_BEGINS:
        parts = [part.strip() for part in COMMA_OUTSIDE_BRACKETS.split(text)]
        return tuple(filter(None, parts))
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return tuple(filter(None, text.split(",")))
    if isinstance(value, tuple):
        return value
    if isinstance(value, str) or (default and isinstance(default[0], str)):
        return (text,)
    return (value,)


def _elements(name, values, default) -> tuple:
    """A tuple with elements as those of `default`, numbers or texts; an empty one stands for texts.

    A whole number among texts is one: channels may be called 405 and 488.
    """
    holds_numbers = _holds_numbers(default)
    kinds = Real if holds_numbers else (str, int)
    for element in values:
        if isinstance(element, bool) or not isinstance(element, kinds):
            allowed = "numbers" if holds_numbers else "texts"
            raise UsageError(f"config.{name}={values!r}; allowed: {allowed}, separated by commas")
    if holds_numbers:
        return values
    return tuple(str(element) for element in values)


def _holds_numbers(default: tuple) -> bool:
    """Whether a tuple with this default is one of numbers; an empty one stands for texts."""
    return bool(default) and not any(isinstance(element, str) for element in default)
