"""From microscope fields to an explained classifier. `python launch.py COMMAND --help` shows what a command takes.

    python launch.py demo     --out=runs/demo
    python launch.py simulate --config=configs/simulate.py --out=DIR
    python launch.py prepare  --config=configs/data/NAME.py --fields=DIR --out=DIR
    python launch.py train    --config=configs/NAME.py --data=DIR --workdir=RUN
    python launch.py evaluate --workdir=RUN [--final]
    python launch.py explain  --workdir=RUN
    python launch.py discover --workdir=RUN
    python launch.py report   --workdir=RUN
    python launch.py predict  --workdir=RUN --fields=DIR --out=DIR
    python launch.py sweep    --config=experiments/NAME.py --data=DIR --workdir=DIR [--list | --index=7 | --final]

A config field is changed on the command line by its path, e.g. --config.train.steps=200. The config file is a Python
file and is run: name only files that you trust. Exit codes: 0 done, 1 our bug, 2 usage or config, 3 input data refused,
4 some inputs set aside, 5 checkpoint or data set refused, 6 non-finite loss, 7 resources, 75 stopped and saved.
"""

import argparse
import pathlib
import shutil
import sys
import time
import traceback

from cellcycle_jax import interruption

if __name__ == "__main__":  # before the imports below, which take a while
    interruption.end_at_once(next((word for word in sys.argv[1:] if not word.startswith("-")), "launch.py"))

from cellcycle_jax import failures, files  # noqa: E402
from cellcycle_jax.errors import EXIT_QUARANTINED, InputRefused, UsageError  # noqa: E402
from configs import base  # noqa: E402
from configs.load import load, load_study  # noqa: E402

SHIPPED = "pretrained/simulated_dna"  # a small model, so that predict runs at once


def main(argv=None) -> int:
    """Parse the command line, run one command, return the exit code."""
    arguments, rest = _parser().parse_known_args(argv)
    try:
        if arguments.command == "sweep":
            arguments.study = load_study(arguments.config, rest)
        elif hasattr(arguments, "config"):
            arguments.changed = [argument.removeprefix("--config.").split("=")[0] for argument in rest]
            arguments.config = load(arguments.config, rest, KINDS[arguments.command])
        elif rest:
            raise UsageError(f"{rest[0]}: {arguments.command} takes no such argument; see --help")
        if arguments.command in COMPUTING:
            from cellcycle_jax import mesh, runtime

            runtime.prepare()
            if arguments.command not in TRAINING:  # which join other processes first, and then look
                mesh.require_device()
        return COMMANDS[arguments.command][0](arguments) or 0
    except KeyboardInterrupt:
        print(f"{arguments.command}: stopped by Ctrl-C; run the same command again", file=sys.stderr)
        return interruption.EXIT_INTERRUPTED
    except Exception as error:
        explained = failures.explained(error, getattr(arguments, "out", "") or getattr(arguments, "workdir", ""))
        if explained is None:
            raise
        if arguments.debug:
            traceback.print_exc()
        print(f"{arguments.command}: {explained}", file=sys.stderr)
        return explained.exit_code


def simulate(arguments):
    """Write fields with a known answer."""
    from data_prep.simulate import simulate as run

    run(arguments.config, _new_folder(arguments.out))
    _say(f"{arguments.out}/fields, labels, truth.parquet")


def prepare(arguments):
    """Turn a folder of fields into a data set: cells found, measured, labelled, split and packed."""
    from data_prep.build import prepare as run

    code = run(arguments.config, arguments.fields, _new_folder(arguments.out), arguments.labels, arguments.overwrite,
               arguments.strict, arguments.keep)
    _say(f"{arguments.out}/cells.parquet, tfds, qc, provenance.json")
    if code:
        _tell_of_quarantined("prepare", f"{arguments.out}/provenance.json")
    return code


def train(arguments):
    """Train a model on a data set; run again to go on after an interruption."""
    from cellcycle_jax import mesh
    from cellcycle_jax.loop import train as run

    mesh.start(arguments.require_accelerator, arguments.coordinator, arguments.processes, arguments.process)
    run(arguments.config, _folder("--data", arguments.data), _new_folder(arguments.workdir))
    _say(f"{arguments.workdir}/checkpoints, metrics.jsonl")


def evaluate(arguments):
    """Score a run on its validation split, or with --final on the locked test split."""
    from cellcycle_jax.evaluate import evaluate as run

    run(_run_folder(arguments), final=arguments.final)
    _say(f"{arguments.workdir}/evaluation.json, predictions.parquet")


def explain(arguments):
    """Where a run looks and whether that is true: maps, checks and the passport of its validation cells."""
    from cellcycle_jax.explain.maps import run_explain

    others = [_folder("--others", other) for other in arguments.others.split(",") if other]
    run_explain(_run_folder(arguments), arguments.tap, others)
    _say(f"{arguments.workdir}/explain/passport.json, attribution.parquet, maps.npz")


def discover(arguments):
    """Rank measured features and pairs that separate the classes."""
    from cellcycle_jax.discover import run_discover

    run_discover(_run_folder(arguments))
    _say(f"{arguments.workdir}/features")


def report(arguments):
    """One self-contained page about a run."""
    from cellcycle_jax.report.page import write_report

    write_report(_run_folder(arguments))
    _say(f"{arguments.workdir}/report.html")


def predict(arguments):
    """Apply a trained run to new fields: a row per cell, an overlay per field, and what is unlike training."""
    from cellcycle_jax import alarms
    from cellcycle_jax import predict as prediction
    from cellcycle_jax.locks import holding
    from cellcycle_jax.predictor import load_predictor
    from data_prep import new_fields, overlay

    predictor = load_predictor(_folder("--workdir", arguments.workdir))
    out = pathlib.Path(_new_folder(arguments.out))
    trained = predictor.preparation["config"]
    config = new_fields.reading_config(trained, arguments.config, arguments.changed)
    new_fields.say_what_is_not_read(trained, arguments.config, base.preparation())
    with holding(out / ".lock"):
        if (out / "predict.json").exists() and not arguments.overwrite:
            raise UsageError(f"--out={out} holds finished predictions; name another folder or give --overwrite")
        for old in [*out.glob("predict.json"), *out.glob("overlays/*.png")]:
            old.unlink()
        gathered = new_fields.extract(config, arguments.fields, out, predictor.channels)
        cells = prediction.predict_cells(predictor, new_fields.table_of(gathered), gathered.recipe.crops,
                                         gathered.recipe.channels)
        found = alarms.judge_fields(predictor.fields, cells, gathered.fields())
        overlay.draw_all(cells, gathered, predictor.classes, found, out / "overlays")
        summary = prediction.summarise(predictor, cells, found, gathered.fields())
        summary |= {"quarantined": gathered.quarantined, "light_not_estimated": gathered.light_not_estimated}
        prediction.write_predictions(cells, summary, out)
        gathered.discard()
    prediction.say(summary)
    _say(f"{out}/cells.parquet, cells.csv, overlays, predict.json")
    if gathered.quarantined:
        _tell_of_quarantined("predict", out / "predict.json")
    return EXIT_QUARANTINED if gathered.quarantined else 0


def sweep(arguments):
    """Train all runs of a study and show its table; those that may be one program train as one."""
    from cellcycle_jax import mesh
    from cellcycle_jax.sweep import run_sweep

    mesh.start(arguments.require_accelerator)
    run_sweep(arguments.study, _folder("--data", arguments.data), arguments.workdir, arguments.list, arguments.index,
              arguments.final)


def demo(arguments):
    """The whole way on simulated fields: simulate, prepare, train, evaluate, explain, discover, report."""
    out = pathlib.Path(arguments.out)
    fields, data, run = parts = [out / name for name in DEMO_MARKS]
    found = [part for part in parts if part.exists()]
    if found and not arguments.overwrite:
        raise UsageError(f"--out={out} holds an earlier demo; name another folder or give --overwrite")
    for part in found:
        if not _is_of_a_demo(part):
            raise UsageError(f"{part}: not made by a demo, so it is not removed; move it away, or name another --out")
    for part in found:
        shutil.rmtree(part)
    steps = [
        ["simulate", "--config=configs/demo/fields.py", f"--out={fields}"],
        ["prepare", "--config=configs/data/simulated.py", f"--fields={fields}", f"--out={data}"],
        ["train", "--config=configs/demo/train.py", f"--data={data}", f"--workdir={run}"],
        ["evaluate", f"--workdir={run}"],
        ["explain", f"--workdir={run}"],
        ["discover", f"--workdir={run}"],
        ["evaluate", f"--workdir={run}", "--final"],
        ["report", f"--workdir={run}"],
    ]
    start = time.monotonic()
    for step in steps:
        print(f"\n$ python launch.py {' '.join(step)}", flush=True)
        if code := main(step):
            return code
    print(f"\nThe whole way took {time.monotonic() - start:.0f} s. Open {run}/report.html", flush=True)
    return 0


# Flags of commands that train, see docs/cloud.md.
DEVICES = {
    "require_accelerator": ("", "gpu or tpu: end with code 7 where JAX finds none; empty: use what is there"),
    "coordinator": ("", "HOST:PORT of process 0, where several hosts train together and no scheduler tells them so"),
    "processes": (0, "how many there are, with --coordinator"),
    "process": (-1, "which one this is, from 0, with --coordinator"),
}

# Flags of commands about a finished run.
RUN = {"workdir": (None, "folder of the run"),
       "data": ("", "folder of its data set, where that has been moved; the run remembers it")}

# command -> (function, flags: {name: (default or None for required, help)})
COMMANDS = {
    "simulate": (simulate, {"config": ("configs/simulate.py", "Python file with get_config()"),
                            "out": (None, "folder to write")}),
    "prepare": (prepare, {"config": (None, "Python file with get_config(), e.g. configs/data/simulated.py"),
                          "fields": (None, "folder with the microscope fields"), "out": (None, "folder to write"),
                          "labels": ("", "edited qc/labels.csv of an earlier run"),
                          "overwrite": (False, "replace a finished data set"),
                          "strict": (False, "refuse everything when one file is refused"),
                          "keep": (False, "keep what was found in each field, so that other labels, another split or "
                                          "other bounds (with --overwrite) take seconds")}),
    "train": (train, {"config": (None, "Python file with get_config(), e.g. configs/default.py"),
                      "data": (None, "folder that prepare wrote"), "workdir": (None, "folder of the run"), **DEVICES}),
    "evaluate": (evaluate, {**RUN,
                            "final": (False, "open the locked test split, and log that it was opened")}),
    "explain": (explain, {**RUN,
                          "tap": ("", "activation that Grad-CAM reads, e.g. stage2; empty: config.explain.tap"),
                          "others": ("", "folders of runs with other seeds or permuted labels, by commas")}),
    "discover": (discover, RUN),
    "report": (report, RUN),
    "predict": (predict, {"workdir": (SHIPPED, "folder of a run, or of a predictor"),
                          "fields": (None, "folder with the new fields"), "out": (None, "folder to write"),
                          "config": ("configs/new_fields.py", "Python file that says how the new fields are stored"),
                          "overwrite": (False, "replace finished predictions")}),
    "sweep": (sweep, {"config": (None, "Python file with get_config() and sweep(), e.g. experiments/channels.py"),
                      "data": (None, "folder that prepare wrote"), "workdir": (None, "folder of the study"),
                      "list": (False, "show the runs and how far they are; train nothing"),
                      "index": ("all", "train this one run alone, by its number in --list, and score nothing"),
                      "final": (False, "score on the locked test split, and log in each run that it was opened"),
                      "require_accelerator": DEVICES["require_accelerator"]}),
    "demo": (demo, {"out": ("runs/demo", "folder to write"), "overwrite": (False, "replace an earlier demo")}),
}


# commands that run JAX
TRAINING = ("train", "sweep")
COMPUTING = (*TRAINING, "evaluate", "explain", "predict")

# command -> the function of configs/base.py that makes its config
KINDS = {"simulate": base.simulation, "prepare": base.preparation, "train": base.training,
         "predict": base.preparation}

# folder of a demo -> what shows that a command of ours made it
DEMO_MARKS = {"fields": ("simulation.json", "fields/*.ome.tif"), "data": ("provenance.json", "tfds/cells", ".work-*"),
              "run": ("config.json", ".lock")}


def _parser():
    parser = argparse.ArgumentParser(prog="launch.py", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (function, flags) in COMMANDS.items():
        note = ""
        if "config" in flags:
            note = "Config fields: --config.path.to.field=value; all are listed in configs/base.py."
        sub = commands.add_parser(name, help=function.__doc__, description=function.__doc__, epilog=note,
                                  allow_abbrev=False)
        for flag, (default, text) in flags.items():
            if default is False:
                sub.add_argument(f"--{flag}", action="store_true", help=text)
            else:
                kind = int if isinstance(default, int) else str
                shown = f" (default {default})" if default and kind is str else ""
                sub.add_argument(f"--{flag}", type=kind, required=default is None, default=default, help=text + shown)
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _folder(flag, path):
    if not pathlib.Path(path).is_dir():
        raise InputRefused(f"{flag}={path}: no such folder")
    return path


def _run_folder(arguments):
    """--workdir of a command about a run, which is told where its data set is now if --data says so."""
    folder = _folder("--workdir", arguments.workdir)
    files.require_writable(folder)
    if arguments.data:
        from cellcycle_jax import run_record

        run_record.say_where_data_are(folder, _folder("--data", arguments.data))
    return folder


def _new_folder(path):
    pathlib.Path(path).mkdir(parents=True, exist_ok=True)
    return path


def _is_of_a_demo(part):
    """Whether a folder below --out holds no file yet or carries the mark of the command that fills it."""
    if part.is_symlink() or not part.is_dir():
        return False
    empty = not any(path.is_file() for path in part.rglob("*"))
    return empty or any(any(part.glob(mark)) for mark in DEMO_MARKS[part.name])


def _tell_of_quarantined(command, listed):
    print(f"{command}: some files were set aside; see 'quarantined' in {listed}", file=sys.stderr)


def _say(what):
    print(f"wrote {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
