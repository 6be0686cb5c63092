"""`launch.py simulate`: fields with a known answer."""

from commands.folders import new_folder
from commands.messages import say
from data_prep.simulation.simulate import simulate


def run_command(arguments) -> None:
    """Write fields with a known answer."""
    simulate(arguments.config, new_folder(arguments.out))
    say(f"wrote {arguments.out}/fields, labels, truth.parquet")
