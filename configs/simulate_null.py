"""Fields in which nothing tells the phases apart but the marker that labels them: what a score of chance looks like.

    python launch.py simulate --config=configs/simulate_null.py --out=runs/null_fields
"""

from configs import base


def get_config():
    c = base.simulation()
    for cue in ("dna_content", "nuclear_area", "golgi_area", "golgi_scatter", "plus_end_density"):
        c.effects[cue] = 0.0
    return c
