"""A trained network on new fields: what every object is, and where it is better not said."""

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
UNCERTAIN, UNLIKE, REJECTED = "uncertain", "unlike training", "rejected"  # why a cell gets no decision


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
    usable = cells[cells[schema.REJECT] == ""]
    by_field = [rows for _, rows in usable.groupby(schema.FIELD, sort=False)]
    ordered = pd.concat(by_field) if by_field else cells.iloc[:0]
    vocabulary = predictor.vocabulary(channels)
    shown = tqdm(by_field, desc="predict", unit="field", disable=None)
    crops_of_fields = (
        crop_arrays.crops_of_field(crops_dir, rows[schema.FIELD].iloc[0], rows, vocabulary) for rows in shown
    )
    parts = [_no_predictions(predictor, ordered.index[:0])]
    done = 0
    for crops in in_chunks(crops_of_fields, CHUNK):
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
    rejected = cells[schema.REJECT] != ""
    added.loc[rejected, "abstained_because"] = f"{REJECTED}: " + cells.loc[rejected, schema.REJECT]
    metadata = [column for column in cells if column.startswith("Metadata_")]
    return pd.concat([cells[metadata], added, cells.drop(columns=metadata)], axis=1)


def in_chunks(parts, size: int):
    """Crops of fields as crops of a multiple of `size` cells, the last ones fewer.

    So the batches that a network sees, and what it says to the last bit, do not depend on how cells fall into fields.
    """
    waiting = None
    for part in parts:
        waiting = crop_arrays.join([waiting, part]) if waiting else part
        if whole := len(waiting) // size * size:
            yield crop_arrays.take(waiting, slice(whole))
            waiting = crop_arrays.take(waiting, slice(whole, None))
    if waiting:
        yield waiting


def _predictions(predictor, logits, embedding, rows) -> pd.DataFrame:
    """The new columns of usable cells, with the index of `rows`."""
    classes = np.array(predictor.classes)
    prob = calibration.apply_temperature(logits, 1.0)
    calibrated = calibration.apply_temperature(logits, predictor.temperature)
    judged = novelty.judge_cells(predictor.cells, embedding, rows)
    predicted = classes[logits.argmax(axis=1)]
    confidence = calibrated.max(axis=1)
    unlike = judged["novelty"].to_numpy() > 1
    sure = confidence >= predictor.min_confidence
    columns = {"predicted": predicted}
    for index, name in enumerate(classes):
        columns[f"prob_{name}"] = prob[:, index]
    for index, name in enumerate(classes):
        columns[f"calibrated_{name}"] = calibrated[:, index]
    columns["confidence"] = confidence
    columns["decision"] = np.where(sure & ~unlike, predicted, "")
    why_not = np.where(sure, "", UNCERTAIN)
    columns["abstained_because"] = np.where(unlike, f"{UNLIKE}: " + judged["why"], why_not)
    columns["novelty"] = judged["novelty"].to_numpy()
    columns["novelty_cause"] = judged["cause"].to_numpy()
    return pd.DataFrame(columns, index=rows.index)


def _no_predictions(predictor, index) -> pd.DataFrame:
    """The new columns without a row: a plate may hold no usable cell, and then nothing was measured either."""
    types = {"predicted": str}
    for start in ("prob", "calibrated"):
        types |= {f"{start}_{name}": np.float32 for name in predictor.classes}
    types |= {"confidence": np.float32, "decision": str, "abstained_because": str, "novelty": np.float64,
              "novelty_cause": str}  # fmt: skip
    return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in types.items()}, index=index)
