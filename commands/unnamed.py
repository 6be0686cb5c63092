"""`launch.py unnamed`: what the network uses that no measurement holds."""

from cellcycle_jax.devices import mesh, runtime
from cellcycle_jax.unnamed.command import run_unnamed
from commands.folders import run_folder
from commands.messages import say
from configs import base
from configs.load import changes


def run_command(arguments) -> None:
    """Train two networks on halves of the groups and say what of their use has no name."""
    runtime.prepare()
    mesh.require_device()
    sentences = run_unnamed(run_folder(arguments), changes(arguments.rest, base.training))
    for sentence in sentences:
        say(sentence)
    say(f"wrote {arguments.workdir}/unnamed/unnamed.json, cells.csv, places.csv, and figures")
