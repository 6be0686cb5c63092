"""Is a new cell like those that a network was trained on, and if not, in what way?

A network answers whatever it is shown. So cells are judged by how far what the network makes of them lies from the
training cells of any class, and by a few measurements that say in words what is unlike. Neither proves that a cell is
like training; both only say where a prediction is certainly a guess.
"""

import dataclasses

import numpy as np
import pandas as pd
from sklearn.covariance import ledoit_wolf

from cellcycle_jax import schema
from cellcycle_jax.dataset import cell_table

DISTANCE_QUANTILE = 0.99  # of the distances of validation or training cells, whichever is larger: farther is unlike
DEVIATION, DEVIATION_QUANTILE = 5.0, 0.999  # robust z beyond both 5 and this quantile of training cells is unlike
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
    values = cell_table.relative_features(rows, columns)
    found = [_fit_measurement(name, values[name].to_numpy()) for name in columns]
    return KnownCells(fit_layers(own, label, unseen), tuple(m for m in found if m),
                      bool(cell_table.pixel_size(rows).notna().all()))


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
    values = cell_table.relative_features(rows, [measurement.column])[measurement.column].to_numpy()
    if schema.unit(measurement.column, True) != schema.unit(measurement.column, False):
        values = np.where(cell_table.pixel_size(rows).notna() == known.pixel_size_known, values, np.nan)
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
