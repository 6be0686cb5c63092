"""The unit of work of a study: one network trained, evaluated and explained, in this process.

The networks of a study share the data set, which is opened once and of which each cell is decoded once, and the
compiled programs of networks of the same shapes. Each leaves the run folder that the commands leave.
"""

import dataclasses
import pathlib

from cellcycle_jax import files
from cellcycle_jax.evaluation.evaluate import evaluate
from cellcycle_jax.explain.command import run_explain
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.training import loop


@dataclasses.dataclass(frozen=True)
class FinishedNetwork:
    """What was found out about a network.

    Attributes:
        workdir: its run folder.
        evaluation: what evaluation_<split>.json holds.
        passport: what explain/passport.json holds; None where it was not explained.
    """

    workdir: pathlib.Path
    evaluation: dict
    passport: dict | None


def finish(config, data: OpenData, workdir, final: bool = False, explain: bool = True) -> FinishedNetwork:
    """Train, evaluate and explain a network; what is finished in its folder is read back.

    Args:
        config: training config.
        data: the data set, which all networks of the study share.
        workdir: run folder.
        final: whether to score it on the locked test split instead of the validation split.
        explain: whether to explain it.

    Raises:
        As `loop.train`, `evaluate` and `run_explain`; NonFiniteLoss says that this network diverged, and others can go
        on.
    """
    workdir = pathlib.Path(workdir)
    evaluation = workdir / ("evaluation_test.json" if final else "evaluation_validation.json")
    passport = workdir / "explain" / "passport.json"
    if not evaluation.is_file():
        loop.train(config, data, workdir)
        evaluate(workdir, final, data)
    if explain and not passport.is_file():
        run_explain(workdir, data=data)
    return FinishedNetwork(
        workdir=workdir,
        evaluation=files.read_json(evaluation),
        passport=files.read_json(passport) if explain else None,
    )
