"""A tiny data set in the format of the real one; its classes differ in brightness of DNA and in a Golgi corner."""

import numpy as np

from cellcycle_jax import files, schema
from cellcycle_jax.dataset.crop_arrays import Crops
from cellcycle_jax.runs import run_record
from configs import base
from data_prep.dataset import tfds_builder

CHANNELS = ("DNA", "Golgi", "CENPF")
CLASSES = ("G1/S", "G2")
METADATA = {"channels": CHANNELS, "classes": CLASSES, "markers": ("CENPF",), "nucleus": "DNA", "stains": ("Golgi",),
            "group_by": "field"}
BACKGROUND = 100.0
REFERENCE = 200.0


def examples(split, n, size=16, seed=0, unlabelled=0):
    """Yield `n` cells; the last `unlabelled` have no label. Class 1 is twice as bright in DNA."""
    rng = np.random.default_rng((seed, schema.SPLITS.index(split)))
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    nucleus = y**2 + x**2 < (size / 3) ** 2
    for i in range(n):
        label = i % 2
        image = rng.normal(BACKGROUND, 5, (size, size, 3))
        image[..., 0] += nucleus * REFERENCE * (1 + label)
        image[: size // 2, :, 1] += REFERENCE * (0.5 + label)
        image[..., 2] += 1000 * label
        body = abs(x) < size / 2 - 1
        compartments = nucleus * int(schema.Compartment.NUCLEUS) + body * int(schema.Compartment.BODY)
        stats = np.tile(np.float32([BACKGROUND, BACKGROUND, 5, REFERENCE]), (3, 1))
        yield {
            "image": image.clip(0).astype(np.uint16),
            "image_scale": np.ones(3, np.float32),
            "compartments": compartments.astype(np.uint8),
            "compartments_present": np.uint8(9),
            "label": label if i < n - unlabelled else schema.NO_LABEL,
            "intensity_stats": stats,
            "um_per_px": np.float32(0.5),
            "cell_id": f"{split}-{i}",
            "group_id": f"{split}-{i // 4}",
            "field_id": f"{split}-{i // 4}",
            "well": f"A{i // 4}",
            "plate": "P1",
            "cell_line": "HeLa" if i % 4 < 2 else "RPE1",
        }


def crops(n=8, split="train", **options):
    """The same cells as `Crops`, without a file."""
    rows = list(examples(split, n, **options))
    columns = {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}
    columns["label"] = columns["label"].astype(np.int32)
    return Crops(**columns, **METADATA)


def write_provenance(folder, source="folder", **said):
    """Write DATA/provenance.json with the whole preparation config, as `prepare` does, and `said` beside it."""
    config = base.preparation()
    config.update_from_flattened_dict({"source": source, "channels.markers": ("CENPF",)})
    files.write_json(folder / "provenance.json", {
        "config": config.to_dict(), "channels": CHANNELS, "notes": [], "labels_are_intensity_of": "", **said})


def write_data(folder, train=32, validation=16, test=8, size=16, **options):
    """Write DATA/tfds/cells/2.0.0 with that many cells per split below `folder`, and return `folder`."""
    def cells(split, n):
        rows = list(examples(split, n, size=size, **options))
        return tfds_builder.Cells([row["cell_id"] for row in rows], rows.__getitem__)

    counts = {"train": train, "validation": validation, "test": test}
    write_provenance(folder)
    metadata = {name: list(value) if isinstance(value, tuple) else value for name, value in METADATA.items()}
    tfds_builder.write(
        folder / "tfds", (size, size, 3), metadata, {split: cells(split, n) for split, n in counts.items()}
    )
    return folder


def run_record_of(data_dir, channels=("DNA", "Golgi"), classes=CLASSES) -> dict:
    """The record of a run with the default training config, as RUN/config.json holds it."""
    record = {
        "training": files.to_json(base.training().to_dict()),
        "channels": list(channels),
        "classes": list(classes),
        "markers": ["CENPF"],
        "crop_px": 16,
        "data_sha256": "0" * 64,
    }
    return record | {"run_id": run_record.hash_of(record), "data_dir": str(data_dir)}
