"""`launch.py train`: a model trained on a data set."""

from cellcycle_jax.devices import mesh, runtime
from cellcycle_jax.training.loop import train
from commands.folders import existing_folder, new_folder
from commands.messages import say


def run_command(arguments) -> None:
    """Train a model; go on where an earlier call was interrupted."""
    runtime.prepare()
    mesh.start(arguments.require_accelerator, arguments.coordinator, arguments.processes, arguments.process)
    train(arguments.config, existing_folder("--data", arguments.data), new_folder(arguments.workdir))
    say(f"wrote {arguments.workdir}/checkpoints, metrics.jsonl")
