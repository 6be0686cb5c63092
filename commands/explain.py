"""`launch.py explain`: where a run looks, and whether that is true."""

from cellcycle_jax.devices import mesh, runtime
from cellcycle_jax.explain.command import run_explain
from commands.folders import existing_folder, run_folder
from commands.messages import say


def run_command(arguments) -> None:
    """Write maps, checks and the passport of a run's validation cells."""
    runtime.prepare()
    mesh.require_device()
    others = []
    for other in arguments.others.split(","):
        if other:
            others.append(existing_folder("--others", other))
    run_explain(run_folder(arguments), arguments.tap, others)
    say(f"wrote {arguments.workdir}/explain/passport.json, attribution.parquet, maps.npz")
