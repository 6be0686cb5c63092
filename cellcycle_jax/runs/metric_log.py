"""What is written while training: metrics line by line, and the environment once."""

import importlib.metadata
import json
import os
import pathlib
import platform

import jax

from cellcycle_jax import files

METRICS = "metrics.jsonl"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy", "cellcycle_jax")


def append(workdir, record: dict) -> None:
    """Add one line of JSON, which holds `step`, to RUN/metrics.jsonl; an event is on the disk when this returns."""
    line = json.dumps(record, allow_nan=False) + "\n"
    with open(pathlib.Path(workdir) / METRICS, "a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # a line that a kill cut off, which would swallow this one
                line = "\n" + line
        file.write(line.encode())
        file.flush()
        if "event" in record:
            os.fsync(file.fileno())


def read(workdir) -> list[dict]:
    """The records of RUN/metrics.jsonl; a line that a crash cut off, or that is damaged, is left out."""
    path = pathlib.Path(workdir) / METRICS
    if not path.is_file():
        return []
    records = []
    for line in path.read_bytes().splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


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
