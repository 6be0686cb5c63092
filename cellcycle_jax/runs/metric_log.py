"""What is written while training: metrics line by line, and the environment once."""

import importlib.metadata
import json
import pathlib
import platform

import jax

from cellcycle_jax import files

METRICS = "metrics.jsonl"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy", "cellcycle_jax")


def append(workdir, record: dict) -> None:
    """Add one line of JSON, which holds `step`, to RUN/metrics.jsonl; an event is on the disk when this returns."""
    files.append_json_line(pathlib.Path(workdir) / METRICS, record, synced="event" in record)


def read(workdir) -> list[dict]:
    """The records of RUN/metrics.jsonl; a line that a crash cut off, or that is damaged, is left out."""
    return files.read_json_lines(pathlib.Path(workdir) / METRICS)


def rewind(workdir, step: int) -> None:
    """Take back the scores after `step`, which a continued run writes again; events stay."""
    records = [record for record in read(workdir) if record["step"] <= step or "event" in record]
    rewrite(workdir, records)


def rewrite(workdir, records: list[dict]) -> None:
    """Make RUN/metrics.jsonl hold these records and no others."""
    lines = [json.dumps(record) + "\n" for record in records]
    files.write_text(pathlib.Path(workdir) / METRICS, "".join(lines))


def environment() -> dict:
    """Versions and devices, without names of hosts, users or folders."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    devices = jax.devices()
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "packages": versions,
        "platform": devices[0].platform,
        "devices": [device.device_kind for device in devices],
        "processes": jax.process_count(),
    }
