"""`launch.py explain`: what drives the predictions of a run, and whether that can be trusted."""

from cellcycle_jax.devices import mesh, runtime
from cellcycle_jax.explain.command import run_explain
from commands.folders import existing_folders, run_folder
from commands.messages import say
from configs import base
from configs.load import changes


def run_command(arguments) -> None:
    """Write maps, checks and the passport of a run's validation cells."""
    runtime.prepare()
    mesh.require_device()
    others = existing_folders("--others", arguments.others)
    changed = changes(arguments.rest, base.training)
    run_explain(run_folder(arguments), arguments.tap, others, changed)
    say(f"wrote {arguments.workdir}/explain/passport.json, attribution.parquet, maps.npz")
