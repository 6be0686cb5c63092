"""`launch.py counterfactual`: what would have to change for a cell to be called otherwise."""

from cellcycle_jax.counterfactual.command import run_counterfactual
from cellcycle_jax.devices import mesh, runtime
from commands.folders import existing_folders, run_folder
from commands.messages import say


def run_command(arguments) -> None:
    """Move cells across to another class, and measure what changed."""
    runtime.prepare()
    mesh.require_device()
    others = existing_folders("--others", arguments.others)
    for sentence in run_counterfactual(run_folder(arguments), others):
        say(sentence)
    say(f"wrote {arguments.workdir}/counterfactual/counterfactual.json, cells.csv, and figures")
