"""A trained network on new fields: what every object is, and where it is better not said."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.prediction import novelty
from cellcycle_jax.prediction.verdict import WITHHELD
from cellcycle_jax.runs.trained_run import BATCH
from cellcycle_jax.scoring import calibration

CHUNK = 8 * BATCH  # cells in memory at once, beside one field
# Why a cell gets no decision.
UNCERTAIN = "uncertain"
UNLIKE = "unlike training"
REJECTED = "rejected"


def predict_cells(predictor, cells: pd.DataFrame, crops_dir, channels, withhold: bool = False) -> pd.DataFrame:
    """A class, or a reason for none, for every object of new fields.

    Args:
        predictor: `predictor.Predictor`.
        cells: one row per object, rejected ones too, with the columns of cells.parquet.
        crops_dir: work folder with the crops of every field that has usable cells; see `crop_file`.
        channels: of those crops, in order.
        withhold: make no prediction a decision, whatever its confidence; see `verdict`.

    Returns:
        The rows of `cells` in their order. Between Metadata_ and measurements stand predicted ("" where rejected),
        prob_<class>, calibrated_<class>, confidence (calibrated probability of predicted), decision ("" where
        abstained), abstained_because, novelty (above 1: unlike training) and novelty_cause. Numbers of rejected objects
        are NaN.

    Raises:
        InputRefused: crops do not fit the model.
        StoredStateRefused: a file of crops is missing or damaged, or lacks a cell.
    """
    predictor.require_channels(channels)
    cells = cells.reset_index(drop=True)
    usable = cells[cells[schema.REJECT_REASON] == ""]
    by_field = [rows for _, rows in usable.groupby(schema.FIELD, sort=False)]
    ordered = pd.concat(by_field) if by_field else cells.iloc[:0]
    vocabulary = predictor.vocabulary(channels)

    def crops_of_fields():
        for rows in tqdm(by_field, desc="predict", unit="field", disable=None):
            yield crop_arrays.crops_of_field(crops_dir, rows[schema.FIELD].iloc[0], rows, vocabulary)

    parts = [_no_predictions(predictor, ordered.index[:0])]
    done = 0
    for crops in in_chunks(crops_of_fields(), CHUNK):
        logits, embedding = predictor.predict(crops)
        rows = ordered.iloc[done : done + len(crops)]
        parts.append(_predictions(predictor, logits, embedding, rows))
        done += len(crops)
    added = pd.concat(parts).reindex(cells.index)
    if withhold:
        added["decision"] = ""
        added["abstained_because"] = WITHHELD
    texts = ["predicted", "decision", "abstained_because", "novelty_cause"]
    added[texts] = added[texts].fillna("").astype(str)
    rejected = cells[schema.REJECT_REASON] != ""
    added.loc[rejected, "abstained_because"] = f"{REJECTED}: " + cells.loc[rejected, schema.REJECT_REASON]
    metadata = cells.columns[cells.columns.str.startswith("Metadata_")]
    return pd.concat([cells[metadata], added, cells.drop(columns=metadata)], axis=1)


def in_chunks(parts, size: int):
    """Crops of fields as crops of a multiple of `size` cells, the last ones fewer.

    So the batches that a network sees, and what it says to the last bit, do not depend on how cells fall into fields.
    """
    waiting = None
    for part in parts:
        waiting = crop_arrays.join([waiting, part]) if waiting else part
        whole = len(waiting) // size * size
        if whole:
            yield crop_arrays.take(waiting, slice(whole))
            waiting = crop_arrays.take(waiting, slice(whole, None))
    if waiting:
        yield waiting


class SaidOfClasses(NamedTuple):
    """What a table of predictions says of each class."""

    predicted: np.ndarray  # text [N], the class of the highest logit
    confidence: pd.Series  # its calibrated probability
    prob: pd.DataFrame  # f64 [N, P], columns prob_<class>
    calibrated: pd.DataFrame  # f64 [N, P], columns calibrated_<class>


def class_probabilities(logits, classes, calibrated_by: calibration.Calibration, index) -> SaidOfClasses:
    """What a table of predictions says of each class.

    Args:
        logits: f [N, P].
        classes: names of the P classes.
        calibrated_by: the calibration of the network.
        index: of the N cells.
    """
    prob = calibration.Calibration.none(len(classes)).probabilities(logits)
    calibrated = calibrated_by.probabilities(logits)
    return SaidOfClasses(
        predicted=np.array(classes)[logits.argmax(axis=1)],
        confidence=pd.Series(calibrated_by.confidence(logits), index, name="confidence"),
        prob=pd.DataFrame(prob, index, classes).add_prefix("prob_"),
        calibrated=pd.DataFrame(calibrated, index, classes).add_prefix("calibrated_"),
    )


def _predictions(predictor, logits, embedding, rows) -> pd.DataFrame:
    """The new columns of usable cells, with the index of `rows`."""
    said = class_probabilities(logits, predictor.classes, predictor.calibration, rows.index)
    judged = novelty.judge_cells(predictor.cells, embedding, rows)
    unlike = judged["novelty"] > 1
    sure = said.confidence >= predictor.min_confidence
    why_not = np.where(sure, "", UNCERTAIN)
    table = pd.concat([said.prob, said.calibrated], axis=1)
    table.insert(0, "predicted", said.predicted)
    table["confidence"] = said.confidence
    table["decision"] = np.where(sure & ~unlike, said.predicted, "")
    table["abstained_because"] = np.where(unlike, f"{UNLIKE}: " + judged["why"], why_not)
    table["novelty"] = judged["novelty"]
    table["novelty_cause"] = judged["cause"]
    return table


def _no_predictions(predictor, index) -> pd.DataFrame:
    """The new columns without a row: a plate may hold no usable cell, and then nothing was measured either."""
    types = {"predicted": str}
    for kind in ("prob", "calibrated"):
        for name in predictor.classes:
            types[f"{kind}_{name}"] = np.float32
    types |= {
        "confidence": np.float32,
        "decision": str,
        "abstained_because": str,
        "novelty": np.float64,
        "novelty_cause": str,
    }
    return pd.DataFrame(index=index, columns=list(types)).astype(types)
