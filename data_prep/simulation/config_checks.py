"""What the fields of a simulation's config may hold."""

from cellcycle_jax import allowed_values
from cellcycle_jax.allowed_values import Allowed, pair_within, within
from cellcycle_jax.errors import UsageError
from data_prep.simulation.lines import LINES


def _lines(names, config):
    return 0 < len(names) == len(set(names)) and set(names) <= set(LINES)


# Effects beyond these no longer fit into a cell.
ALLOWED = (
    ("seed", within(0, 2**63 - 1)),
    ("lines", Allowed(f"one or more different names of {', '.join(LINES)}", _lines)),
    ("fields_per_line", within(1, 384)),
    ("field_size_px", within(96, 4096)),
    ("pixel_um", within(0.1, 2.0)),
    ("cells_per_field", pair_within(1, 10_000)),
    ("workers", within(0, 1024)),
    ("effects.dna_content", within(0, 2)),
    ("effects.nuclear_area", within(0, 2)),
    ("effects.golgi_area", within(0, 3)),
    ("effects.golgi_scatter", within(0, 3)),
    ("effects.plus_end_density", within(0, 3)),
    ("effects.marker", within(0, 100)),
    ("spread.dna_content", within(0, 1)),
    ("spread.nuclear_area", within(0, 0.5)),
    ("spread.golgi_area", within(0, 0.5)),
    ("spread.golgi_scatter", within(0, 0.5)),
    ("spread.plus_end_density", within(0, 0.5)),
    ("spread.marker", within(0, 2)),
    ("nuisance.stain_cell", within(0, 1)),
    ("nuisance.stain_field", within(0, 1)),
    ("nuisance.illumination", within(0, 0.9)),
    ("nuisance.blur_um", pair_within(0, 5)),
    ("nuisance.photons", within(1, 100_000)),
    ("nuisance.read_noise", within(0, 1000)),
    ("nuisance.debris", within(0, 1000)),
    ("nuisance.touching", within(0, 0.8)),
    ("nuisance.mitotic", within(0, 0.5)),
)
HIGHEST_COVERAGE = 0.35  # nuclei beyond this share of the field cannot be placed without overlap


def refuse_values(config) -> None:
    """Refuse values of a config made by `configs.base.simulation` that are out of range.

    Raises:
        UsageError: names the field, its value and what is allowed; also where a field has no room for its cells.
    """
    allowed_values.refuse_values(config, ALLOWED)
    most_cells = config.cells_per_field[1]
    newborn_um2 = max(LINES[name].nuclear_area_um2 for name in config.lines)
    largest_um2 = newborn_um2 * (1 + config.effects.nuclear_area / 2)
    field_um2 = (config.field_size_px * config.pixel_um) ** 2
    room = int(HIGHEST_COVERAGE * field_um2 / largest_um2)
    if most_cells > room:
        raise UsageError(
            f"config.cells_per_field={tuple(config.cells_per_field)}; allowed: up to {room} "
            f"in a field of {config.field_size_px} px of {config.pixel_um} um"
        )
