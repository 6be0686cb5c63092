"""`launch.py discover`: measured features that separate the classes."""

from cellcycle_jax.features.discover import run_discover
from commands.folders import run_folder
from commands.messages import say


def run_command(arguments) -> None:
    """Rank measured features, and pairs of them."""
    found = run_discover(run_folder(arguments))
    say(found["sentence"])
    say(found["rule_to_take_away"])
    say(f"wrote {arguments.workdir}/features")
