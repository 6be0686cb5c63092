"""Is a new cell, or a new field, like those that a network was trained on, and if not, in what way?

A network answers whatever it is shown. Cells are judged twice: by how far what the network makes of them lies from
the training cells of any class, and by a few measurements that say in words what is unlike. Fields are judged by
their staining, pixel size, cell line, and by how many of their cells are unlike. None of this proves that a field is
like training; it only says where a prediction is certainly a guess.
"""

import dataclasses

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.covariance import ledoit_wolf

from cellcycle_jax import schema, table

DISTANCE_QUANTILE = 0.99  # of the distances of validation or training cells, whichever is larger: farther is unlike
DEVIATION, DEVIATION_QUANTILE = 5.0, 0.999  # robust z beyond both 5 and this quantile of training cells is unlike
RANGE_FACTOR, PIXEL_FACTOR = 2.0, 1.5  # by which the range of the training fields is widened each way
UNLIKE_SHARE = 0.25  # of a field's cells: an alarm above
EXPECTED_SHARE, SIGNIFICANCE = 0.05, 0.01  # and significantly above this share, at this level
FEW_CELLS = 10  # a field with fewer usable cells has no trustworthy reference
NETWORK = "the network's view"


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What a measurement is like over the training cells."""

    column: str
    logarithmic: bool
    median: float  # of the measurement, before the logarithm
    scale: float  # 1.4826 times the median absolute deviation, of the logarithm where logarithmic
    limit: float  # largest |z| that counts as like training


@dataclasses.dataclass(frozen=True)
class Layer:
    """What an activation of the network is like over the training cells."""

    means: np.ndarray  # f64 [P, D], of each class
    whitening: np.ndarray  # f64 [D, D]: inverse of the Cholesky factor of the shared covariance
    threshold: float  # squared Mahalanobis distance beyond which a cell is unlike


@dataclasses.dataclass(frozen=True)
class KnownCells:
    """What training cells are like."""

    layers: dict[str, Layer]  # by the name of the tap
    measurements: tuple[Measurement, ...]
    pixel_size_known: bool  # areas are in um^2, else px^2


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


def fit_cells(own, label, unseen, rows: pd.DataFrame, channels, nucleus: str) -> KnownCells:
    """What training cells are like.

    Args:
        own: {tap: f [N, D]} of training cells, labelled or not.
        label: i [N], `schema.NO_LABEL` for unlabelled ones.
        unseen: {tap: f [M, D]} of validation cells: their fields were not trained on.
        rows: of the training cells in cells.parquet.
        channels: what the network sees.
        nucleus: the channel whose edge sharpness was measured.
    """
    columns = [c for c in measured_columns(channels, nucleus) if c in rows]
    values = table.relative_features(rows, columns)
    found = [_fit_measurement(name, values[name].to_numpy()) for name in columns]
    return KnownCells(fit_layers(own, label, unseen), tuple(m for m in found if m),
                      bool(_pixel_size(rows).notna().all()))


def fit_layers(own, label, unseen) -> dict[str, Layer]:
    """A Gaussian per class with one covariance in every layer (Lee et al. 2018, arXiv 1807.03888).

    The covariance is shrunk as by Ledoit and Wolf 2004 (doi 10.1016/S0047-259X(03)00096-4), so that it can be inverted
    with fewer cells than dimensions. Early layers notice blur and swapped channels that the last one has learnt to
    overlook. Thresholds are such that the quantile holds for all layers together.

    Arguments as in `fit_cells`.
    """
    def widened(layer, judged):
        # Validation is small, so its tail alone is a guess; training cells, which should lie nearer, are many.
        limit = max(np.quantile(_farness(judged, embedding), DISTANCE_QUANTILE, method="higher")
                    for embedding in (unseen, own))
        return dataclasses.replace(layer, threshold=float(max(layer.threshold * limit, 1e-12)))

    label = np.asarray(label)
    layers = {name: _fit_layer(np.asarray(values, np.float64), label) for name, values in own.items()}
    layers = {name: widened(layer, {name: layer}) for name, layer in layers.items()}
    return {name: widened(layer, layers) for name, layer in layers.items()}


def _fit_layer(values, label) -> Layer:
    """Means and covariance of one layer, f64 [N, D], with threshold 1."""
    values, label = values[label != schema.NO_LABEL], label[label != schema.NO_LABEL]
    classes, place = np.unique(label, return_inverse=True)
    means = np.stack([values[label == p].mean(axis=0) for p in classes])
    covariance, _ = ledoit_wolf(values - means[place], assume_centered=True)
    tiny = max(1e-9 * np.trace(covariance) / len(covariance), 1e-12)  # an activation may not vary at all
    return Layer(means, np.linalg.inv(np.linalg.cholesky(covariance + tiny * np.eye(len(covariance)))), 1.0)


def measured_columns(channels, nucleus: str) -> list[str]:
    """Measurements that say in words what is unlike, of the shown channels only; intensities relative to the field."""
    return [schema.NUCLEAR_AREA, "Nuclei_AreaShape_Solidity",
            *(f"Nuclei_Texture_EdgeSharpness_{c}" for c in channels if c == nucleus),
            *(f"Nuclei_Intensity_MeanIntensity_{c}" for c in channels)]


def distance(embedding, means, whitening) -> np.ndarray:
    """Squared Mahalanobis distance to the nearest class, f64 [N]; infinite where an embedding is not a number."""
    offset = np.asarray(embedding, np.float64)[:, None] - means
    squared = ((offset @ whitening.T) ** 2).sum(axis=-1).min(axis=1)
    return np.where(np.isfinite(squared), squared, np.inf)


def _farness(layers, embedding) -> np.ndarray:
    """Distance over its threshold, f64 [N], in the layer where it is largest."""
    return np.max([distance(embedding[name], layer.means, layer.whitening) / layer.threshold
                   for name, layer in layers.items()], axis=0)


def judge_cells(known: KnownCells, embedding, rows: pd.DataFrame) -> pd.DataFrame:
    """How unlike training each cell is, and why.

    Args:
        known: what training cells are like.
        embedding: {tap: f [N, D]}.
        rows: of the same cells, columns as in cells.parquet; a measurement that is missing is not judged.

    Returns:
        With the index of `rows`: novelty, the largest of all distances over their limits, above 1 for a cell that is
        unlike; cause, what is farthest beyond its limit, "" for a cell that is like; why, the same as a sentence.
        Where a measurement is beyond its limit it is the cause, since it says more than the network's view.
    """
    ratio = _farness(known.layers, embedding)
    novelty, worst = ratio.copy(), np.ones(len(rows))
    cause = np.where(ratio > 1, NETWORK, "").astype(object)
    why = np.array([f"{NETWORK} is {r:.1f} times as far from training as allowed" if r > 1 else "" for r in ratio],
                   object)
    for measurement in known.measurements:
        values = _values(known, measurement, rows)
        beyond = np.abs(_deviation(measurement, values)) / measurement.limit
        novelty = np.fmax(novelty, beyond)
        name = schema.readable(measurement.column)
        for i in np.flatnonzero(beyond > worst):
            worst[i], cause[i] = beyond[i], name[0].lower() + name[1:]
            why[i] = f"{cause[i]} {_against(values[i], measurement)}"
    return pd.DataFrame({"novelty": novelty, "cause": cause, "why": why}, index=rows.index)


def fit_fields(rows: pd.DataFrame, channels) -> KnownFields:
    """What the fields of the training cells `rows` are like, as far as the shown `channels` go."""
    fields = rows.drop_duplicates(schema.FIELD)
    pixel = _pixel_size(fields)
    lines = tuple(sorted(set(fields[schema.CELL_LINE]) - {""}))
    reference = {c: _range(_strength(fields, c)[0]) for c in channels}
    contrast = {c: _range(_strength(fields, c)[1]) for c in channels}
    return KnownFields({c: r for c, r in reference.items() if r}, {c: r for c, r in contrast.items() if r},
                       _range(pixel) if pixel.notna().all() else None, lines)


def judge_fields(known: KnownFields, cells: pd.DataFrame) -> list[Alarm]:
    """What is unlike training about each field.

    Args:
        known: what training fields are like.
        cells: all objects of the fields, rejected ones too, with novelty and, as novelty_cause, cause of `judge_cells`.

    Returns:
        Alarms and notes, in the order of the fields.
    """
    return [alarm for field_id, rows in cells.groupby(schema.FIELD, sort=False)
            for judge in (_stains, _pixels, _line, _crops) for alarm in judge(known, field_id, rows)]


def _stains(known, field_id, rows):
    for i, (kind, ranges) in enumerate((("stain_strength", known.reference), ("contrast", known.contrast))):
        for channel, (low, high) in ranges.items():
            value = float(_strength(rows.iloc[:1], channel)[i].iloc[0])
            if np.isnan(value) or low / RANGE_FACTOR <= value <= high * RANGE_FACTOR:
                continue
            words = (f"{channel} stain: {value:.3g} above background, training fields {low:.3g} to {high:.3g}" if i == 0
                     else f"{channel} contrast: stain over background {value:.3g}, training fields {low:.3g} to "
                          f"{high:.3g}")
            yield Alarm(field_id, kind, channel, value, (low / RANGE_FACTOR, high * RANGE_FACTOR), words)


def _pixels(known, field_id, rows):
    value = float(_pixel_size(rows).iloc[0])
    trained = "unknown in training" if known.pixel_um is None else (
        f"training fields {known.pixel_um[0]:.3g} to {known.pixel_um[1]:.3g} um per px")
    if known.pixel_um is None:
        allowed, usual = None, np.isnan(value)
    else:
        allowed = (known.pixel_um[0] / PIXEL_FACTOR, known.pixel_um[1] * PIXEL_FACTOR)
        usual = allowed[0] <= value <= allowed[1]
    if not usual:
        found = "unknown" if np.isnan(value) else f"{value:.3g} um per px"
        yield Alarm(field_id, "pixel_size", "", value, allowed, f"pixel size: {found}, {trained}")


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


def _fit_measurement(column, values):
    """What a measurement f64 [N] is like over training cells, None where it does not vary or is not known."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    median = float(np.median(values))
    logarithmic = bool(values.min() > 0.01 * median > 0)
    shown = np.log(values) if logarithmic else values
    scale = 1.4826 * float(np.median(np.abs(shown - np.median(shown))))
    if not scale > 0:
        return None
    own = np.quantile(np.abs(shown - np.median(shown)) / scale, DEVIATION_QUANTILE)
    return Measurement(column, logarithmic, median, scale, float(max(DEVIATION, own)))


def _values(known, measurement, rows):
    """The measurement of each cell, f64 [N]; NaN where it cannot be compared with training."""
    if measurement.column not in rows:
        return np.full(len(rows), np.nan)
    values = table.relative_features(rows, [measurement.column])[measurement.column].to_numpy()
    if schema.unit(measurement.column, True) != schema.unit(measurement.column, False):
        values = np.where(_pixel_size(rows).notna() == known.pixel_size_known, values, np.nan)
    return values


def _deviation(measurement, values):
    """Robust z of values f64 [N]; a value without a logarithm is infinitely low."""
    if not measurement.logarithmic:
        return (values - measurement.median) / measurement.scale
    logs = np.log(np.where(values > 0, values, 1.0) / measurement.median)
    return np.where(values <= 0, -np.inf, np.where(np.isnan(values), np.nan, logs)) / measurement.scale


def _against(value, measurement):
    if measurement.logarithmic:
        return f"{value / measurement.median:.2g} times the training median"
    return f"{value:.2g}, training median {measurement.median:.2g}"


def _strength(fields, channel):
    """Reference of a channel, and the same over the background, for one row per field."""
    reference = fields[schema.reference_column(channel)].astype(float)
    background = fields[f"Metadata_Background_{channel}"].astype(float)
    return reference, reference / background.where(background > 0)


def _range(values):
    """Lowest and highest positive value, None where there is none."""
    values = values[np.isfinite(values) & (values > 0)]
    return (float(values.min()), float(values.max())) if len(values) else None


def _pixel_size(rows):
    """Scale of each row's field, um per px, NaN where unknown."""
    return rows[schema.PIXEL_SIZE].astype(float) if schema.PIXEL_SIZE in rows else pd.Series(np.nan, rows.index)
