"""The simulation's config as checked plain values."""

import dataclasses
import math
import numbers

from cellcycle_jax.errors import UsageError
from data_prep.simulation.lines import LINES


@dataclasses.dataclass(frozen=True)
class Cues:
    """One number per cue: either its growth from G1 to G2 (fraction), or its cell-to-cell spread (sd of the log)."""

    dna_content: float
    nuclear_area: float
    golgi_area: float
    golgi_scatter: float
    plus_end_density: float
    marker: float


@dataclasses.dataclass(frozen=True)
class Nuisance:
    """What differs between cells and fields and does not depend on age; units as in configs/base.py."""

    stain_cell: float
    stain_field: float
    illumination: float
    blur_um: tuple[float, float]
    photons: float
    read_noise: float
    debris: float
    touching: float
    mitotic: float


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything a simulation depends on; two equal settings give the same pixels."""

    seed: int
    lines: tuple[str, ...]
    fields_per_line: int
    field_size_px: int
    pixel_um: float
    cells_per_field: tuple[int, int]
    effects: Cues
    spread: Cues
    nuisance: Nuisance


# Field of the config -> lowest and highest value allowed. Effects beyond these no longer fit into a cell.
RANGES = {
    "seed": (0, 2**63 - 1),
    "fields_per_line": (1, 384),
    "field_size_px": (96, 4096),
    "pixel_um": (0.1, 2.0),
    "workers": (0, 1024),
    "effects.dna_content": (0, 2),
    "effects.nuclear_area": (0, 2),
    "effects.golgi_area": (0, 3),
    "effects.golgi_scatter": (0, 3),
    "effects.plus_end_density": (0, 3),
    "effects.marker": (0, 100),
    "spread.dna_content": (0, 1),
    "spread.nuclear_area": (0, 0.5),
    "spread.golgi_area": (0, 0.5),
    "spread.golgi_scatter": (0, 0.5),
    "spread.plus_end_density": (0, 0.5),
    "spread.marker": (0, 2),
    "nuisance.stain_cell": (0, 1),
    "nuisance.stain_field": (0, 1),
    "nuisance.illumination": (0, 0.9),
    "nuisance.photons": (1, 1e5),
    "nuisance.read_noise": (0, 1e3),
    "nuisance.debris": (0, 1000),
    "nuisance.touching": (0, 0.8),
    "nuisance.mitotic": (0, 0.5),
}
PAIRS = {"cells_per_field": (1, 10_000), "nuisance.blur_um": (0, 5)}
HIGHEST_COVERAGE = 0.35  # nuclei beyond this share of the field cannot be placed without overlap


def checked(config) -> Settings:
    """Read a config made by `configs.base.simulation`.

    Args:
        config: ConfigDict with the fields of `configs.base.simulation`.

    Returns:
        The same values, plain and frozen.

    Raises:
        UsageError: a value is out of range; the message names field, value found and what is allowed.
    """
    for name, (low, high) in RANGES.items():
        _refuse_unless_number(name, _value(config, name), low, high)
    for name, (low, high) in PAIRS.items():
        _refuse_unless_pair(name, _value(config, name), low, high)
    lines = tuple(config.lines)
    has_unknown = not set(lines) <= set(LINES)
    if not lines or has_unknown or len(set(lines)) < len(lines):
        raise UsageError(f"lines: found {lines}, allowed: one or more different names of {', '.join(LINES)}")
    fewest_cells, most_cells = config.cells_per_field
    newborn_um2 = max(LINES[name].nuclear_area_um2 for name in lines)
    largest_um2 = newborn_um2 * (1 + config.effects.nuclear_area / 2)
    field_um2 = (config.field_size_px * config.pixel_um) ** 2
    room = int(HIGHEST_COVERAGE * field_um2 / largest_um2)
    if most_cells > room:
        raise UsageError(
            f"cells_per_field: found up to {most_cells}, allowed: up to {room} "
            f"in a field of {config.field_size_px} px of {config.pixel_um} um"
        )
    return Settings(
        seed=int(config.seed),
        lines=lines,
        fields_per_line=int(config.fields_per_line),
        field_size_px=int(config.field_size_px),
        pixel_um=float(config.pixel_um),
        cells_per_field=(int(fewest_cells), int(most_cells)),
        effects=Cues(**config.effects),
        spread=Cues(**config.spread),
        nuisance=Nuisance(**config.nuisance),
    )


def _value(config, name):
    for part in name.split("."):
        config = config[part]
    return config


def _refuse_unless_number(name, value, low, high):
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise UsageError(f"{name}: found {value!r}, allowed: a number from {low:g} to {high:g}")
    if not low <= value <= high:
        raise UsageError(f"{name}: found {value:g}, allowed: {low:g} to {high:g}")


def _refuse_unless_pair(name, value, low, high):
    value = tuple(value)
    if len(value) != 2 or value[0] > value[1]:
        raise UsageError(f"{name}: found {value}, allowed: two numbers, the lower first")
    for number in value:
        _refuse_unless_number(name, number, low, high)
