"""`launch.py prepare`: a folder of fields becomes a data set."""

from commands.folders import new_folder
from commands.messages import say, say_what_was_excluded
from data_prep.prepare import prepare


def run_command(arguments) -> int:
    """Find, measure, label, split and pack the cells; returns EXIT_QUARANTINED where files were excluded, else 0."""
    code = prepare(
        arguments.config,
        arguments.fields,
        new_folder(arguments.out),
        arguments.labels,
        arguments.overwrite,
        arguments.strict,
        arguments.keep,
    )
    say(f"wrote {arguments.out}/cells.parquet, tfds, qc, provenance.json")
    if code:
        say_what_was_excluded("prepare", f"{arguments.out}/provenance.json")
    return code
