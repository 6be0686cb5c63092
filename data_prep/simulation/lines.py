"""The looks and the clock of each simulated cell line. Sizes are those of a newborn cell."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Line:
    """A cell line: when its phases begin, how large its parts are, and what its chromatin and Golgi look like."""

    name: str
    s_start: float  # age at which S begins, fraction of the cycle
    g2_start: float  # age at which G2 begins
    nuclear_area_um2: float
    aspect: tuple[float, float]  # range of the nucleus' length over width
    irregularity: float  # sd of the nuclear outline's harmonics, fraction of the radius
    edge_softness: float  # how much thinner the nucleus is at its edge: 0 flat, 0.5 a ball
    chromatin_texture: float  # sd of the log chromatin density
    nucleoli: tuple[int, int]  # range of the number of nucleoli
    nucleolus_depth: float  # fraction of the DNA missing in a nucleolus
    chromocentres: tuple[int, int]  # range of the number of bright heterochromatin spots
    golgi_area_um2: float
    golgi_scatter_um: float  # sd of the places of its stacks and vesicles along the nuclear rim
    golgi_ribbon: float  # 0: stacks lie in all directions; 1: along the nuclear rim, as one ribbon
    plus_end_density_per_um2: float
    body_um: float  # how far the cell's body reaches beyond its nucleus
    body_stretch: float  # how much farther it reaches along the cell's long axis, fraction


LINES = {
    "HeLa": Line(
        name="HeLa",
        s_start=0.45,
        g2_start=0.80,
        nuclear_area_um2=150.0,
        aspect=(1.1, 1.5),
        irregularity=0.030,
        edge_softness=0.30,
        chromatin_texture=0.20,
        nucleoli=(2, 5),
        nucleolus_depth=0.60,
        chromocentres=(0, 0),
        golgi_area_um2=22.0,
        golgi_scatter_um=2.8,
        golgi_ribbon=0.55,
        plus_end_density_per_um2=0.100,
        body_um=9.0,
        body_stretch=0.20,
    ),
    "RPE1": Line(
        name="RPE1",
        s_start=0.42,
        g2_start=0.78,
        nuclear_area_um2=185.0,
        aspect=(1.25, 1.6),
        irregularity=0.010,
        edge_softness=0.12,
        chromatin_texture=0.08,
        nucleoli=(1, 3),
        nucleolus_depth=0.35,
        chromocentres=(0, 0),
        golgi_area_um2=23.0,
        golgi_scatter_um=2.2,
        golgi_ribbon=0.90,
        plus_end_density_per_um2=0.085,
        body_um=11.0,
        body_stretch=0.35,
    ),
    "NIH3T3": Line(
        name="NIH3T3",
        s_start=0.43,
        g2_start=0.79,
        nuclear_area_um2=160.0,
        aspect=(1.15, 1.5),
        irregularity=0.014,
        edge_softness=0.22,
        chromatin_texture=0.07,
        nucleoli=(1, 3),
        nucleolus_depth=0.30,
        chromocentres=(10, 25),
        golgi_area_um2=22.0,
        golgi_scatter_um=2.6,
        golgi_ribbon=0.75,
        plus_end_density_per_um2=0.090,
        body_um=10.0,
        body_stretch=0.55,
    ),
}
