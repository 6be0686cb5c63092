"""Configs as they were stored in runs, predictors, data sets and studies -> configs as this version knows them.

A field that did not exist yet when a config was stored gets the value that does what was done before (`added`), and one
that had another name its name of today (`old_names`). Whatever else does not fit is refused: a field that is missing,
one that this version does not know, a value of another type. So no code that reads a stored config meets one of another
version.
"""

import dataclasses

from cellcycle_jax import old_names
from cellcycle_jax.errors import StoredStateRefused

NUMBER = (int, float)


@dataclasses.dataclass(frozen=True)
class Kind:
    """The fields of one kind of config: {path.to.field: type}, tuples being lists in JSON."""

    fields: dict[str, type | tuple[type, ...]]
    added: dict[str, object]  # field that came later -> the value that does what was done before it


TRAINING = Kind(
    fields={
        "seed": int,
        "data.channels": list,
        "data.cell_lines": list,
        "data.mask": str,
        "data.scale": str,
        "data.labels": str,
        "data.placement": str,
        "model.name": str,
        "model.filters": int,
        "model.depth": int,
        "model.dropout": NUMBER,
        "model.dtype": str,
        "model.options": list,
        "augment.flip": bool,
        "augment.rotate_deg": NUMBER,
        "augment.shift": NUMBER,
        "augment.scale": NUMBER,
        "augment.intensity": NUMBER,
        "optimizer.name": str,
        "optimizer.learning_rate": NUMBER,
        "optimizer.weight_decay": NUMBER,
        "optimizer.schedule": str,
        "train.batch_size": int,
        "train.steps": int,
        "train.eval_every": int,
        "train.kept_weights": str,
        "train.patience": int,
        "train.balance_classes": bool,
        "train.checkpoint_every": int,
        "train.wandb": str,
        "evaluate.interval_level": NUMBER,
        "predict.min_confidence": NUMBER,
        "predict.note": str,
        "explain.tap": str,
        "explain.cells_per_class": int,
        "explain.limits.surroundings": NUMBER,
        "explain.limits.brightness": NUMBER,
        "explain.limits.shortcut_interval_level": NUMBER,
        "explain.limits.batch_auroc": NUMBER,
        "explain.limits.map_correlation": NUMBER,
        "explain.limits.trivial_correlation": NUMBER,
        "explain.limits.edit_slope": NUMBER,
        "explain.limits.region_share": NUMBER,
        "explain.limits.explained_r2": NUMBER,
        "explain.limits.unnamed_share": NUMBER,
        "explain.limits.small_gap": NUMBER,
        "discover.n_candidates": int,
    },
    added={
        "data.labels": "original",
        "data.placement": "auto",
        "model.dtype": "float32",
        "model.options": [],
        "train.kept_weights": "best",
        "predict.min_confidence": 0.8,
        "predict.note": "",
        "explain.limits.surroundings": 0.1,
        "explain.limits.brightness": 0.3,
        "explain.limits.shortcut_interval_level": 0.99,
        "explain.limits.batch_auroc": 0.6,
        "explain.limits.map_correlation": 0.5,
        "explain.limits.trivial_correlation": 0.5,
        "explain.limits.edit_slope": 0.1,
        "explain.limits.region_share": 0.1,
        "explain.limits.explained_r2": 0.1,
        "explain.limits.unnamed_share": 0.1,
        "explain.limits.small_gap": 0.05,
    },
)

PREPARATION = Kind(
    fields={
        "source": str,
        "name_pattern": str,
        "channel_codes": list,
        "channel_names": list,
        "pixel_um": NUMBER,
        "cell_line": str,
        "projection": str,
        "rgb": list,
        "sidecar": str,
        "labels_folder": str,
        "workers": int,
        "scheduler": str,
        "max_fields": int,
        "channels.nucleus": str,
        "channels.stains": list,
        "channels.markers": list,
        "illumination": str,
        "segmentation.method": str,
        "segmentation.nucleus_diameter": NUMBER,
        "measurements": list,
        "reference.by": str,
        "reference.nucleus": str,
        "quality.min_area": NUMBER,
        "quality.max_area": NUMBER,
        "quality.min_solidity": NUMBER,
        "quality.min_focus": NUMBER,
        "quality.max_saturated": NUMBER,
        "quality.mitotic_brightness": NUMBER,
        "crop.size_px": int,
        "crop.um_per_px": NUMBER,
        "crop.assumed_um_per_px": NUMBER,
        "crop.cell_margin_um": NUMBER,
        "labels.method": str,
        "labels.classes": list,
        "labels.abstain": NUMBER,
        "labels.one_hump": str,
        "labels.low_range": list,
        "labels.high_range": list,
        "labels.min_cells": int,
        "labels.table": str,
        "labels.column": str,
        "labels.mapping": list,
        "split.by": str,
        "split.fractions": list,
        "split.seed": int,
        "split.column": str,
    },
    added={
        "channel_codes": [],
        "projection": "max",
        "rgb": [],
        "sidecar": "",
        "labels_folder": "",
        "scheduler": "",
        "crop.assumed_um_per_px": -1.0,  # crops kept the field's pixels
        "measurements": [],
        "reference.by": "field",
        "reference.nucleus": "g1_peak",
        "labels.one_hump": "label",
        "labels.table": "",
        "labels.column": "",
        "labels.mapping": [],
        "split.column": "",
    },
)


def read(stored, kind: Kind, where: str) -> dict:
    """A stored config with all fields of today.

    Args:
        stored: what a JSON file holds.
        kind: TRAINING or PREPARATION.
        where: the file and the part of it, for the error.

    Returns:
        Nested dicts with exactly the fields of `kind`.

    Raises:
        StoredStateRefused: it is no such config; names the field, and what is allowed.
    """
    if not isinstance(stored, dict):
        raise StoredStateRefused(f"{where}: is {type(stored).__name__} where a config belongs; the file is damaged")
    values = old_names.config_of_today(flat(stored))
    unknown = sorted(values.keys() - kind.fields.keys())
    if unknown:
        raise StoredStateRefused(
            f"{where}: field {unknown[0]} is not known to this version, so the file is damaged or of a later one; "
            "use the version that wrote it"
        )
    result = {}
    for name, allowed in kind.fields.items():
        if name not in values and name not in kind.added:
            raise StoredStateRefused(f"{where}: field {name} is missing, so the file is damaged")
        value = values.get(name, kind.added.get(name))
        if not _is_a(value, allowed):
            raise StoredStateRefused(f"{where}: {name} is {value!r}; allowed: {_words(allowed)}; the file is damaged")
        _put(result, name.split("."), value)
    return result


def _is_a(value, allowed) -> bool:
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, bool) and allowed is not bool:
        return False  # JSON's true is no 1
    return isinstance(value, allowed)


def _words(allowed) -> str:
    words = {
        NUMBER: "a number",
        int: "a whole number",
        str: "text",
        list: "a list",
        bool: "true or false",
    }
    return words[allowed]


def _put(tree, path, value):
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def differences(stored: dict, current: dict, ignored: tuple[str, ...] = ()) -> list[str]:
    """What differs between two trees, as words; fields that end in one of `ignored` may."""
    stored = flat(stored)
    current = flat(current)
    differing = []
    for name in sorted(stored.keys() | current.keys()):
        if not name.endswith(ignored) and stored.get(name) != current.get(name):
            differing.append(f"{name} is {stored.get(name)!r} there and {current.get(name)!r} now")
    return differing


def flat(tree, prefix: str = "") -> dict:
    """Nested dicts as one, with names joined by points."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    fields = {}
    for name, subtree in tree.items():
        fields |= flat(subtree, f"{prefix}.{name}".lstrip("."))
    return fields
