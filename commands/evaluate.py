"""`launch.py evaluate`: scores of a run."""

from cellcycle_jax.devices import mesh, runtime
from cellcycle_jax.evaluation.evaluate import evaluate
from commands.folders import run_folder
from commands.messages import say


def run_command(arguments) -> None:
    """Score a run on its validation split, or with --final on the locked test split."""
    runtime.prepare()
    mesh.require_device()
    evaluate(run_folder(arguments), final=arguments.final)
    say(f"wrote {arguments.workdir}/evaluation.json, predictions.parquet")
