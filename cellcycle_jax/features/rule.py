"""A rule to take away: at most four cuts in measurements that sort cells nearly as well as the network does.

Rules are decision trees (Breiman et al., Classification and Regression Trees, 1984), grown best cut first on training
cells. The shortest one that keeps `KEPT` of the network's balanced accuracy on validation cells is chosen; if the test
split was opened before, it is scored there as well.
"""

import dataclasses
import pathlib

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from cellcycle_jax import files, schema
from cellcycle_jax.features.feature_axes import FeatureAxis
from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Interval, Resampling

MOST_CUTS = 4
KEPT = 0.98  # share of the network's balanced accuracy that is as good as the network
LEAST_IN_LEAF = 0.01  # of the training cells, so that no cut is made for a few of them
FILES = ("rule.json", "rule.txt", "rule_cells.csv")
RULE_CLASS = "Rule_Class"  # column of rule_cells.csv


@dataclasses.dataclass(frozen=True)
class Leaf:
    """An end of a rule.

    Attributes:
        class_name: what cells are called that come here.
    """

    class_name: str


@dataclasses.dataclass(frozen=True)
class Cut:
    """A question about one measurement.

    Attributes:
        measurement: a column of the shown values.
        value: of the cut.
        above: what follows for cells above it.
        otherwise: what follows for the others.
    """

    measurement: str
    value: float
    above: "Cut | Leaf"
    otherwise: "Cut | Leaf"

    @property
    def cuts(self) -> "list[Cut]":
        """This one and all that follow."""
        cuts = [self]
        for part in (self.above, self.otherwise):
            if isinstance(part, Cut):
                cuts += part.cuts
        return cuts


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule for cells that are measured.

    Attributes:
        first: the question that is asked first.
        medians: measurement -> what a cell is taken to have that lacks it.
    """

    first: Cut
    medians: dict[str, float]

    @property
    def measurements(self) -> list[str]:
        """Names of the columns that are used, in the order of the questions."""
        return list(dict.fromkeys(cut.measurement for cut in self.first.cuts))

    def calls(self, shown: pd.DataFrame) -> np.ndarray:
        """The class of each cell, text [N], of shown values f64 [N, F]."""
        filled = shown[self.measurements].fillna(self.medians)
        return _calls(self.first, filled)

    def sentences(self, axes: dict[str, FeatureAxis]) -> list[str]:
        """One sentence for each way to a class, in the order in which they are asked."""
        sentences = []
        for conditions, class_name in _ways(self.first):
            words = []
            for cut, is_above in conditions:
                unit = axes[cut.measurement].unit
                of_unit = f" {unit}" if unit else ""
                sign = ">" if is_above else "≤"
                words.append(f"{schema.readable(cut.measurement)} {sign} {cut.value:.4g}{of_unit}")
            sentences.append(f"{class_name} where {' and '.join(words)}")
        return sentences


def _calls(part: Cut | Leaf, values: pd.DataFrame) -> np.ndarray:
    if isinstance(part, Leaf):
        return np.full(len(values), part.class_name, dtype=object)
    is_above = values[part.measurement].to_numpy() > part.value
    return np.where(is_above, _calls(part.above, values), _calls(part.otherwise, values))


def _ways(part: Cut | Leaf, conditions=()) -> list[tuple[tuple, str]]:
    """All ways through a rule: ((cut, whether a cell is above it), ...) and the class at its end."""
    if isinstance(part, Leaf):
        return [(conditions, part.class_name)]
    above = _ways(part.above, (*conditions, (part, True)))
    return above + _ways(part.otherwise, (*conditions, (part, False)))


def grow(shown: pd.DataFrame, label, cuts: int) -> Rule | None:
    """The rule of at most so many cuts that sorts training cells best.

    Args:
        shown: f64 [N, F]; NaN where missing.
        label: text [N].
        cuts: 1 to MOST_CUTS.

    Returns:
        None where no cut tells the classes.
    """
    medians = shown.median().to_dict()
    filled = shown.fillna(medians)
    tree = DecisionTreeClassifier(
        max_leaf_nodes=cuts + 1, min_samples_leaf=LEAST_IN_LEAF, class_weight="balanced", random_state=0
    )
    tree.fit(filled.to_numpy(np.float32), label)
    first = _part(tree, 0, list(shown.columns))
    if isinstance(first, Leaf):
        return None
    used = {cut.measurement for cut in first.cuts}
    return Rule(first, {name: float(medians[name]) for name in sorted(used)})


def _part(tree: DecisionTreeClassifier, node: int, names: list[str]) -> Cut | Leaf:
    """A fitted tree from a node on; a cut both of whose sides are called alike is none."""
    inner = tree.tree_
    if inner.children_left[node] < 0:
        return Leaf(str(tree.classes_[inner.value[node, 0].argmax()]))
    otherwise = _part(tree, inner.children_left[node], names)
    above = _part(tree, inner.children_right[node], names)
    if isinstance(above, Leaf) and above == otherwise:
        return above
    return Cut(names[inner.feature[node]], float(inner.threshold[node]), above, otherwise)


@dataclasses.dataclass(frozen=True)
class Compared:
    """A rule beside the network on the same cells.

    Attributes:
        accuracy: its balanced accuracy.
        of_network: that of the network.
        kept: share of the latter that the rule keeps.
        n_cells, n_groups: on which.
    """

    accuracy: Interval
    of_network: Interval
    kept: Interval
    n_cells: int
    n_groups: int


def compare(called, predicted, label, groups, resampling: Resampling) -> Compared:
    """A rule's calls beside those of the network.

    Args:
        called: text [N], of the rule.
        predicted: text [N], of the network.
        label: text [N].
        groups: text [N].
        resampling: how intervals are made.
    """
    classes = np.unique([*label, *called, *predicted])
    index = np.searchsorted(classes, label)
    of_rule = _certain(called, classes)
    of_network = _certain(predicted, classes)

    def accuracies(weights):
        rule = metrics.balanced_accuracy(index, of_rule, weights)
        network = metrics.balanced_accuracy(index, of_network, weights)
        # Of two accuracies as certain as these, the quotient is as good as normal.
        return {"rule": rule, "network": network, "kept": metrics.divide(rule, network)}

    found = resampling.intervals(accuracies, groups, label=index)
    return Compared(found["rule"], found["network"], found["kept"], len(label), len(np.unique(groups)))


def _certain(called, classes) -> np.ndarray:
    """Calls text [N] as probabilities f64 [N, P]: 1 of the class that is called."""
    return np.eye(len(classes))[np.searchsorted(classes, called)]


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The rules of all lengths, and the one that is taken.

    Attributes:
        rules: the rules, the shortest first; no two are the same.
        compared: each of them beside the network, on validation cells.
        number: of the one that is taken.
        is_enough: whether it keeps `KEPT` of the network's accuracy.
    """

    rules: list[Rule]
    compared: list[Compared]
    number: int
    is_enough: bool

    @property
    def rule(self) -> Rule:
        """The one that is taken."""
        return self.rules[self.number]


def choose(rules: list[Rule], compared: list[Compared]) -> Chosen:
    """The shortest rule that keeps `KEPT` of the network's accuracy, else the one that keeps most."""
    kept = [one.kept.value for one in compared]
    enough = [number for number, share in enumerate(kept) if share >= KEPT]
    if enough:
        return Chosen(rules, compared, enough[0], True)
    return Chosen(rules, compared, int(np.argmax(kept)), False)


def grow_all(shown: pd.DataFrame, label) -> list[Rule]:
    """Rules of one to MOST_CUTS cuts, the shortest first; [] where no cut tells the classes."""
    rules = []
    for cuts in range(1, MOST_CUTS + 1):
        rule = grow(shown, label, cuts)
        if rule is not None and rule not in rules:
            rules.append(rule)
    return rules


def describe(chosen: Chosen) -> str:
    """What is said of the rule that was taken."""
    compared = chosen.compared[chosen.number]
    cuts = len(chosen.rule.first.cuts)
    said = "1 cut" if cuts == 1 else f"{cuts} cuts"
    kept = compared.kept.percent()
    if chosen.is_enough:
        return (
            f"A rule of {said} keeps {kept} of the network's balanced accuracy on {compared.n_cells} validation cells "
            f"({compared.n_groups} groups)."
        )
    cost = 100 * (compared.of_network.value - compared.accuracy.value)
    return (
        f"No rule of at most {MOST_CUTS} cuts keeps {100 * KEPT:.0f} % of the network's balanced accuracy; the best "
        f"one, of {said}, keeps {kept} on {compared.n_cells} validation cells and costs {cost:.0f} points."
    )


def as_json(part: Cut | Leaf) -> dict:
    """A rule as nested objects: {"measurement", "cut", "above", "otherwise"}, {"class"} at its ends."""
    if isinstance(part, Leaf):
        return {"class": part.class_name}
    return {
        "measurement": part.measurement,
        "cut": part.value,
        "above": as_json(part.above),
        "otherwise": as_json(part.otherwise),
    }


def write(chosen: Chosen, axes: dict[str, FeatureAxis], cells: pd.DataFrame, on_test, folder, about) -> dict:
    """Write rule.json, rule.txt and rule_cells.csv.

    Args:
        chosen: the rule.
        axes: measurement -> how it is shown.
        cells: the rows of rule_cells.csv, as of `columns`.
        on_test: `Compared` on the test split; None: that was not opened.
        folder: to write to.
        about: what else rule.json holds.

    Returns:
        What rule.json holds.
    """
    folder = pathlib.Path(folder)
    rule = chosen.rule
    sentences = rule.sentences(axes)
    summary = describe(chosen)
    lengths = []
    for one, compared in zip(chosen.rules, chosen.compared, strict=True):
        lengths.append({"cuts": len(one.first.cuts), "measurements": one.measurements, **vars(compared)})
    record = about | {
        "sentence": summary,
        "sentences": sentences,
        "rule": as_json(rule.first),
        "measurements": {name: _measurement(axes[name], rule.medians[name]) for name in rule.measurements},
        "enough": chosen.is_enough,
        "wanted": KEPT,
        "lengths": lengths,
        "test": None if on_test is None else vars(on_test),
    }
    record = files.to_json(record)
    files.write_csv(cells, folder / "rule_cells.csv")
    files.write_text(folder / "rule.txt", "\n".join([*sentences, "", summary, ""]))
    files.write_sealed_json(folder / "rule.json", record)
    return record


def _measurement(axis: FeatureAxis, median: float) -> dict:
    return {
        "name": schema.readable(axis.feature),
        "unit": axis.unit,
        "line_medians": axis.medians,
        "if_missing": median,
    }


def columns(rule: Rule, rows: pd.DataFrame, shown: pd.DataFrame, classes) -> pd.DataFrame:
    """What a rule says of cells: where they are, the measurements that it asks for as shown, and its call.

    Args:
        rule: the rule.
        rows: N rows of the table of cells.
        shown: f64 [N, F].
        classes: names; each is a column of 0 and 1, Rule_Is_NAME, that any program can filter by.
    """
    places = [schema.CELL_ID, schema.FIELD, schema.CENTRE_Y, schema.CENTRE_X, schema.SPLIT, schema.LABEL]
    table = rows[places].reset_index(drop=True)
    for name in rule.measurements:
        table[f"Rule_{name}"] = shown[name].to_numpy()
    called = rule.calls(shown)
    table[RULE_CLASS] = called
    for class_name in classes:
        table[f"Rule_Is_{class_name}"] = (called == class_name).astype(int)
    return table
