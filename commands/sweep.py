"""`launch.py sweep`: all runs of a study, and its table."""

from cellcycle_jax.devices import mesh, runtime
from cellcycle_jax.studies.sweep import run_sweep
from commands.folders import existing_folder


def run_command(arguments) -> None:
    """Train all runs, or one, or list them."""
    runtime.prepare()
    mesh.start(arguments.require_accelerator)
    run_sweep(
        arguments.study,
        existing_folder("--data", arguments.data),
        arguments.workdir,
        arguments.list,
        arguments.index,
        arguments.final,
        arguments.workers,
    )
