"""`launch.py report`: a page about a run."""

from cellcycle_jax.report.page import write_report
from commands.folders import run_folder
from commands.messages import say


def run_command(arguments) -> None:
    """Write one self-contained page."""
    write_report(run_folder(arguments))
    say(f"wrote {arguments.workdir}/report.html")
