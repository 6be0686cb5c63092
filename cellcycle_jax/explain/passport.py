"""The saliency passport: which checks an explanation passed, where the network looks, and a verdict in plain words."""


from cellcycle_jax.explain.checks import score, shortcut_check
from cellcycle_jax.explain.checks.all_checks import CHECKS
from cellcycle_jax.explain.checks.check import Answer, Check, Judgement
from cellcycle_jax.explain.measurements import surrogate
from cellcycle_jax.explain.regions import localisation
from cellcycle_jax.runs import passport_file
from cellcycle_jax.scoring.intervals import Interval

MOST_REGIONS = 3  # named in the verdict
LEAST_AUROC = 0.6  # lower bound of the area under the ROC curve from which regions are named
FIRST_SENTENCES = {  # of the verdict, by status
    "chance": "There is nothing to explain: the network's score cannot be distinguished from chance.",
    "shortcut": (
        "Do not trust what this network learnt: it can predict the class from something that is not the cell."
    ),
    "caution": "With caution: no shortcut is certain, but",
    "no_alarm": (
        "No check raised an alarm. That does not show that the network uses biology: shortcuts that no "
        "check looks for pass as well (docs/explaining.md lists those that are known)."
    ),
}


def make_passport(results: dict, about: dict, checks: tuple[Check, ...] = CHECKS) -> dict:
    """What RUN/explain/passport.json holds.

    Args:
        results: those of each of `all_checks.QUESTIONS` by its key; region_shares (table), surrogate and shortlist
            (None with surrogate_why and shortlist_why where there is none).
        about: classes, channels, stain, mask, interval_level, method, limits, n_cells, n_groups, group_by, step and
            run_id.
        checks: those that are judged, in order.

    Returns:
        format; status ('no_alarm', 'caution', 'shortcut' or 'chance'); verdict (sentences); checks (one dict each:
        name, answer, sentence, alarm, remedy, see `check.Judgement`); region_shares (rows); regions and
        regions_read_beside, in words; and everything of `about`.
    """
    judgements = {check.name: check.judge(results[check.question.key], about) for check in checks}
    status = status_of(checks, judgements, results["channel_importance"]["why"])
    return {
        **about,
        "format": passport_file.FORMAT,
        "status": status,
        "verdict": _verdict(status, checks, judgements, results, about),
        "checks": [_to_json(name, judgement) for name, judgement in judgements.items()],
        "region_shares": results["region_shares"].to_dict("records"),
        "regions": named_regions(results, about),
        "regions_read_beside": regions_read_beside(results, about),
    }


def _to_json(name: str, judgement: Judgement) -> dict:
    return {
        "name": name,
        "answer": str(judgement.answer),
        "sentence": judgement.sentence,
        "alarm": judgement.alarm,
        "remedy": judgement.remedy,
    }


def status_of(checks, judgements: dict[str, Judgement], why_no_channels: str) -> str:
    """The status of a passport.

    Args:
        checks: those that count.
        judgements: of each of them, by name.
        why_no_channels: why it is not known what each channel adds, "" where it is known.
    """
    if judgements[score.CHECK.name].answer is Answer.FAILED:
        return "chance"
    if any(judgement.alarm for judgement in judgements.values()):
        return "shortcut"
    if why_no_channels or costing_trust(checks, judgements):
        return "caution"
    return "no_alarm"


def costing_trust(checks, judgements: dict[str, Judgement]) -> list[Check]:
    """Checks that failed, and needed ones whose answer is not known, in this order."""
    failed = [check for check in checks if judgements[check.name].answer is Answer.FAILED]
    unknown = [check for check in checks if check.needed and judgements[check.name].answer is Answer.UNKNOWN]
    return failed + unknown


def named_regions(results: dict, about: dict) -> list[str]:
    """The regions that are named, best first, each with its channel, share and what it would have by chance.

    Of more than two classes, each of which differs from the rest in regions of its own, the best region of each. None
    where the score is hardly above chance: shares of a difference that is hardly there say nothing.
    """
    region_shares = results["region_shares"]
    if not _tells_enough(results["score"]):
        return []
    large = region_shares["share"] >= about["limits"]["region_share"]
    certain = region_shares["low"] > 0  # False where there is no interval
    named = region_shares[large & certain].sort_values("share", ascending=False)
    named = named.drop_duplicates("class") if len(about["classes"]) > 2 else named.head(MOST_REGIONS)
    return [_region_in_words(row, about) for row in named.to_dict("records")]


def _tells_enough(auroc: Interval) -> bool:
    """Whether the network tells the classes well enough for regions to be named; True of a score without interval."""
    return not auroc.is_known or auroc.low >= LEAST_AUROC


def regions_read_beside(results: dict, about: dict) -> list[str]:
    """Regions that the network reads and that do not distinguish the classes by themselves, best first, in words.

    What moves the margin within classes comes from them to a good part, and of the difference between the classes they
    have less for certain.
    """
    region_shares = results["region_shares"]
    if not _tells_enough(results["score"]):
        return []
    limit = about["limits"]["region_share"]
    is_read = (region_shares["read"] >= limit) & (region_shares["read_low"] > 0)
    tells_little = region_shares["high"] < limit  # False where there is no interval
    beside = region_shares[is_read & tells_little].sort_values("read", ascending=False).head(MOST_REGIONS)
    words = []
    for row in beside.to_dict("records"):
        read = Interval(row["read"], row["read_low"], row["read_high"]).percent()
        share = _share_in_words(row, about)
        words.append(f"{_place_in_words(row, about)}: {read} of what moves its output within classes, {share}")
    return words


def _region_in_words(row: dict, about: dict) -> str:
    share = _share_in_words(row, about)
    return f"{_place_in_words(row, about)}: {share}, {row['ratio']:.1f} times its share of the image"


def _place_in_words(row: dict, about: dict) -> str:
    """A region and its channel."""
    words = localisation.region_in_words(row["compartment"], about["stain"])
    if row["compartment"] in localisation.BLANK[about["mask"]]:
        words += " (where the mask shows nothing, so how far the cell reaches)"
    if len(about["channels"]) > 1:
        words += f", channel {row['channel']}"
    return words


def _share_in_words(row: dict, about: dict) -> str:
    """What a region has of the difference between the classes."""
    words = Interval(row["share"], row["low"], row["high"]).percent()
    if len(about["classes"]) > 2:
        return f"{words} of the difference between {row['class']} and the rest"
    return f"{words} of the difference"


def _verdict(status, checks, judgements, results, about) -> list[str]:
    """Sentences: what it is worth, where it looks, which measurements say the same, what was not passed."""
    first = FIRST_SENTENCES[status]
    if status == "chance":
        return [first]
    costly = costing_trust(checks, judgements)
    why_no_channels = results["channel_importance"]["why"]
    if status == "caution":
        first = f"{first} {_reasons(costly, judgements, why_no_channels)}"
    surroundings = judgements[shortcut_check.SURROUNDINGS.name]
    if surroundings.answer is Answer.PASSED:
        first = f"{first} {surroundings.sentence}"  # what of the score the cell alone brings
    last = [_in_words(check, judgements[check.name]) for check in costly]
    if why_no_channels:
        last.append(f"What each channel adds to the score was not worked out ({why_no_channels}).")
    return [
        first,
        _where_it_looks(results, about),
        _measurements(results, about),
        _shortlist(results),
        *last,
    ]


def _reasons(costly, judgements, why_no_channels: str) -> str:
    """What costs the trust, as the end of a sentence: the one reason, or how many there are."""
    number = len(costly) + bool(why_no_channels)
    if number > 1:
        return f"{number} checks were not passed, which are named below with what would settle each."
    if not costly:
        return "what each channel adds to the score is not known."
    [check] = costly
    if judgements[check.name].answer is Answer.FAILED:
        return f'one check failed: "{check.name}".'
    return f'one thing is not known: "{check.name}".'


def _in_words(check: Check, judgement: Judgement) -> str:
    """What a check found that costs the trust, and which data would settle it."""
    start = "Not passed" if judgement.answer is Answer.FAILED else "Not known"
    return " ".join(filter(None, [f"{start}: {check.name}.", judgement.sentence, judgement.remedy]))


def _where_it_looks(results: dict, about: dict) -> str:
    if results["region_shares"].empty:
        return ("Which regions it uses cannot be said: the outline of the nucleus is not known, all explained cells "
                "are of one class, or on average the network scores cells of the class no higher than the others.")
    if not _tells_enough(results["score"]):
        return ("No region is named: the network tells the classes too badly for that (the area under the ROC curve "
                f"is not certain to be {LEAST_AUROC:g} or more).")
    named = named_regions(results, about)
    classes = about["classes"]
    difference = f"{classes[0]} from {classes[-1]}" if len(classes) == 2 else "its classes"
    if named:
        words = f"The network distinguishes {difference} here: {'; '.join(named)}."
    else:
        least = about["limits"]["region_share"]
        words = f"No region accounts for {least:.0%} of the difference between the classes with an interval above zero."
    beside = regions_read_beside(results, about)
    if beside:
        words += (f" It also reads what does not distinguish them by itself, but may correct what is read elsewhere: "
                  f"{'; '.join(beside)}.")
    return words


def _measurements(results: dict, about: dict) -> str:
    """How far named measurements follow the prediction."""
    surrogate_model = results["surrogate"]
    if surrogate_model is None:
        return f"How well measurements predict its output could not be worked out ({results['surrogate_why']})."
    of_class = f" on {about['classes'][-1]}" if len(about["classes"]) > 2 else ""
    steps = surrogate_model["steps"]
    all_together = surrogate_model["r2"]
    if not steps:
        explained = f"{all_together.percent()} of its variance on held-out groups"
        if all_together.value < about["limits"]["explained_r2"]:
            return f"No measurement predicts its output{of_class}, nor do all together: {explained}."
        return f"No single measurement predicts its output{of_class}, but all together predict {explained}."
    last = steps[-1]  # R2 with all before it
    named_alone = Interval(last["r2"], last["low"], last["high"]).percent()
    rest = f"No other single measurement is certain to add {100 * surrogate.GROWTH:.0f} points."
    if all_together.value - last["r2"] > about["limits"]["small_gap"]:
        rest = "The rest takes several measurements together, or a rule that is not a straight line."
    predict = "predict" if len(steps) > 1 else "predicts"
    return (f"Its output{of_class} follows {_families(steps)}, which {predict} {named_alone} of its variance on "
            f"held-out groups; all measurements together predict {all_together.percent()}. {rest}")


def _families(steps: list[dict]) -> str:
    """Families of measurements in words, each with those that the data cannot separate from it: "a, b (or x) and c"."""
    names = []
    for step in steps:
        alternatives = f" (or {', '.join(step['or'])})" if step["or"] else ""
        names.append(step["family"] + alternatives)
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _shortlist(results: dict) -> str:
    """Measurements that follow the prediction, where the map points."""
    shortlist = results["shortlist"]
    if shortlist is None:
        return f"Whether the map's shortlist helps could not be worked out ({results['shortlist_why']})."
    names = ", ".join(measurement["family"] for measurement in shortlist["shortlist"])
    left_out = ""
    if shortlist["circular"]:
        left_out = f"The labels were made from intensities of {shortlist['circular']}, so these are left out here. "
    return (f"Measurements that follow its output in the regions of the map: {names or 'none'}. "
            f"{left_out}{shortlist['verdict']}")
