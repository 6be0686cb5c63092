"""What to do once a command is done, in a line that can be typed."""

import pathlib

from commands.messages import as_typed, say


def say_next(arguments) -> None:
    """Say what to do next, unless the command has said it itself.

    Args:
        arguments: what was typed, as `commands.parsing.parse` returns it.
    """
    if arguments.command in NEXT:
        say(NEXT[arguments.command](arguments))


def _after_simulate(arguments):
    name = pathlib.Path(arguments.out).absolute().name
    command = as_typed(
        "prepare", "--config=configs/data/simulated.py", f"--fields={arguments.out}", f"--out=data/{name}"
    )
    return f"next: {command}"


def _after_prepare(arguments):
    if arguments.config.labels.method == "none":
        return (f"look at {arguments.out}/qc; without labels nothing can be trained on it (config.labels.method), and "
                "predict takes the fields as they are")
    name = pathlib.Path(arguments.out).absolute().name
    command = as_typed("train", "--config=configs/default.py", f"--data={arguments.out}", f"--workdir=runs/{name}")
    return f"look at {arguments.out}/qc, then: {command}"


def _after_train(arguments):
    return _then("evaluate", arguments)


def _after_evaluate(arguments):
    return _then("report" if arguments.final else "explain", arguments)


def _after_explain(arguments):
    return _then("discover", arguments)


def _after_discover(arguments):
    return _then("report", arguments)


def _after_unnamed(arguments):
    return _then("report", arguments)


def _after_counterfactual(arguments):
    return _then("report", arguments)


def _after_report(arguments):
    command = as_typed("evaluate", f"--workdir={arguments.workdir}", "--final")
    return f"open {arguments.workdir}/report.html; once nothing is to be changed any more: {command}"


def _after_predict(arguments):
    return f"look at {arguments.out}/overlays; {arguments.out}/cells.csv has a row per object"


def _after_run(arguments):
    if arguments.config.labels.method == "none":
        return f"look at {arguments.out}/data/qc; without labels there is nothing to train (config.labels.method)"
    return f"open {arguments.out}/run/report.html"


def _then(command, arguments):
    return f"next: {as_typed(command, f'--workdir={arguments.workdir}')}"


# command -> what to do after it
NEXT = {
    "simulate": _after_simulate,
    "prepare": _after_prepare,
    "train": _after_train,
    "evaluate": _after_evaluate,
    "explain": _after_explain,
    "discover": _after_discover,
    "unnamed": _after_unnamed,
    "counterfactual": _after_counterfactual,
    "report": _after_report,
    "predict": _after_predict,
    "run": _after_run,
}
