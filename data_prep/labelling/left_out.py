"""Which class loses cells to quality control: what is left of a class may not stand for it.

Cells that are excluded have no label, but most of them can be given one: by their marker, their DNA content or a table.
"""

import numpy as np
import pandas as pd
from scipy import stats

from cellcycle_jax import schema
from data_prep.labelling import methods

# Reasons that concern the picture of a cell or its outline. A cell at the border lies there by chance, and mitotic
# cells belong to no class.
REASONS = ("small", "large", "ragged", "out_of_focus", "saturated")
USED = "used"
LARGE = 0.1  # share of a class that is excluded beyond that of the others, from which its labels are in doubt
BY_CHANCE = 0.005  # probability with which groups differ as much where no class loses more, below which it is certain
LEAST_GROUPS = 4  # that hold cells of the class and others


def classes_of_excluded(table: pd.DataFrame, channels, labelling) -> pd.DataFrame:
    """The cells that are used or excluded for one of REASONS, with the class that each has or would have.

    Args:
        table: all objects with their labels.
        channels, labelling: sections of the config of preparation.

    Returns:
        Metadata_Group; reason, of REASONS or "used"; class, "" where there is none. Empty where cells are not labelled,
        or by a method of the user's own, which may not be made for such cells.
    """
    if labelling.method == "none" or labelling.method not in methods.METHODS:
        return pd.DataFrame(columns=[schema.GROUP, "reason", "class"])
    reason = table[schema.REJECT_REASON].replace("", USED)
    is_counted = reason.isin([USED, *REASONS])
    cells = table[is_counted].reset_index(drop=True)
    reason = reason[is_counted].reset_index(drop=True)
    would_be = np.array([*labelling.classes, ""])[methods.label_cells(cells, channels, labelling).label]
    classes = np.where(reason == USED, cells[schema.LABEL], would_be)
    return pd.DataFrame({schema.GROUP: cells[schema.GROUP], "reason": reason, "class": classes})


def counts(cells: pd.DataFrame, classes) -> dict[str, dict[str, int]]:
    """How many cells of each class are used, and excluded for each reason: {class: {reason: number}}."""
    if cells.empty:
        return {}
    table = pd.crosstab(cells["class"], cells["reason"])
    table = table.reindex(index=[*classes], columns=[USED, *REASONS], fill_value=0)
    return {name: row.astype(int).to_dict() for name, row in table.iterrows()}


def doubts(cells: pd.DataFrame, classes) -> list[str]:
    """A sentence for each class of which a larger share is excluded than of the others, by LARGE and for certain.

    Args:
        cells: as of `classes_of_excluded`.
        classes: names.
    """
    cells = cells[cells["class"] != ""]
    sentences = []
    for name in classes:
        is_class = (cells["class"] == name).to_numpy()
        is_excluded = (cells["reason"] != USED).to_numpy()
        if not is_class.any() or is_class.all():
            continue
        of_class = is_excluded[is_class].mean()
        of_others = is_excluded[~is_class].mean()
        is_large = of_class - of_others >= LARGE
        if is_large and _is_certain(is_excluded, is_class, cells[schema.GROUP].to_numpy(str)):
            most = cells["reason"][is_class & is_excluded].value_counts().index[0]
            sentences.append(
                f"Quality control excludes {of_class:.0%} of the cells that would be {name}, most as {most}, and "
                f"{of_others:.0%} of the others: what is left may not stand for {name}."
            )
    return sentences


def _is_certain(is_excluded, is_class, groups) -> bool:
    """Whether more of a class than of the others is excluded from group to group.

    By a t-test of how many more of the class are excluded in each group than if all its cells were excluded alike.
    """
    more = []
    for group in np.unique(groups):
        here = groups == group
        if len(np.unique(is_class[here])) == 2:
            expected = is_class[here].sum() * is_excluded[here].mean()
            more.append((is_excluded & is_class)[here].sum() - expected)
    if len(more) < LEAST_GROUPS:
        return False
    if np.ptp(more) == 0:
        return more[0] > 0
    return bool(stats.ttest_1samp(more, 0, alternative="greater").pvalue < BY_CHANCE)
