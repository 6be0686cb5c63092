"""The saliency passport: which checks an explanation passed, where the network looks, and a verdict in plain words."""

import pandas as pd

from cellcycle_jax.explain.checks import score, shortcut_check
from cellcycle_jax.explain.checks.all_checks import CHECKS
from cellcycle_jax.explain.checks.check import Judgement
from cellcycle_jax.explain.measurements import surrogate
from cellcycle_jax.explain.regions import localisation
from cellcycle_jax.runs import passport_file
from cellcycle_jax.scoring.intervals import Interval

MOST_PLACES = 3  # named in the verdict


def make_passport(found: dict, about: dict) -> dict:
    """What RUN/explain/passport.json holds.

    Args:
        found: the answer to each of `all_checks.QUESTIONS` by its key; where (table), words and hint (None with
            words_why and hint_why where there is none).
        about: classes, channels, stain, mask, confidence, method, limits, n_cells, n_groups, group_by, step and run_id.

    Returns:
        format; status ('no_alarm', 'caution', 'shortcut' or 'chance'); verdict (sentences); checks (one dict each:
        name, passed or None where it could not be made, sentence); where (rows); and everything of `about`.
    """
    judgements = {check.name: check.judge(found[check.question.key], about) for check in CHECKS}
    status = _status(judgements, found["channels"]["why"])
    return {
        **about,
        "format": passport_file.FORMAT,
        "status": status,
        "verdict": _verdict(status, judgements, found, about),
        "checks": [_to_json(name, judgement) for name, judgement in judgements.items()],
        "where": found["where"].to_dict("records"),
        "places": places(found["where"], about),
    }


def _to_json(name: str, judgement: Judgement) -> dict:
    return {"name": name, "passed": judgement.passed, "sentence": judgement.sentence, "alarm": judgement.alarm}


def _status(judgements: dict[str, Judgement], why_no_channels: str) -> str:
    if judgements[score.CHECK.name].passed is False:
        return "chance"
    if any(judgement.alarm for judgement in judgements.values()):
        return "shortcut"
    if why_no_channels:
        return "caution"
    for check in CHECKS:
        passed = judgements[check.name].passed
        if passed is False or (check.needed and passed is None):
            return "caution"
    return "no_alarm"


def places(where: pd.DataFrame, about: dict) -> list[str]:
    """The places that are named, best first, each with its channel, share and what it would have by chance.

    Of more than two classes, each of which is told from the rest by places of its own, the best place of each.
    """
    unsure = where["low"] <= 0  # cells of one group have no interval, which the words say
    named = where[(where["share"] >= about["limits"]["region_share"]) & ~unsure].sort_values("share", ascending=False)
    several = len(about["classes"]) > 2
    found = []
    for row in (named.drop_duplicates("class") if several else named.head(MOST_PLACES)).to_dict("records"):
        channel = f", channel {row['channel']}" if len(about["channels"]) > 1 else ""
        share = Interval(row["share"], row["low"], row["high"]).percent()
        place = localisation.named_place(row["compartment"], about["stain"])
        if row["compartment"] in localisation.BLANK[about["mask"]]:
            place += " (where the mask shows nothing, so how far the cell reaches)"
        of = f" of what tells {row['class']} from the rest" if several else ""
        found.append(f"{place}{channel}: {share}{of}, {row['ratio']:.1f} times its share of the picture")
    return found


def _verdict(status, judgements, found, about) -> list[str]:
    """Sentences: what it is worth, where it looks, which measurements say the same, what was not passed."""
    first = {
        "chance": "There is nothing to explain: the network's score cannot be told from chance.",
        "shortcut": "Do not trust what this network learnt: it can tell the classes from something that is not the "
                    "cell.",
        "caution": "With caution: no shortcut is certain, but not all checks could be made or were passed.",
        "no_alarm": "No check raised an alarm. That does not show that the network reads biology: shortcuts for which "
                    "no check asks pass as well (docs/explaining.md lists those that are known).",
    }[status]  # fmt: skip
    if status == "chance":
        return [first]
    surroundings = judgements[shortcut_check.SURROUNDINGS.name]
    if surroundings.passed and surroundings.asked:
        first = f"{first} {surroundings.sentence}"  # what of the score the cell alone brings
    failed = _failed(judgements)
    if why := found["channels"]["why"]:
        failed.append(f"What each channel gives to the score was not worked out ({why}).")
    return [first, _look(found["where"], about), _named(found, about), _hint(found), *failed]


def _failed(judgements: dict[str, Judgement]) -> list[str]:
    """Sentences on checks that were not passed, and after them on needed ones of which nothing is known."""
    not_passed, unknown = [], []
    for check in CHECKS:
        judgement = judgements[check.name]
        if judgement.passed is False:
            not_passed.append(f"Not passed: {check.name}. {judgement.sentence}")
        if judgement.passed is None and check.needed:
            start = "Not known" if judgement.asked else "Not asked"
            unknown.append(f"{start}: {check.name}. {judgement.sentence}")
    return not_passed + unknown


def _look(where, about):
    if where.empty:
        return ("Where it looks cannot be said: the outline of the nucleus is not known, all explained cells are of "
                "one class, or on average the network answers cells of the class no higher than the others.")
    told = places(where, about)
    if not told:
        least = about["limits"]["region_share"]
        return f"No region accounts for {least:.0%} of the difference between the classes with an interval above zero."
    classes = about["classes"]
    of = f"{classes[0]} from {classes[-1]}" if len(classes) == 2 else "its classes"
    return f"What tells {of} apart is read here: {'; '.join(told)}."


def _named(found, about):
    words = found["words"]
    if words is None:
        return f"How far named measurements explain its answer cannot be said ({found['words_why']})."
    of_class = f" on {about['classes'][-1]}" if len(about["classes"]) > 2 else ""
    answer = f"its answer{of_class}"
    known = f"{words['r2'].percent()} of it on held-out groups"
    if not words["steps"] and words["r2"].value < about["limits"]["explained_r2"]:
        return f"No measurement explains {answer}, nor do all together: {known}."
    if not words["steps"]:
        return f"No single measurement explains {answer}, but all together explain {known}."
    names = [step["family"] + (f" (or {', '.join(step['or'])})" if step["or"] else "") for step in words["steps"]]
    told = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    last = words["steps"][-1]  # R2 with all before it
    rest = ("; the rest of that is not told apart by one measurement at a time"
            if words["r2"].value - last["r2"] > about["limits"]["small_gap"] else
            f", so no other single measurement adds {100 * surrogate.GROWTH:.0f} points for certain")
    alone = Interval(last["r2"], last["low"], last["high"]).percent()
    return (f"Its answer{of_class} follows {told}, which {'explain' if names[1:] else 'explains'} {alone} of it on "
            f"held-out groups; all measurements together explain {words['r2'].percent()}{rest}.")


def _hint(found):
    hint = found["hint"]
    if hint is None:
        return f"Whether the map's hint is worth anything cannot be said ({found['hint_why']})."
    names = ", ".join(one["family"] for one in hint["shortlist"]) or "nothing that was measured"
    left = (f"Intensities of {hint['circular']} made the labels and are left out of what follows. "
            if hint["circular"] else "")
    return f"Measurements that follow its answer, where the map points: {names}. {left}{hint['verdict']}"
