"""`launch.py discover`: measured features that separate the classes."""

from cellcycle_jax.features.discover import run_discover
from commands.folders import run_folder
from commands.messages import say


def run_command(arguments) -> None:
    """Rank measured features, and pairs of them."""
    run_discover(run_folder(arguments))
    say(f"wrote {arguments.workdir}/features")
