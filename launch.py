"""Command line of cellcycle_jax: what is typed goes to the function that does it, and comes back as an exit code.

    python launch.py demo     --out=runs/demo
    python launch.py run      --config=configs/data/NAME.py --fields=DIR --out=DIR
    python launch.py simulate --config=configs/simulate.py --out=DIR
    python launch.py prepare  --config=configs/data/simulated.py --fields=DIR --out=DIR
    python launch.py train    --config=configs/default.py --data=DIR --workdir=RUN
    python launch.py evaluate --workdir=RUN [--final]
    python launch.py explain  --workdir=RUN
    python launch.py discover --workdir=RUN
    python launch.py report   --workdir=RUN
    python launch.py predict  --workdir=RUN --fields=DIR --out=DIR
    python launch.py sweep    --config=experiments/NAME.py --data=DIR --workdir=DIR [--list | --index=7 | --final]
    python launch.py --version

A config field is changed on the command line by its path, e.g. --config.train.steps=200. The config file is a Python
file and is run: name only files that you trust. Exit codes: 0 done, 1 our bug, 2 usage or config, 3 input data refused,
4 some inputs set aside, 5 checkpoint or data set refused, 6 non-finite loss, 7 resources, 75 stopped and saved,
130 stopped by Ctrl-C.
"""

import argparse
import importlib.metadata
import pathlib
import platform
import shlex
import sys
import traceback

from cellcycle_jax.command_line import interruption

if __name__ == "__main__":  # before the imports below, which take a while
    interruption.end_at_once(next((word for word in sys.argv[1:] if not word.startswith("-")), "launch.py"))

from cellcycle_jax import files
from cellcycle_jax.command_line import failures, terminal  # noqa: E402
from cellcycle_jax.errors import EXIT_QUARANTINED, InputRefused, UsageError  # noqa: E402
from configs import base  # noqa: E402
from configs.load import load, load_study  # noqa: E402

if __name__ == "__main__":
    terminal.outlive_readers()

ROOT = pathlib.Path(__file__).resolve().parent
SHIPPED = "pretrained/simulated_dna"  # a small model, so that predict runs at once


def main(argv=None, hint: bool = True) -> int:
    """Parse the command line, run one command, return the exit code.

    Args:
        argv: the words after launch.py; None: those that were typed.
        hint: whether to say at the end what to type next.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command = words[0] if words else ""
    try:
        arguments = _parsed(words)
        with terminal.collected_warnings():
            code = COMMANDS[command][0](arguments) or 0
        if hint and command in NEXT and code in (0, EXIT_QUARANTINED):
            _say(NEXT[command](arguments))
        return code
    except KeyboardInterrupt:
        print(f"{command}: stopped by Ctrl-C; run the same command again", file=sys.stderr)
        return interruption.EXIT_INTERRUPTED
    except Exception as error:
        explained = failures.explained(error, _value_of(words, "out") or _value_of(words, "workdir"))
        if explained is None:
            raise
        if "--debug" in words:
            traceback.print_exc()
        terminal.end_line(error)
        print(f"{command or 'launch.py'}: {explained}", file=sys.stderr)
        return explained.exit_code


def simulate(arguments):
    """Write fields with a known answer."""
    from data_prep.simulation.simulate import simulate as run

    run(arguments.config, _new_folder(arguments.out))
    _say(f"wrote {arguments.out}/fields, labels, truth.parquet")


def prepare(arguments):
    """Turn a folder of fields into a data set: cells found, measured, labelled, split and packed."""
    from data_prep.prepare import prepare as run

    code = run(arguments.config, arguments.fields, _new_folder(arguments.out), arguments.labels, arguments.overwrite,
               arguments.strict, arguments.keep)
    _say(f"wrote {arguments.out}/cells.parquet, tfds, qc, provenance.json")
    if code:
        _tell_of_quarantined("prepare", f"{arguments.out}/provenance.json")
    return code


def train(arguments):
    """Train a model on a data set; run again to go on after an interruption."""
    from cellcycle_jax.devices import mesh, runtime
    from cellcycle_jax.training.loop import train as run

    runtime.prepare()
    mesh.start(arguments.require_accelerator, arguments.coordinator, arguments.processes, arguments.process)
    run(arguments.config, _folder("--data", arguments.data), _new_folder(arguments.workdir))
    _say(f"wrote {arguments.workdir}/checkpoints, metrics.jsonl")


def evaluate(arguments):
    """Score a run on its validation split, or with --final on the locked test split."""
    _use_devices()
    from cellcycle_jax.evaluation.evaluate import evaluate as run

    run(_run_folder(arguments), final=arguments.final)
    _say(f"wrote {arguments.workdir}/evaluation.json, predictions.parquet")


def explain(arguments):
    """Where a run looks and whether that is true: maps, checks and the passport of its validation cells."""
    _use_devices()
    from cellcycle_jax.explain.command import run_explain

    others = [_folder("--others", other) for other in arguments.others.split(",") if other]
    run_explain(_run_folder(arguments), arguments.tap, others)
    _say(f"wrote {arguments.workdir}/explain/passport.json, attribution.parquet, maps.npz")


def discover(arguments):
    """Rank measured features and pairs that separate the classes."""
    from cellcycle_jax.features.discover import run_discover

    run_discover(_run_folder(arguments))
    _say(f"wrote {arguments.workdir}/features")


def report(arguments):
    """One self-contained page about a run."""
    from cellcycle_jax.report.page import write_report

    write_report(_run_folder(arguments))
    _say(f"wrote {arguments.workdir}/report.html")


def predict(arguments):
    """Apply a trained run to new fields: a row per cell, an overlay per field, and what is unlike training."""
    _use_devices()
    from cellcycle_jax.prediction.predictor import load_predictor
    from commands.predict import predict_fields

    code = predict_fields(
        load_predictor(_folder("--workdir", _beside_launch(arguments.workdir))),
        _folder("--fields", arguments.fields),
        _new_folder(arguments.out),
        arguments.config,
        arguments.changed,
        arguments.overwrite,
        arguments.decide_anyway,
    )
    _say(f"wrote {arguments.out}/cells.parquet, cells.csv, overlays, predict.json")
    if code:
        _tell_of_quarantined("predict", f"{arguments.out}/predict.json")
    return code


def sweep(arguments):
    """Train all runs of a study and show its table; those that may be one program train as one."""
    from cellcycle_jax.devices import mesh, runtime
    from cellcycle_jax.studies.sweep import run_sweep

    runtime.prepare()
    mesh.start(arguments.require_accelerator)
    run_sweep(arguments.study, _folder("--data", arguments.data), arguments.workdir, arguments.list, arguments.index,
              arguments.final)


def run(arguments):
    """All of it for your own fields: prepare, train, evaluate, explain, discover, report; goes on where it stopped."""
    from commands.run import run_whole_way

    try:
        training = _config(arguments.training, (), base.training)
    except UsageError as error:
        raise UsageError(str(error).replace("--config=", "--training=", 1)) from None
    prepared_by = [f"--config={arguments.config_file}", *arguments.rest]
    return run_whole_way(_folder("--fields", arguments.fields), arguments.config, prepared_by, training,
                         arguments.training, _new_folder(arguments.out), _step)


def demo(arguments):
    """The whole way on simulated fields: simulate, prepare, train, evaluate, explain, discover, report."""
    from commands.demo import run_demo

    return run_demo(arguments.out, arguments.overwrite, _step)


def _step(words) -> int:
    """One command of several, as if it had been typed."""
    _say(f"\n$ {_typed(*words)}")
    return main(words, hint=False)


# Flags of commands that train, see docs/cloud.md.
DEVICES = {
    "require_accelerator": ("", "gpu or tpu: end with code 7 where JAX finds none; empty: use what is there"),
    "coordinator": ("", "HOST:PORT of process 0, where several hosts train together and no scheduler tells them so"),
    "processes": (0, "how many there are, with --coordinator"),
    "process": (-1, "which one this is, from 0, with --coordinator"),
}
# Flags of commands about a finished run.
RUN = {
    "workdir": (None, "folder of the run"),
    "data": ("", "folder of its data set, where that has been moved; the run remembers it"),
}
FIELDS = {
    "config": (None, "Python file with get_config(), e.g. configs/data/simulated.py"),
    "fields": (None, "folder with the microscope fields"),
    "out": (None, "folder to write"),
}

# command -> (function, flags: {name: (default or None for required, help)})
COMMANDS = {
    "simulate": (simulate, {
        "config": ("configs/simulate.py", "Python file with get_config()"),
        "out": (None, "folder to write"),
    }),
    "prepare": (prepare, {
        **FIELDS,
        "labels": ("", "edited qc/labels.csv of an earlier run"),
        "overwrite": (False, "replace a finished data set"),
        "strict": (False, "refuse everything when one file is refused"),
        "keep": (False, "keep what was found in each field, so that other labels, another split or other bounds (with "
                        "--overwrite) take seconds"),
    }),
    "train": (train, {
        "config": (None, "Python file with get_config(), e.g. configs/default.py"),
        "data": (None, "folder that prepare wrote"),
        "workdir": (None, "folder of the run"),
        **DEVICES,
    }),
    "evaluate": (evaluate, {
        **RUN,
        "final": (False, "open the locked test split, and log that it was opened"),
    }),
    "explain": (explain, {
        **RUN,
        "tap": ("", "activation that Grad-CAM reads, e.g. stage2; empty: config.explain.tap"),
        "others": ("", "folders of runs with other seeds or permuted labels, by commas"),
    }),
    "discover": (discover, RUN),
    "report": (report, RUN),
    "predict": (predict, {
        "workdir": (SHIPPED, "folder of a run, or of a predictor"),
        "fields": (None, "folder with the new fields"),
        "out": (None, "folder to write"),
        "config": ("configs/new_fields.py", "Python file that says how the new fields are stored"),
        "overwrite": (False, "replace finished predictions"),
        "decide_anyway": (False, "decide cells also by a network at chance or with a shortcut"),
    }),
    "sweep": (sweep, {
        "config": (None, "Python file with get_config() and sweep(), e.g. experiments/channels.py"),
        "data": (None, "folder that prepare wrote"),
        "workdir": (None, "folder of the study"),
        "list": (False, "show the runs and how far they are; train nothing"),
        "index": ("all", "train this one run alone, by its number in --list, and score nothing"),
        "final": (False, "score on the locked test split, and log in each run that it was opened"),
        "require_accelerator": DEVICES["require_accelerator"],
    }),
    "run": (run, {
        **FIELDS,
        "training": ("configs/default.py", "Python file with the training config"),
    }),
    "demo": (demo, {
        "out": ("runs/demo", "folder to write"),
        "overwrite": (False, "replace an earlier demo"),
    }),
}  # fmt: skip

# command -> the function of configs/base.py that makes its config
KINDS = {"simulate": base.simulation, "prepare": base.preparation, "train": base.training,
         "predict": base.preparation, "run": base.preparation}  # fmt: skip


def _after_simulate(arguments):
    name = pathlib.Path(arguments.out).absolute().name
    return "next: " + _typed("prepare", "--config=configs/data/simulated.py", f"--fields={arguments.out}",
                             f"--out=data/{name}")


def _after_prepare(arguments):
    if arguments.config.labels.method == "none":
        return (f"look at {arguments.out}/qc; without labels nothing can be trained on it (config.labels.method), and "
                "predict takes the fields as they are")
    workdir = f"--workdir=runs/{pathlib.Path(arguments.out).absolute().name}"
    return (f"look at {arguments.out}/qc, then: "
            f"{_typed('train', '--config=configs/default.py', f'--data={arguments.out}', workdir)}")


def _after_evaluate(arguments):
    return _then("report" if arguments.final else "explain", arguments)


def _after_report(arguments):
    return (f"open {arguments.workdir}/report.html; once nothing is to be changed any more: "
            f"{_typed('evaluate', f'--workdir={arguments.workdir}', '--final')}")


def _after_run(arguments):
    if arguments.config.labels.method == "none":
        return f"look at {arguments.out}/data/qc; without labels there is nothing to train (config.labels.method)"
    return f"open {arguments.out}/run/report.html"


def _then(command, arguments):
    return f"next: {_typed(command, f'--workdir={arguments.workdir}')}"


# command -> what to do next, in a line
NEXT = {
    "simulate": _after_simulate,
    "prepare": _after_prepare,
    "train": lambda a: _then("evaluate", a),
    "evaluate": _after_evaluate,
    "explain": lambda a: _then("discover", a),
    "discover": lambda a: _then("report", a),
    "report": _after_report,
    "predict": lambda a: f"look at {a.out}/overlays; {a.out}/cells.csv has a row per object",
    "run": _after_run,
}  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """Mistakes become one line with the documented code, as everywhere else."""

    def error(self, message):
        raise UsageError(f"{message}; see --help")


class _Version(argparse.Action):
    """Print the versions that matter, and end."""

    def __init__(self, option_strings, dest, **_):
        super().__init__(option_strings, dest, nargs=0, help="versions of this program and of what it stands on")

    def __call__(self, parser, *_):
        """Act as argparse wants it."""
        packages = ("cellcycle_jax", "jax", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")
        found = []
        for package in packages:
            try:
                found.append(f"{package} {importlib.metadata.version(package)}")
            except importlib.metadata.PackageNotFoundError:
                found.append(f"{package} (not installed)")
        print(f"{', '.join(found)}, Python {platform.python_version()}")
        parser.exit()


def _parser():
    parser = _Parser(prog="launch.py", description=__doc__, allow_abbrev=False,
                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (function, flags) in COMMANDS.items():
        note = ""
        if "config" in flags:
            note = "Config fields: --config.path.to.field=value; all are listed in configs/base.py."
        sub = commands.add_parser(name, help=function.__doc__, description=function.__doc__, epilog=note,
                                  allow_abbrev=False)  # fmt: skip
        for flag, (default, text) in flags.items():
            if default is False:
                sub.add_argument(f"--{flag}", action="store_true", help=text)
            else:
                kind = int if isinstance(default, int) else str
                shown = " (required)" if default is None else f" (default {default})" if default and kind is str else ""
                sub.add_argument(f"--{flag}", type=kind, default=default, help=text + shown)
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _parsed(words):
    """What was typed, its config read; a mistyped command, flag or field is refused, the nearest one named."""
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        raise UsageError(f"no such command{terminal.nearest(words[0], COMMANDS)}; allowed: {', '.join(COMMANDS)}")
    if empty := [word for word in words if word.startswith("--") and word.endswith("=") and word.count("=") == 1
                 and not word.startswith("--config.")]:  # fmt: skip
        raise UsageError(f"{empty[0]} is empty; write a value behind it (is a shell variable unset?), or leave it out")
    for flag in ("out", "workdir"):
        _refuse_undecoded(flag, _value_of(words, flag))
    arguments, rest = _parser().parse_known_args(words)
    if words and words[0].startswith("-") and arguments.command:
        raise UsageError(f"{words[0]}: flags stand behind the command: launch.py {arguments.command} {words[0]}")
    if words and words[0].startswith("-"):
        raise UsageError(f"{words[0]}: no such flag{terminal.nearest(words[0][2:], ('version', 'help'), '--')}; name a "
                         f"command first: {', '.join(COMMANDS)}")
    if not arguments.command:
        raise UsageError(f"name a command: {', '.join(COMMANDS)}; --help explains them")
    flags = COMMANDS[arguments.command][1]
    _refuse_unknown(arguments.command, flags, rest)
    missing = [f"--{flag}" for flag, (default, _) in flags.items() if default is None and not getattr(arguments, flag)]
    if missing:
        raise UsageError(f"{' and '.join(missing)} must be given; see {arguments.command} --help")
    arguments.rest = rest
    if arguments.command == "sweep":
        arguments.study = load_study(_beside_launch(arguments.config), rest)
    elif "config" in flags:
        arguments.changed = [word.removeprefix("--config.").split("=")[0] for word in rest]
        arguments.config_file = arguments.config
        arguments.config = _config(arguments.config, rest, KINDS[arguments.command])
    return arguments


def _refuse_undecoded(flag, path):
    """Refuse an output of which a byte is no UTF-8: its name is written into files that are."""
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode("utf-8", "backslashreplace").decode()
        raise UsageError(f"--{flag}={shown}: the name is no UTF-8; give the folder another one") from None


def _refuse_unknown(command, flags, rest):
    """Refuse what is no flag of the command, and config fields of a command that has none."""
    for word in rest:
        name = word.split("=")[0]
        if name.startswith("--config.") and "config" in flags:
            continue
        if name.startswith("--config"):
            why = "it has configs of its own" if command == "demo" else "it works with that of the run"
            raise UsageError(f"{name}: {command} takes no config; {why}")
        if not name.startswith("--"):
            raise UsageError(f"{word}: {command} takes no such argument; flags are written --name=value")
        raise UsageError(f"{word}: {command} takes no such flag{terminal.nearest(name[2:], flags, '--')}; "
                         f"see {command} --help")


def _config(path, changes, kind):
    return load(_beside_launch(path), changes, kind)


def _beside_launch(path) -> pathlib.Path:
    """A path as it was typed; one that is not there and lies beside this file is that one."""
    path = pathlib.Path(path)
    return ROOT / path if not path.exists() and (ROOT / path).exists() else path


def _use_devices():
    """What a command does before it computes: devices, memory, and whether the ones asked for are there."""
    from cellcycle_jax.devices import mesh, runtime

    runtime.prepare()
    mesh.require_device()


def _folder(flag, path):
    if not pathlib.Path(path).is_dir():
        what = "is a file; name a folder" if pathlib.Path(path).is_file() else "no such folder"
        if str(path).startswith("~"):
            what += "; a shell replaces ~ only where the flag and the path are two words, so write the whole path"
        raise InputRefused(f"{flag}={path}: {what}")
    return path


def _run_folder(arguments):
    """--workdir of a command about a run, which is told where its data set is now if --data says so."""
    folder = _folder("--workdir", arguments.workdir)
    files.require_writable(folder)
    if arguments.data:
        from cellcycle_jax.runs import run_record

        run_record.say_where_data_are(folder, _folder("--data", arguments.data))
    return folder


def _new_folder(path):
    pathlib.Path(path).mkdir(parents=True, exist_ok=True)
    return path


def _value_of(words, flag) -> str:
    """What was typed behind a flag, "" where it was not given."""
    values = [word.partition("=")[2] for word in words if word.startswith(f"--{flag}=")]
    return values[-1] if values else ""


def _typed(*words) -> str:
    """A command as one would type it from here."""
    program = "launch.py" if pathlib.Path.cwd() == ROOT else str(ROOT / "launch.py")
    return shlex.join(["python", program, *map(str, words)])


def _tell_of_quarantined(command, listed):
    print(f"{command}: some files were set aside; see 'quarantined' in {listed}", file=sys.stderr)


def _say(what):
    print(what, flush=True)


if __name__ == "__main__":
    try:
        exit_code = main()
    finally:
        interruption.finish()
    sys.exit(exit_code)
