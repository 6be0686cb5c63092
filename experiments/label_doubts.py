"""Does `prepare` doubt the labels that it should doubt, and no others?

    python -m experiments.label_doubts

Markers with two humps and with one, and plates whose fields are partly arrested in G2, drawn from known distributions.
Simulated values check the rules; they say nothing of real markers. README.md holds question, command and result. Some
minutes on 2 cores.
"""

import argparse
import itertools

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import schema
from configs import base
from data_prep.intensity import scaling
from data_prep.labelling import marker_cut, methods

SD = 0.6  # of a hump of a marker, log2
STAIN_SD = 0.12  # of the stain of a field, log
DNA_SD = 0.1  # of the DNA of a nucleus, log
# Shares of cells in G1, S and G2.
USUAL = (0.65, 0.20, 0.15)
RICH_IN_S = (0.20, 0.65, 0.15)
MOSTLY_G2 = (0.15, 0.10, 0.75)
ARRESTED = (0.05, 0.05, 0.90)


def two_humps(rng, n, share, apart):
    """Marker f64 [n] of cells of which `share` are in a second hump, `apart` standard deviations higher."""
    is_high = rng.random(n) < share
    return rng.normal(6.5 + SD * apart * is_high, SD)


def rising_through_s(rng, n):
    """Marker f64 [n] that is low in G1, rises evenly in S and is high in G2."""
    phase = rng.choice(3, n, p=(0.55, 0.30, 0.15))
    level = np.choose(phase, [np.full(n, 6.0), rng.uniform(6, 9, n), np.full(n, 9.0)])
    return rng.normal(level, 0.4)


# name -> function of (generator, number of cells)
MARKERS = {
    "one Gaussian": lambda rng, n: rng.normal(8, SD, n),
    "one hump with a tail (gamma)": lambda rng, n: 7 + rng.gamma(2, 0.5, n),
    "one hump with heavy tails (t, 3)": lambda rng, n: 8 + 0.5 * rng.standard_t(3, n),
    "flat (uniform)": lambda rng, n: rng.uniform(6, 10, n),
    "5.6 sd apart, 14 % high": lambda rng, n: two_humps(rng, n, 0.14, 5.6),
    "5.6 sd apart, 3 % high": lambda rng, n: two_humps(rng, n, 0.03, 5.6),
    "4 sd apart, 14 % high": lambda rng, n: two_humps(rng, n, 0.14, 4.0),
    "3 sd apart, 14 % high": lambda rng, n: two_humps(rng, n, 0.14, 3.0),
    "rising through S": rising_through_s,
}
ABSTAIN = 0.05  # as configs/base.py has it; what humps there are does not depend on it
SIZES = (50, 200, 1000)  # cells of a plate
# name -> (fields, shares, stain) of the two kinds of fields on a plate; 60 nuclei each
PLATES = {
    "all usual": ((20, USUAL, 1.0), (0, USUAL, 1.0)),
    "all rich in S": ((20, RICH_IN_S, 1.0), (0, USUAL, 1.0)),
    "3 stained twice as much": ((17, USUAL, 1.0), (3, USUAL, 2.0)),
    "3 with 75 % in G2": ((17, USUAL, 1.0), (3, MOSTLY_G2, 1.0)),
    "3 with 90 % in G2": ((17, USUAL, 1.0), (3, ARRESTED, 1.0)),
    "10 with 90 % in G2": ((10, USUAL, 1.0), (10, ARRESTED, 1.0)),
    "15 with 90 % in G2": ((5, USUAL, 1.0), (15, ARRESTED, 1.0)),
}
NUCLEI = 60


def marker_rows(repeats: int, rng) -> pd.DataFrame:
    """How often each marker is found to show two humps, perhaps two, or one."""
    rows = []
    for name, n in tqdm(list(itertools.product(MARKERS, SIZES)), desc="markers"):
        shares = dict.fromkeys(marker_cut.Humps, 0.0)
        for _ in range(repeats):
            cut = marker_cut.two_gaussian_cuts(MARKERS[name](rng, n), ABSTAIN)
            shares[marker_cut.humps(cut)] += 1 / repeats
        rows.append({"marker": name, "cells": n, **shares})
    return pd.DataFrame(rows)


def plate_of(rng, kinds) -> pd.DataFrame:
    """Nuclei of a plate as `prepare` measures them, with the phase of each and whether its field is of the first kind.

    Args:
        rng: generator.
        kinds: two of (fields, shares of phases, stain).
    """
    parts = []
    for kind, (n_fields, shares, stain) in enumerate(kinds):
        for index in range(n_fields):
            phase = rng.choice(3, NUCLEI, p=shares)
            content = np.choose(phase, [np.ones(NUCLEI), rng.uniform(1, 2, NUCLEI), np.full(NUCLEI, 2.0)])
            of_field = stain * np.exp(rng.normal(0, STAIN_SD))
            integrated = of_field * content * np.exp(rng.normal(0, DNA_SD, NUCLEI))
            parts.append(pd.DataFrame({
                schema.PLATE: "plate",
                schema.FIELD: f"{kind}-{index:02d}",
                schema.Working.AREA_PX: 100.0,
                schema.integrated("DNA"): integrated,
                schema.reference_column("DNA"): scaling.g1_peak(integrated) / 100.0,
                "Nuclei_AreaShape_Solidity": 0.95,
                "kind": kind,
                "phase": phase,
            }))
    return pd.concat(parts, ignore_index=True)


def plate_rows(repeats: int, rng) -> pd.DataFrame:
    """Of each plate: fields of both kinds that are labelled, 2N labels on cells in G2, and how often it is doubted."""
    config = base.preparation()
    config.labels.method = "dna_content"
    rows = []
    for name, kinds in tqdm(PLATES.items(), desc="plates"):
        labelled_fields = np.zeros(2)
        wrong = 0.0
        doubted = 0
        for _ in range(repeats):
            table = plate_of(rng, kinds)
            found = methods.label_cells(table, config.channels, config.labels)
            has_label = found.label != schema.NO_LABEL
            for kind in (0, 1):
                of_kind = table[has_label & (table["kind"] == kind)]
                labelled_fields[kind] += of_kind[schema.FIELD].nunique()
            is_low = found.label == 0
            wrong += (table["phase"][is_low] == 2).mean()
            doubted += bool(found.doubts)
        rows.append({
            "plate of 20 fields": name,
            "others labelled": f"{labelled_fields[0] / repeats:.1f} of {kinds[0][0]}",
            "these labelled": f"{labelled_fields[1] / repeats:.1f} of {kinds[1][0]}",
            "2N labels in G2": wrong / repeats,
            "doubted": doubted / repeats,
        })
    return pd.DataFrame(rows)


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200, help="draws of each marker")
    parser.add_argument("--plates", type=int, default=40, help="draws of each plate")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    markers = marker_rows(arguments.repeats, rng)
    plates = plate_rows(arguments.plates, rng)
    print(f"\n{markers.to_string(index=False, float_format='{:.2f}'.format)}")
    print(f"\n{plates.to_string(index=False, float_format='{:.3f}'.format)}")


if __name__ == "__main__":
    main()
