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
DEVIATION = 5.0  # a robust z is unlike training beyond both this
DEVIATION_QUANTILE = 0.999  # and this quantile of the training cells
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

    def stored(self) -> tuple[dict, dict[str, dict[str, np.ndarray]]]:
        """What a JSON file holds of it, and the arrays, by the name of the tap and of the array."""
        thresholds = {}
        arrays = {}
        for name, layer in self.layers.items():
            thresholds[name] = layer.threshold
            arrays[name] = {"means": layer.means, "whitening": layer.whitening}
        record = {
            "thresholds": thresholds,
            "measurements": [dataclasses.asdict(measurement) for measurement in self.measurements],
            "pixel_size_known": self.pixel_size_known,
        }
        return record, arrays

    @classmethod
    def of(cls, record: dict, arrays: dict) -> "KnownCells":
        """The cells of which `record` and `arrays` were `stored`.

        Raises:
            KeyError, TypeError: part of it is missing or not known.
        """
        layers = {}
        for name, threshold in record["thresholds"].items():
            layers[name] = Layer(**arrays[name], threshold=threshold)
        measurements = tuple(Measurement(**measurement) for measurement in record["measurements"])
        return cls(layers, measurements, record["pixel_size_known"])


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
    layers = fit_layers(own, label, unseen)
    measurements = []
    for column in measured_columns(channels, nucleus):
        if column in rows:
            values = cell_table.relative_features(rows, [column])[column].to_numpy()
            measurement = _fit_measurement(column, values)
            if measurement is not None:
                measurements.append(measurement)
    pixel_size_known = bool(cell_table.pixel_size(rows).notna().all())
    return KnownCells(layers, tuple(measurements), pixel_size_known)


def fit_layers(own, label, unseen) -> dict[str, Layer]:
    """A Gaussian per class with one covariance in every layer (Lee et al. 2018, arXiv 1807.03888).

    The covariance is shrunk as by Ledoit and Wolf 2004 (doi 10.1016/S0047-259X(03)00096-4), so that it can be inverted
    with fewer cells than dimensions. Early layers notice blur and swapped channels that the last one has learnt to
    overlook. Thresholds are such that the quantile holds for all layers together.

    Arguments as in `fit_cells`.
    """
    label = np.asarray(label)
    layers = {}
    for name, values in own.items():
        layer = _fit_layer(np.asarray(values, np.float64), label)
        layers[name] = _widened(layer, _usual_farness({name: layer}, own, unseen))
    of_all_layers = _usual_farness(layers, own, unseen)
    return {name: _widened(layer, of_all_layers) for name, layer in layers.items()}


def _fit_layer(values, label) -> Layer:
    """Means and covariance of one layer, f64 [N, D], with threshold 1."""
    labelled = label != schema.NO_LABEL
    values = values[labelled]
    classes, class_index = np.unique(label[labelled], return_inverse=True)
    means = np.stack([values[class_index == index].mean(axis=0) for index in range(len(classes))])
    covariance, _ = ledoit_wolf(values - means[class_index], assume_centered=True)
    tiny = max(1e-9 * np.trace(covariance) / len(covariance), 1e-12)  # an activation may not vary at all
    factor = np.linalg.cholesky(covariance + tiny * np.eye(len(covariance)))
    return Layer(means, np.linalg.inv(factor), 1.0)


def _usual_farness(layers, own, unseen) -> float:
    """The farness in `layers` that DISTANCE_QUANTILE of the cells stay within.

    Validation is small, so its tail alone is a guess; training cells, which should lie nearer, are many.
    """
    of_validation = np.quantile(_farness(layers, unseen), DISTANCE_QUANTILE, method="higher")
    of_training = np.quantile(_farness(layers, own), DISTANCE_QUANTILE, method="higher")
    return max(of_validation, of_training)


def _widened(layer, farness) -> Layer:
    """The layer with a threshold so many times as large."""
    return dataclasses.replace(layer, threshold=float(max(layer.threshold * farness, 1e-12)))


def measured_columns(channels, nucleus: str) -> list[str]:
    """Measurements that say in words what is unlike, of the shown channels only; intensities relative to the field."""
    columns = [schema.NUCLEAR_AREA, "Nuclei_AreaShape_Solidity"]
    if nucleus in channels:
        columns.append(f"Nuclei_Texture_EdgeSharpness_{nucleus}")
    return columns + [f"Nuclei_Intensity_MeanIntensity_{channel}" for channel in channels]


def distance(embedding, means, whitening) -> np.ndarray:
    """Squared Mahalanobis distance to the nearest class, f64 [N]; infinite where an embedding is not a number.

    Args:
        embedding: f [N, D].
        means, whitening: as of `Layer`.
    """
    offset = np.asarray(embedding, np.float64)[:, None] - means
    squared = ((offset @ whitening.T) ** 2).sum(axis=-1).min(axis=1)
    return np.where(np.isfinite(squared), squared, np.inf)


def _farness(layers, embedding) -> np.ndarray:
    """Distance over its threshold, f64 [N], in the layer where it is largest."""
    ratios = []
    for name, layer in layers.items():
        ratios.append(distance(embedding[name], layer.means, layer.whitening) / layer.threshold)
    return np.max(ratios, axis=0)


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
    novelty = _farness(known.layers, embedding)
    cause = np.full(len(rows), "", object)
    why = cause.copy()
    for i in np.flatnonzero(novelty > 1):
        cause[i] = NETWORK
        why[i] = f"{NETWORK} is {novelty[i]:.1f} times as far from training as allowed"
    worst = np.ones(len(rows))  # of the measurements so far, the largest z over its limit
    for measurement in known.measurements:
        values = _values(known, measurement, rows)
        beyond = np.abs(_deviation(measurement, values)) / measurement.limit
        novelty = np.fmax(novelty, beyond)
        name = schema.readable(measurement.column)
        name = name[0].lower() + name[1:]
        for i in np.flatnonzero(beyond > worst):
            worst[i] = beyond[i]
            cause[i] = name
            why[i] = f"{name} {_beside_training(values[i], measurement)}"
    return pd.DataFrame({"novelty": novelty, "cause": cause, "why": why}, index=rows.index)


def _fit_measurement(column, values):
    """What a measurement f64 [N] is like over training cells, None where it does not vary or is not known."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    median = float(np.median(values))
    logarithmic = bool(values.min() > 0.01 * median > 0)
    if logarithmic:
        values = np.log(values)
    deviation = np.abs(values - np.median(values))
    scale = 1.4826 * float(np.median(deviation))
    if not scale > 0:
        return None
    own = np.quantile(deviation / scale, DEVIATION_QUANTILE)
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
    logs = np.select([values <= 0, np.isnan(values)], [-np.inf, np.nan], logs)
    return logs / measurement.scale


def _beside_training(value, measurement) -> str:
    if measurement.logarithmic:
        return f"{value / measurement.median:.2g} times the training median"
    return f"{value:.2g}, training median {measurement.median:.2g}"
