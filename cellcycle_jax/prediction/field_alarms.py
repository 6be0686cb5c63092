"""Is a new field like those that a network was trained on: staining, pixel size, line, and how many cells?"""

import dataclasses

import numpy as np
import pandas as pd
from scipy import stats

from cellcycle_jax import schema
from cellcycle_jax.dataset import cell_table

RANGE_FACTOR = 2.0  # by which the range of the training fields is widened each way
PIXEL_FACTOR = 1.5  # the same, of pixel sizes
UNLIKE_SHARE = 0.25  # of a field's cells: an alarm above
EXPECTED_SHARE = 0.05  # and significantly above this share
SIGNIFICANCE = 0.01  # at this level
FEW_CELLS = 10  # a field with fewer usable cells has no trustworthy reference


@dataclasses.dataclass(frozen=True)
class KnownFields:
    """What training fields are like: lowest and highest value; a channel without any positive value is absent."""

    reference: dict[str, list[float]]  # camera units above background
    contrast: dict[str, list[float]]  # reference over background
    pixel_um: list[float] | None  # None where unknown for a field
    cell_lines: list[str]


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
    return KnownFields(
        reference=_ranges(_strength, fields, channels),
        contrast=_ranges(_contrast, fields, channels),
        pixel_um=_range(pixel) if pixel.notna().all() else None,
        cell_lines=sorted(set(fields[schema.CELL_LINE]) - {""}),
    )


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
    alarms = []
    for field_id, rows in cells.groupby(schema.FIELD, sort=False):
        for judge in (_stains, _contrasts, _pixels, _line, _crops):
            alarms.extend(judge(known, field_id, rows))
    fields_with_objects = set(cells[schema.FIELD])
    for name in fields:
        if name not in fields_with_objects:
            words = "few cells: no object was found"
            alarms.append(Alarm(name, "few_cells", "", 0, FEW_CELLS, words, note=True))
    return alarms


def _stains(known, field_id, rows):
    for channel, value, trained, allowed in _outside(known.reference, _strength, rows):
        words = f"{channel} stain: {plain(value)} above background, training fields {span(*trained)}"
        yield Alarm(field_id, "stain_strength", channel, value, allowed, words)


def _contrasts(known, field_id, rows):
    for channel, value, trained, allowed in _outside(known.contrast, _contrast, rows):
        words = f"{channel} contrast: stain over background {plain(value)}, training fields {span(*trained)}"
        yield Alarm(field_id, "contrast", channel, value, allowed, words)


def _outside(ranges, measure, rows):
    """Of each channel that a field shows outside its range: name, value, range in training, and range allowed."""
    for channel, trained in ranges.items():
        value = float(measure(rows.iloc[:1], channel).iloc[0])
        allowed = _widened(trained, RANGE_FACTOR)
        if _is_outside(value, allowed):
            yield channel, value, trained, allowed


def _pixels(known, field_id, rows):
    value = float(cell_table.pixel_size(rows).iloc[0])
    size = "unknown" if np.isnan(value) else f"{plain(value)} um per px"
    if known.pixel_um is None:
        if not np.isnan(value):
            words = f"pixel size: {size}, unknown in training"
            yield Alarm(field_id, "pixel_size", "", value, None, words)
        return
    allowed = _widened(known.pixel_um, PIXEL_FACTOR)
    if np.isnan(value) or _is_outside(value, allowed):
        words = f"pixel size: {size}, training fields {span(*known.pixel_um)} um per px"
        yield Alarm(field_id, "pixel_size", "", value, allowed, words)


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
    is_unknown = not line or not known.cell_lines
    yield Alarm(field_id, "cell_line", line, line, known.cell_lines, words, note=is_unknown)


def _crops(known, field_id, rows):
    usable = rows[rows[schema.REJECT_REASON] == ""]
    unlike = usable[usable["novelty"] > 1]
    n = len(usable)
    if n < FEW_CELLS:
        words = f"few cells: {n} usable, so the field's reference intensities are not trustworthy"
        yield Alarm(field_id, "few_cells", "", n, FEW_CELLS, words, note=True)
    significant = n > 0 and stats.binom.sf(len(unlike) - 1, n, EXPECTED_SHARE) < SIGNIFICANCE
    if significant and len(unlike) / n > UNLIKE_SHARE:
        most = unlike["novelty_cause"].mode().iloc[0]
        words = f"cells: {len(unlike)} of {n} are unlike those of training, mostly by {most}"
        yield Alarm(field_id, "crops", "", len(unlike) / n, UNLIKE_SHARE, words)


def _strength(fields, channel) -> pd.Series:
    """Reference of a channel above background, camera units, for one row per field."""
    return fields[schema.reference_column(channel)].astype(float)


def _contrast(fields, channel) -> pd.Series:
    """The same over the background, NaN where that is not positive."""
    background = fields[f"Metadata_Background_{channel}"].astype(float)
    return _strength(fields, channel) / background.where(background > 0)


def _ranges(measure, fields, channels) -> dict[str, list[float]]:
    """Range of `measure` in each channel that has one."""
    ranges = {}
    for channel in channels:
        values = _range(measure(fields, channel))
        if values is not None:
            ranges[channel] = values
    return ranges


def _range(values):
    """Lowest and highest positive value, None where there is none."""
    values = values[np.isfinite(values) & (values > 0)]
    return [float(values.min()), float(values.max())] if len(values) else None


def _widened(trained, factor) -> tuple[float, float]:
    low, high = trained
    return low / factor, high * factor


def _is_outside(value, allowed) -> bool:
    """Whether a value lies outside a range; one that is not known does not."""
    return value < allowed[0] or value > allowed[1]
