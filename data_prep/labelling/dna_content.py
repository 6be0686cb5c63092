"""Labels by DNA content: two classes by integrated DNA over the G1 peak of a field.

They rest on the peak, so it is doubted: a field whose cells are nearly all in G2, or tetraploid, has its highest peak
at what is G2 elsewhere, and by itself it looks like any other.
"""

import numpy as np
import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.errors import UsageError
from cellcycle_jax.schema import Working
from data_prep.intensity import scaling
from data_prep.labelling.labelled import Labelled

TWICE = (1.6, 2.4)  # how many times as high a peak is that is called twice as high
# Log likelihoods by which a position half or twice as high may be less likely than the G1 peak, and is still one; usual
# fields have no other so likely one (experiments/label_doubts.py).
NEARLY_AS_LIKELY = 10.0
# Log likelihoods per nucleus by which the G1 peak of the plate may be less likely than the field's own. It tells fields
# whose nuclei are all in G2 from usual ones that are stained twice as much (experiments/label_doubts.py).
STILL_POSSIBLE = 0.85
SEVERAL = 0.2  # share of a plate's fields that have their peak at the same place
NEAR = 1.4  # times at most that peaks of one place differ
POSITIONS = 201  # that are tried for another peak
SAME = 1.2  # times at most that a peak is moved to be that of the plate
FEW_OF_PLATE = 0.25  # share of a plate's fields at half or twice the others, from which it is open which of them is G1
LEAST_FIELDS = 3  # of a plate, for a peak to be held against the others
# Of nuclei of the first class are less convex than one that counts as two that touch.
LEAST_CONVEX = 0.05
MOST_NAMED = 3  # fields in a sentence


def by_dna_content(table, channels, labelling) -> Labelled:
    """Two classes by integrated DNA over the field's own G1 peak; between and outside the two ranges no label.

    These are pseudo-labels: they are computed from the nuclear channel itself. Not labelled are fields with fewer than
    labels.min_cells usable nuclei, fields whose G1 peak may be their G2 peak, and nuclei in the second range that look
    like two.

    Raises:
        UsageError: the two ranges overlap.
    """
    if not labelling.low_range[1] < labelling.high_range[0]:
        low, high = tuple(labelling.low_range), tuple(labelling.high_range)
        raise UsageError(f"config.labels.low_range={low} and labels.high_range={high} overlap; "
                         "low must end where high has not begun")
    integrated = table[schema.integrated(channels.nucleus)]
    reference = table[schema.reference_column(channels.nucleus)]
    peak = reference * table.groupby(schema.PLATE)[Working.AREA_PX].transform("median")
    value = (integrated / peak).to_numpy()
    cells_of_field = table.groupby(schema.FIELD)[schema.FIELD].transform("size").to_numpy()
    has_peak = cells_of_field >= labelling.min_cells
    nuclei = pd.DataFrame({
        "plate": table[schema.PLATE],
        "field": table[schema.FIELD],
        "integrated": integrated,
        "peak": peak,
    })
    fields, doubts = _fields_in_doubt(nuclei[has_peak])
    is_sure = has_peak & ~nuclei["field"].isin(fields).to_numpy()
    is_low = is_sure & (value >= labelling.low_range[0]) & (value <= labelling.low_range[1])
    in_high = is_sure & (value >= labelling.high_range[0]) & (value <= labelling.high_range[1])
    is_two = in_high & _like_two_nuclei(table, is_low)
    label = np.select([is_low, in_high & ~is_two], [0, 1], schema.NO_LABEL)
    cuts = {}
    for plate in sorted(set(table[schema.PLATE])):
        cuts[plate] = {
            "low_from": labelling.low_range[0],
            "low": labelling.low_range[1],
            "high": labelling.high_range[0],
            "high_to": labelling.high_range[1],
        }
    notes = [f"Fields without labels: {why}: {_named(names)}." for why, names in _by_reason(fields).items()]
    if is_two.any():
        notes.append(
            f"{is_two.sum()} of {in_high.sum()} nuclei with the DNA of {labelling.classes[1]} have no label: they are "
            f"less convex than {1 - LEAST_CONVEX:.0%} of {labelling.classes[0]} nuclei, as two that touch."
        )
    axis = f"integrated {channels.nucleus} (G1 peak = 1)"
    return Labelled(label.astype(np.int64), value, axis, cuts, doubts=tuple(doubts), notes=tuple(notes))


def _fields_in_doubt(nuclei) -> tuple[dict[str, str], list[str]]:
    """Fields whose G1 peak may be none, each with the reason, and what that makes doubtful of the others.

    Args:
        nuclei: table with plate, field, integrated, and peak, that of the field or of all fields of the plate.
    """
    fields = {}
    doubts = []
    for (_, peak), rows in nuclei.groupby(["plate", "peak"]):
        if _has_second_peak(rows["integrated"].to_numpy(), peak):
            fields |= dict.fromkeys(rows["field"], "a G1 peak half or twice as high is nearly as likely")
    for plate, rows in nuclei.groupby("plate"):
        peaks = rows.groupby("field")["peak"].first()
        if len(peaks) < LEAST_FIELDS:
            continue
        of_plate = _lowest_of_many(peaks.to_numpy())
        all_in_g2 = []
        for name in peaks.index[_is_twice(peaks / of_plate)]:
            integrated = rows.loc[rows["field"] == name, "integrated"].to_numpy()
            if _is_possible(integrated, peaks[name], of_plate):
                all_in_g2.append(name)
        fields |= dict.fromkeys(all_in_g2, "the G1 peak is at twice that of the plate, so they may all be in G2")
        if len(all_in_g2) > FEW_OF_PLATE * len(peaks):
            doubts.append(
                f"The G1 peaks of {len(all_in_g2)} of {len(peaks)} fields of plate {plate!r} are at twice that of the "
                "others; they have no label, but which of them are G1 is open where so many differ."
            )
    return fields, doubts


def _lowest_of_many(peaks) -> float:
    """The G1 peak of a plate: the lowest place at which several of its fields have theirs.

    The lowest, since a field can have the peak of G2 for that of G1 and not the other way round.

    Args:
        peaks: f64 [F], of the fields.
    """
    several = max(LEAST_FIELDS, SEVERAL * len(peaks))
    for lowest in np.sort(peaks):
        near = peaks[(peaks >= lowest) & (peaks <= NEAR * lowest)]
        if len(near) >= several:
            return float(np.median(near))
    return float(np.median(peaks))


def _is_twice(ratio):
    """Whether a ratio is about two."""
    return (ratio >= TWICE[0]) & (ratio <= TWICE[1])


def _is_possible(integrated, peak: float, of_plate: float) -> bool:
    """Whether these nuclei, whose own G1 peak is at `peak`, may have it where the plate has it."""
    penalty = _penalty(integrated, peak, of_plate * np.geomspace(1 / SAME, SAME, POSITIONS))
    return penalty < STILL_POSSIBLE * len(integrated)


def _has_second_peak(integrated, peak: float) -> bool:
    """Whether a G1 peak at half or twice `peak` is nearly as likely for these nuclei."""
    twice = np.geomspace(*TWICE, POSITIONS)
    return _penalty(integrated, peak, np.concatenate([peak / twice, peak * twice])) < NEARLY_AS_LIKELY


def _penalty(integrated, peak: float, positions) -> float:
    """How much less likely these nuclei are with their G1 peak at the best of `positions` than at `peak`, in logs."""
    at_peak = scaling.g1_likelihood(integrated, np.array([peak]))
    return float(at_peak[0] - scaling.g1_likelihood(integrated, positions).max())


def _like_two_nuclei(table, is_low) -> np.ndarray:
    """Nuclei that are less convex than nearly all of the first class of their plate, bool [N].

    Two nuclei that touch and were not divided have the DNA of one in G2, but a waist. By annotated outlines of BBBC039
    42 % of those among our 4N are found so, with 2 % of the single nuclei (experiments/README.md).
    """
    solidity = table["Nuclei_AreaShape_Solidity"]
    of_low = solidity[is_low].groupby(table.loc[is_low, schema.PLATE])
    least = table[schema.PLATE].map(of_low.quantile(LEAST_CONVEX))
    return (solidity < least).to_numpy()


def _by_reason(fields: dict[str, str]) -> dict[str, list[str]]:
    """{reason: fields}."""
    by_reason = {}
    for name, why in sorted(fields.items()):
        by_reason.setdefault(why, []).append(name)
    return by_reason


def _named(names) -> str:
    """The first names, and how many there are."""
    listed = ", ".join(names[:MOST_NAMED])
    return f"{listed} and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else listed
