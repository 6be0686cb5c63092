"""Is a new field like those that a network was trained on: staining, pixel size, line, and how many cells?"""

import dataclasses

import numpy as np
import pandas as pd
from scipy import stats

from cellcycle_jax import schema
from cellcycle_jax.dataset import cell_table

RANGE_FACTOR, PIXEL_FACTOR = 2.0, 1.5  # by which the range of the training fields is widened each way
UNLIKE_SHARE = 0.25  # of a field's cells: an alarm above
EXPECTED_SHARE, SIGNIFICANCE = 0.05, 0.01  # and significantly above this share, at this level
FEW_CELLS = 10  # a field with fewer usable cells has no trustworthy reference


@dataclasses.dataclass(frozen=True)
class KnownFields:
    """What training fields are like: lowest and highest value; a channel without any positive value is absent."""

    reference: dict[str, tuple[float, float]]  # camera units above background
    contrast: dict[str, tuple[float, float]]  # reference over background
    pixel_um: tuple[float, float] | None  # None where unknown for a field
    cell_lines: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Alarm:
    """What is unlike training about a field; a note where it is only not known."""

    field_id: str
    kind: str  # stain_strength, contrast, pixel_size, cell_line, crops or few_cells
    subject: str  # channel or cell line, "" for the field itself
    value: float | str | None
    allowed: object  # (lowest, highest), or names, or the number that was passed
    sentence: str
    note: bool = False


def fit_fields(rows: pd.DataFrame, channels) -> KnownFields:
    """What the fields of the training cells `rows` are like, as far as the shown `channels` go."""
    fields = rows.drop_duplicates(schema.FIELD)
    pixel = cell_table.pixel_size(fields)
    lines = tuple(sorted(set(fields[schema.CELL_LINE]) - {""}))
    reference = {c: _range(_strength(fields, c)[0]) for c in channels}
    contrast = {c: _range(_strength(fields, c)[1]) for c in channels}
    return KnownFields({c: r for c, r in reference.items() if r}, {c: r for c, r in contrast.items() if r},
                       _range(pixel) if pixel.notna().all() else None, lines)


def judge_fields(known: KnownFields, cells: pd.DataFrame, fields=()) -> list[Alarm]:
    """What is unlike training about each field.

    Args:
        known: what training fields are like.
        cells: all objects of the fields, rejected ones too, with novelty and, as novelty_cause, cause of
            `novelty.judge_cells`.
        fields: names of all fields, so that one without any object is not overlooked.

    Returns:
        Alarms and notes, in the order of the fields.
    """
    found = [alarm for field_id, rows in cells.groupby(schema.FIELD, sort=False)
             for judge in (_stains, _pixels, _line, _crops) for alarm in judge(known, field_id, rows)]
    known_fields = set(cells[schema.FIELD])
    return found + [Alarm(name, "few_cells", "", 0, FEW_CELLS, "few cells: no object was found", note=True)
                    for name in fields if name not in known_fields]


def _stains(known, field_id, rows):
    for i, (kind, ranges) in enumerate((("stain_strength", known.reference), ("contrast", known.contrast))):
        for channel, (low, high) in ranges.items():
            value = float(_strength(rows.iloc[:1], channel)[i].iloc[0])
            if np.isnan(value) or low / RANGE_FACTOR <= value <= high * RANGE_FACTOR:
                continue
            words = (f"{channel} stain: {plain(value)} above background, training fields {span(low, high)}" if i == 0
                     else f"{channel} contrast: stain over background {plain(value)}, training fields "
                          f"{span(low, high)}")
            yield Alarm(field_id, kind, channel, value, (low / RANGE_FACTOR, high * RANGE_FACTOR), words)


def _pixels(known, field_id, rows):
    value = float(cell_table.pixel_size(rows).iloc[0])
    trained = "unknown in training" if known.pixel_um is None else (
        f"training fields {span(*known.pixel_um)} um per px")
    if known.pixel_um is None:
        allowed, usual = None, np.isnan(value)
    else:
        allowed = (known.pixel_um[0] / PIXEL_FACTOR, known.pixel_um[1] * PIXEL_FACTOR)
        usual = allowed[0] <= value <= allowed[1]
    if not usual:
        found = "unknown" if np.isnan(value) else f"{plain(value)} um per px"
        yield Alarm(field_id, "pixel_size", "", value, allowed, f"pixel size: {found}, {trained}")


def plain(value: float) -> str:
    """A number as people write it: 16,200 and 0.325, never 1.62e+04."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def span(low: float, high: float) -> str:
    """A range of numbers; one number where its ends read alike."""
    ends = dict.fromkeys((plain(low), plain(high)))
    return " to ".join(ends)


def _line(known, field_id, rows):
    line = rows[schema.CELL_LINE].iloc[0]
    trained = ", ".join(known.cell_lines) or "unknown in training"
    if line in known.cell_lines or (not line and not known.cell_lines):
        return
    words = f"cell line: {line or 'unknown'}, trained on {trained}"
    yield Alarm(field_id, "cell_line", line, line, known.cell_lines, words, note=not line or not known.cell_lines)


def _crops(known, field_id, rows):
    usable = rows[rows[schema.REJECT] == ""]
    n, unlike = len(usable), usable[usable["novelty"] > 1]
    if n < FEW_CELLS:
        words = f"few cells: {n} usable, so the field's reference intensities are not trustworthy"
        yield Alarm(field_id, "few_cells", "", n, FEW_CELLS, words, note=True)
    significant = n > 0 and stats.binom.sf(len(unlike) - 1, n, EXPECTED_SHARE) < SIGNIFICANCE
    if significant and len(unlike) / n > UNLIKE_SHARE:
        most = unlike["novelty_cause"].mode().iloc[0]
        words = f"cells: {len(unlike)} of {n} are unlike those of training, mostly by {most}"
        yield Alarm(field_id, "crops", "", len(unlike) / n, UNLIKE_SHARE, words)


def _strength(fields, channel):
    """Reference of a channel, and the same over the background, for one row per field."""
    reference = fields[schema.reference_column(channel)].astype(float)
    background = fields[f"Metadata_Background_{channel}"].astype(float)
    return reference, reference / background.where(background > 0)


def _range(values):
    """Lowest and highest positive value, None where there is none."""
    values = values[np.isfinite(values) & (values > 0)]
    return (float(values.min()), float(values.max())) if len(values) else None
