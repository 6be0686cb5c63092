"""All limits that decide what a passport says. configs/base.py has their defaults; a passport stores those it used."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of the checks and of the sentences, as `config.explain.limits`.

    Attributes:
        surroundings: share of the difference between classes that goes with the surroundings to another cell, from
            which they are a shortcut.
        brightness: the same of the brightness of the field. Fields differ in their cells too, so less is known of it.
        shortcut_interval_level: of the intervals of both: several properties are tested, and an alarm should mean
            something.
        batch_auroc: area under the ROC curve from which plate, well or cell line alone predict the class.
        map_correlation: strength of the rank correlation from which a map counts as that of other weights or labels.
        trivial_correlation: the same for maps that need no network.
        edit_slope: logits per +10 % from which an edit moves the prediction; editing itself moves it by hundredths.
        region_share: share of the difference between classes from which a region is named.
        explained_r2: R2 from which measurements explain the prediction.
        small_gap: between R2 of the named and of all measurements: no more than that is as good as none.
    """

    surroundings: float
    brightness: float
    shortcut_interval_level: float
    batch_auroc: float
    map_correlation: float
    trivial_correlation: float
    edit_slope: float
    region_share: float
    explained_r2: float
    small_gap: float


def limits_of(run) -> Limits:
    """The limits in the config of a run."""
    return Limits(**run.config.explain.limits.to_dict())
