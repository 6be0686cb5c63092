"""Does the network read where in its field a cell lies, or how near its neighbours are?

Both are known of each cell without its picture. Three numbers say whether they can matter: how well they predict the
class; which share of the difference between the classes is missing between cells that they make equally likely to be of
the class (as with propensity scores, Rosenbaum and Rubin 1983, doi 10.1093/biomet/70.1.41); and how much of the
network's margin they predict among cells of one class. What follows the class and is read by the network shows in the
second, or where it follows the class so closely that no cells can be compared, in the third.
"""

import dataclasses

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused, result_or_reason
from cellcycle_jax.explain.checks import class_shares
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question
from cellcycle_jax.explain.checks.score import CHANCE
from cellcycle_jax.explain.regions.explained_cells import shortcut_resampling
from cellcycle_jax.scoring import crossvalidation, metrics
from cellcycle_jax.scoring.intervals import Interval
from cellcycle_jax.scoring.jackknife import BELOW_ONE

STRATA = 10  # of cells that are equally likely to be of the class
PENALTIES = np.logspace(0, 4, 9)  # of the ridge regression, of which the best is taken
NEIGHBOURS = 3  # nearest cells whose distances count
NEAR = (2, 4)  # radii within which cells are counted, in median distances to the nearest cell


@dataclasses.dataclass(frozen=True)
class Kind:
    """A property of cells that is known without their pictures.

    Attributes:
        words: how it is named in a sentence.
        of_cells: table of cells -> f64 [N, D].
    """

    words: str
    of_cells: object


def position(cells: pd.DataFrame) -> np.ndarray:
    """Where each cell lies in its field, f64 [N, 3]: down and across, -1 to 1, and how far from the middle."""
    columns = []
    for name in (schema.CENTRE_Y, schema.CENTRE_X):
        largest = cells.groupby(schema.FIELD)[name].transform("max").to_numpy(float)
        columns.append(2 * cells[name].to_numpy(float) / np.maximum(largest, 1) - 1)
    return np.column_stack([*columns, np.hypot(*columns)])


def crowding(cells: pd.DataFrame) -> np.ndarray:
    """How near others are to each cell, f64 [N, 5].

    Returns:
        Natural logs of the distances to the three nearest, and square roots of the numbers within two and four times
        the median distance to the nearest.
    """
    distances = np.full((len(cells), NEIGHBOURS), np.inf)
    places = cells[[schema.CENTRE_Y, schema.CENTRE_X]].to_numpy(float)
    fields = [np.asarray(rows) for rows in cells.groupby(schema.FIELD).indices.values()]
    trees = [cKDTree(places[rows]) for rows in fields]
    for rows, tree in zip(fields, trees, strict=True):
        found, _ = tree.query(places[rows], NEIGHBOURS + 1)
        distances[rows] = found[:, 1:]
    known = np.isfinite(distances)
    if not known.any():
        raise InputRefused("no field holds two cells")
    median = np.median(distances[:, 0][known[:, 0]])
    farthest = distances[known].max()
    numbers = np.zeros((len(cells), len(NEAR)))
    for rows, tree in zip(fields, trees, strict=True):
        for column, times in enumerate(NEAR):
            numbers[rows, column] = tree.query_ball_point(places[rows], times * median, return_length=True) - 1
    return np.column_stack([np.log1p(np.where(known, distances, farthest)), np.sqrt(numbers)])


KINDS = {
    "position": Kind("where in its field a cell lies", position),
    "crowding": Kind("how near other cells are", crowding),
}


def ask(evidence: Evidence) -> dict:
    """What each of KINDS tells.

    Returns:
        {kind: {result, why, can_arise}}; result is None where it cannot be known, and why says so; can_arise is False
        where each field holds one cell.
    """
    data = evidence.cells.run.data
    cells, why_no_table = result_or_reason(lambda: data.cells)
    if cells is None:
        return dict.fromkeys(KINDS, {"result": None, "why": why_no_table, "can_arise": True})
    if not cells[schema.FIELD].duplicated().any():
        return dict.fromkeys(KINDS, {"result": None, "why": "each field holds one cell", "can_arise": False})
    found = {}
    for name, kind in KINDS.items():
        result, why = result_or_reason(_ask_of_kind, evidence, kind)
        found[name] = {"result": result, "why": why, "can_arise": True}
    return found


def _ask_of_kind(evidence: Evidence, kind: Kind) -> dict:
    """What a property tells of the class and of the network's margin, see `told`.

    Raises:
        InputRefused: the table of cells does not say where in its field a cell lies.
    """
    run = evidence.cells.run
    known_places(run.data)
    cells = run.data.cells
    values = pd.DataFrame(kind.of_cells(cells), index=cells[schema.CELL_ID])
    crops = evidence.compared.crops
    trained_on = run.crops_of_lines("train")
    labelled = trained_on.label != schema.NO_LABEL
    of_training = values.loc[trained_on.cell_id[labelled]].to_numpy()
    of_cells = values.loc[crops.cell_id].to_numpy()
    resampling = shortcut_resampling(run)
    prob = class_probabilities(of_training, trained_on.label[labelled], of_cells, len(crops.classes))
    score = resampling.scores(crops.label, prob, crops.group_id, ("auroc",))["auroc"]
    return {"class_auroc": score, **told(prob, of_cells, evidence.compared, resampling)}


def known_places(data) -> pd.DataFrame:
    """Centre of each cell in its field, px, by the name of the cell.

    Args:
        data: `OpenData`.

    Raises:
        InputRefused: the table of cells does not say where in its field a cell lies.
    """
    cells = data.cells
    columns = [schema.CENTRE_Y, schema.CENTRE_X]
    if not set(columns) <= set(cells.columns) or cells[columns].isna().to_numpy().any():
        raise InputRefused("where in their fields cells lie is not known")
    return cells.set_index(schema.CELL_ID)[columns]


def told(prob, of_cells, compared, resampling) -> dict:
    """What a property tells of the network's margin.

    Args:
        prob: f64 [N, P], of each class, by the property alone.
        of_cells: f64 [N, D], the property.
        compared: `ComparedCells`, N of them.
        resampling: how intervals are made.

    Returns:
        share: of the difference between the classes, see `class_shares.missing_within`; within_class: R2 of the
        network's margins within classes, on groups left out.
    """
    crops = compared.crops
    margin = compared.margins
    strata = pd.qcut(prob[:, -1], STRATA, labels=False, duplicates="drop")
    return {
        "share": class_shares.missing_within(margin, crops.label, strata, crops.group_id, resampling),
        "within_class": _explained_within_class(of_cells, margin[:, -1], crops, resampling),
    }


def class_probabilities(of_training, label, of_cells, classes: int) -> np.ndarray:
    """Probability f64 [N, P] of each class by a property, learnt from cells of training.

    Raises:
        InputRefused: these are of one class.
    """
    if len(np.unique(label)) < 2:
        raise InputRefused("labelled cells of training are of one class")
    model = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(2, include_bias=False),
        StandardScaler(),
        LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000),
    )
    model.fit(of_training, label)
    prob = np.zeros((len(of_cells), classes))
    prob[:, model.classes_] = model.predict_proba(of_cells)
    return prob


def _explained_within_class(of_cells, margin, crops, resampling) -> Interval:
    """R2 with which a property f64 [N, D] predicts margins f64 [N] less the mean of each class, on groups left out."""
    residual = margin.copy()
    for class_index in np.unique(crops.label):
        of_class = crops.label == class_index
        residual[of_class] -= residual[of_class].mean()
    predicted = np.zeros(len(residual))
    for fit, held_out in crossvalidation.folds(crops.group_id):
        model = make_pipeline(
            StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler(), RidgeCV(PENALTIES)
        )
        predicted[held_out] = model.fit(of_cells[fit], residual[fit]).predict(of_cells[held_out])
    error = (residual - predicted) ** 2

    def r2(weights):
        total = weights.sum(1)
        mean = metrics.divide(weights @ residual, total)
        variance = metrics.divide(weights @ residual**2, total) - mean**2
        return {"r2": 1 - metrics.divide(metrics.divide(weights @ error, total), variance)}

    return resampling.intervals(r2, crops.group_id, BELOW_ONE)["r2"]


def follows_class(result: dict, limit: float) -> bool:
    """Whether a property predicts the class: at the limit or above, and above chance for certain."""
    score = result["class_auroc"]
    return score.value >= limit and score.low > CHANCE


def judge_kind(name: str, is_never_biology: bool, results: dict, about: dict) -> Judgement:
    """See `judge_told`; `name` is of KINDS, and `results` are those of `ask`."""
    words = KINDS[name].words
    result = results[name]["result"]
    if not results[name]["can_arise"]:
        return Judgement(Answer.IMPOSSIBLE, f"Nothing can be read from {words}: {results[name]['why']}.")
    if result is None:
        return Judgement(Answer.UNKNOWN, f"Whether it reads {words} was not asked: {results[name]['why']}.",
                         remedy="A table of cells with their positions would tell.")
    return judge_told(words, is_never_biology, result, about)


def judge_told(words: str, is_never_biology: bool, result: dict, about: dict) -> Judgement:
    """Passed where a property does not predict the class, or where the network does not read it, for certain.

    Args:
        words: the property, in words.
        is_never_biology: whether a network that reads it, where it predicts the class, is an alarm.
        result: class_auroc, share and within_class, see `told`.
        about: as of `Check.judge`.
    """
    limit = about["limits"]["surroundings"]
    score = result["class_auroc"]
    share = Interval.of(result["share"])
    within = result["within_class"]
    sentence = (f"{words[0].upper()}{words[1:]} predicts the class with an area under the ROC curve of {score.text()}. "
                f"{class_shares.in_words(result['share'], about)} is missing between cells that it makes equally "
                f"likely to be of the class, and within classes it predicts {within.percent()} of the variance of the "
                "network's output.")
    of_share = class_shares.answer_of(share, limit, about["n_groups"])
    reads_within = class_shares.is_certain(within, limit)
    if follows_class(result, about["limits"]["batch_auroc"]) and (of_share is Answer.FAILED or reads_within):
        return Judgement(Answer.FAILED, sentence, alarm=is_never_biology)
    if of_share is Answer.PASSED or (score.is_known and score.high < about["limits"]["batch_auroc"]):
        return Judgement(Answer.PASSED, sentence)
    return Judgement(Answer.UNKNOWN, sentence, remedy=_remedy(result, share, limit, about))


def _remedy(result, share, limit, about) -> str:
    if follows_class(result, about["limits"]["batch_auroc"]) and not share.is_known:
        return "Cells of both classes that are alike in it would tell."
    return class_shares.remedy_of(share, limit, about)


def judge_position(results: dict, about: dict) -> Judgement:
    """See `judge_kind`; no biology depends on where the camera was."""
    return judge_kind("position", True, results, about)


def judge_crowding(results: dict, about: dict) -> Judgement:
    """See `judge_kind`; crowded cells may divide less, so that it is no alarm by itself."""
    return judge_kind("crowding", False, results, about)


QUESTION = Question("nuisances", ask)
POSITION = Check("does not read the position in the field", QUESTION, judge_position, needed=True)
CROWDING = Check("does not read how crowded the field is", QUESTION, judge_crowding, needed=True)
