"""What a network has to beat: classifiers of a few measurements, of all of them, and (simulated data) of the truth."""

import dataclasses
import warnings

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from cellcycle_jax import schema
from cellcycle_jax.dataset import cell_table
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.scoring import crossvalidation

BASELINES = ("nuclear_area", "integrated_dna", "area_and_dna", "all_features")

# True columns that say the phase itself, that no picture shows (the DNA content, and the strength of a cell's staining,
# from which it would follow), or that say only where a cell lies. What is stained is allowed.
_HIDDEN_TRUTH = ("marker", "age", "phase", "dna_content", "stain", "cell_label", "site", "centre", "border", "touching")
_FLOOR = 1e-3  # lowest value of a logarithm's argument, as a fraction of the training median


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Turns rows of the table into the numbers of one classifier; everything in it is learnt from training rows.

    Attributes:
        features: measurement columns, in order.
        lines: cell lines seen in training, one indicator each; another line has all indicators 0.
        median: f64 [F], training medians.
        logs: bool [F], features of which the logarithm is taken.
        fill: whether a missing value becomes the training median.
    """

    features: tuple[str, ...]
    lines: tuple[str, ...]
    median: np.ndarray
    logs: np.ndarray
    fill: bool

    @classmethod
    def learn(cls, rows: pd.DataFrame, features, log: bool) -> "Inputs":
        """Learn medians and lines of `rows`; with `log`, take logarithms of features positive but for noise."""
        values = cell_table.relative_features(rows, features)
        values = values.loc[:, values.notna().any()]  # a column without one number says nothing
        median = values.median().to_numpy()
        positive = log & (median > 0) & (values.min().to_numpy() > -0.5 * median)
        lines = tuple(sorted(rows[schema.CELL_LINE].unique()))
        return cls(tuple(values.columns), lines, median, positive, fill=log)

    def __call__(self, rows: pd.DataFrame) -> np.ndarray:
        """The numbers of each row, f64 [N, F + number of lines]."""
        values = cell_table.relative_features(rows, self.features).to_numpy(copy=True)
        if self.fill:
            values = np.where(np.isnan(values), self.median, values)
        lifted = np.maximum(values[:, self.logs], _FLOOR * self.median[self.logs])
        values[:, self.logs] = np.log(lifted)
        line = rows[schema.CELL_LINE].to_numpy()[:, None] == np.array(self.lines, object)[None, :]
        return np.concatenate([values, line.astype(np.float64)], axis=1)


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A fitted scikit-learn classifier with its inputs."""

    inputs: Inputs
    model: object

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """Probabilities f64 [N, P] of rows of the table, in the order of the classes."""
        if not len(rows):
            return np.zeros((0, len(self.model.classes_)))
        with threadpool_limits(1):
            return self.model.predict_proba(self.inputs(rows))


@dataclasses.dataclass(frozen=True)
class Baselines:
    """The fitted baselines by name."""

    models: dict[str, Classifier]

    @property
    def features(self) -> dict[str, list[str]]:
        """The measurements each baseline was given, for the record."""
        return {name: list(model.inputs.features) for name, model in self.models.items()}

    def predict(self, rows: pd.DataFrame) -> dict[str, np.ndarray]:
        """Probabilities f64 [N, P] of rows of the table, by baseline."""
        return {name: model.predict(rows) for name, model in self.models.items()}


def _logistic():
    # Weakly penalised: the offsets of the lines must be free to move.
    return make_pipeline(StandardScaler(), LogisticRegression(C=10.0, class_weight="balanced", max_iter=2000))


def _boosting():
    # No early stopping: it would hold out cells at random, siblings of the same field among them.
    return HistGradientBoostingClassifier(
        max_iter=200,
        learning_rate=0.05,
        max_leaf_nodes=15,
        l2_regularization=1.0,
        early_stopping=False,
        class_weight="balanced",
        random_state=0,
    )


def _classified(rows: pd.DataFrame, column: str, classes) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows whose `column` names a class, and the index of that class.

    Raises:
        InputRefused: a class has no row.
    """
    rows = rows[rows[column].isin(list(classes))]
    label = pd.Index(list(classes)).get_indexer(rows[column])
    absent = [name for index, name in enumerate(classes) if index not in label]
    if absent:
        raise InputRefused(f"{column}: no training cell of class {absent[0]!r}; a baseline needs some of each class")
    return rows, label


def _fit(rows: pd.DataFrame, label: np.ndarray, features, boosting: bool) -> Classifier:
    inputs = Inputs.learn(rows, features, log=not boosting)
    model = _boosting() if boosting else _logistic()
    # Threads gain nothing with so few cells, and where they outnumber the free cores they make it 50 times slower.
    with threadpool_limits(1):
        return Classifier(inputs, model.fit(inputs(rows), label))


def fit_baselines(
    train_rows: pd.DataFrame, channels, nucleus: str, classes, markers, shape_shown: bool = False
) -> Baselines:
    """Fit the four baselines on the labelled rows.

    The three of few measurements are logistic regressions on logarithms with an offset per cell line; `all_features` is
    gradient boosting on every measurement of the shown channels. Intensities are relative to the field. The DNA
    baselines are fitted even where the model does not see the nuclear channel: they are a bar, not an equal rival.

    Args:
        train_rows: rows of the training split; rows without a class are left out.
        channels: channels the model sees; the shape of the nucleus belongs to the nuclear channel.
        nucleus: channel in which nuclei were found.
        classes: names of the P classes, in order.
        markers: channels that label the cells; their measurements are never used.
        shape_shown: the model sees the outline of the nucleus without its channel, as a mask does.

    Raises:
        InputRefused: a class has no row.
        StoredStateRefused: a measurement is not in the table.
    """
    rows, label = _classified(train_rows, schema.LABEL, classes)
    area = schema.NUCLEAR_AREA
    dna = schema.integrated(nucleus)
    few = {"nuclear_area": [area], "integrated_dna": [dna], "area_and_dna": [area, dna]}
    models = {}
    for name, features in few.items():
        models[name] = _fit(rows, label, features, boosting=False)
    features = cell_table.measurements(rows, channels, markers, None if shape_shown else nucleus)
    models["all_features"] = _fit(rows, label, features, boosting=True)
    return Baselines(models)


def _grouped_score(rows: pd.DataFrame, label: np.ndarray, features, boosting: bool) -> float:
    """Balanced accuracy on held-out groups, up to five folds; NaN where no division keeps every class in training."""
    def predict(train, held_out):
        return _fit(rows.iloc[train], label[train], features, boosting).predict(rows.iloc[held_out])

    divisions = crossvalidation.folds(rows[schema.GROUP].to_numpy())
    return crossvalidation.balanced_accuracy(predict, label, divisions, label.max() + 1)


def fit_oracle(train_rows: pd.DataFrame, classes) -> Classifier | None:
    """A classifier of the true properties of simulated cells: how far any reader of the images could get.

    Logistic regression or gradient boosting, whichever scores better on held-out groups of the training rows. Marker,
    age, DNA content and staining strength are kept from it; the DNA that is stained is not.

    Args:
        train_rows: rows of the training split, trained on `schema.TRUE_PHASE` (mitotic cells are left out).
        classes: names of the P classes, in order.

    Returns:
        None where the table has no numeric Truth_ column, or a class is not among the true phases: the data are not
        simulated, or labelled by something other than phase.
    """
    features = _allowed_truth(train_rows)
    if not features or not set(classes) <= set(train_rows.get(schema.TRUE_PHASE, ())):
        return None
    rows, label = _classified(train_rows, schema.TRUE_PHASE, classes)
    with warnings.catch_warnings():
        # A fold can lack a rare class's line; the score then stands on the folds that do not.
        warnings.simplefilter("ignore", UserWarning)
        logistic = _grouped_score(rows, label, features, boosting=False)
        boosting = _grouped_score(rows, label, features, boosting=True)
    return _fit(rows, label, features, boosting > logistic)


def _allowed_truth(rows: pd.DataFrame) -> list[str]:
    """The numeric true columns that may be known of a cell, without those that have no value."""
    columns = []
    for column in rows.columns:
        is_allowed = column.startswith("Truth_") and not column.removeprefix("Truth_").startswith(_HIDDEN_TRUTH)
        if is_allowed and pd.api.types.is_numeric_dtype(rows[column]) and rows[column].notna().any():
            columns.append(column)
    return columns
