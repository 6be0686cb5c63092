"""The saliency passport: which checks an explanation passed, where the network looks, and a verdict in plain words."""

import math

import pandas as pd

from cellcycle_jax.explain.checks import shortcuts
from cellcycle_jax.explain.measurements import surrogate
from cellcycle_jax.explain.regions import localisation
from cellcycle_jax.runs import passport_file
from cellcycle_jax.scoring import intervals

SCORE, SURROUNDINGS, BRIGHTNESS = ("score above chance", "reads the cell, not its surroundings",
                                   "does not read the brightness of the field")
PARTS = {SURROUNDINGS: "surroundings", BRIGHTNESS: "brightness"}  # of what is asked about shortcuts
NEEDED = SCORE, *PARTS  # checks without which the verdict is caution
LEAST_GROUPS = intervals.LEAST_GROUPS
NOT_EXCHANGED = {  # by data.mask, why surroundings were not exchanged
    "none": "the body of the cell is not known",
    "cell": "the mask blanks them, but its outline ends where a neighbour is nearer, which tells of them and was not "
            "asked about",
    "nucleus": "the mask shows the network nothing of them",
}
CHANCE = 0.5  # area under the ROC curve
MOST_PLACES = 3  # named in the verdict
LEAST_PLACE = 0.1  # share of the difference between classes from which a place is named
BATCH = 0.6  # area under the ROC curve from which a batch alone tells the class
ALIKE = 0.5  # strength of the rank correlation from which two maps count as alike
LEAST_SLOPE = 0.1  # logits per +10 %: editing itself moves an answer by a few hundredths
LEAST_NAMED = 0.1  # R2 from which measurements explain the answer
SMALL_GAP = 0.05  # between R2 of the named and of all measurements: no more than that is as good as none


def make_passport(found: dict, about: dict) -> dict:
    """What RUN/explain/passport.json holds.

    Args:
        found: parts as `checks` returns them: score ({value, low, high}), where (table), channels, faithful, sane,
            edited, shortcuts, words and hint (None with words_why and hint_why where there is none).
        about: classes, channels, stain, mask, confidence, method, n_cells, n_groups, group_by, step and run_id.

    Returns:
        format; status ('no_alarm', 'caution', 'shortcut' or 'chance'); verdict (sentences); checks (one dict each:
        name, passed or None where it could not be made, sentence); where (rows); and everything of `about`.
    """
    tests = [_score(found["score"], about), _surroundings(found["shortcuts"], about),
             _brightness(found["shortcuts"], about), _batch(found["shortcuts"]), _faithful(found["faithful"], about),
             _weights(found["sane"], about), _labels(found["sane"], about), _trivial(found["sane"], about),
             _seeds(found["sane"], about), _edits(found["edited"])]
    status = _status(tests, found["channels"]["why"])
    return {
        **about,
        "format": passport_file.FORMAT,
        "status": status,
        "verdict": _verdict(status, tests, found, about),
        "checks": tests,
        "where": found["where"].to_dict("records"),
        "places": places(found["where"], about),
    }


def _check(name: str, passed: bool | None, sentence: str, alarm: bool = False) -> dict:
    return {"name": name, "passed": passed, "sentence": sentence, "alarm": alarm}


def percent(score: dict) -> str:
    """A share with its interval, in percent."""
    value, low, high = (f"{100 * score[name]:z.0f}" for name in ("value", "low", "high"))
    bounds = f"{low} to {high}" if _certain(score) else "no interval"
    return f"{value} % ({bounds})" if math.isfinite(score["value"]) else "an unknown share"


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def number(score: dict) -> str:
    """A number with its interval."""
    value, low, high = (f"{score[name]:z.2f}" for name in ("value", "low", "high"))
    bounds = f"{low} to {high}" if _certain(score) else "no interval"
    return f"{value} ({bounds})" if math.isfinite(score["value"]) else "not known"


def _certain(score: dict) -> bool:
    """Whether there is a value and an interval; cells of one group, or of one class, have none."""
    return math.isfinite(score["value"]) and math.isfinite(score["low"])


def _bound(score: dict) -> float:
    """The upper end of the interval, the value where there is none."""
    return score["high"] if _certain(score) else score["value"]


def _score(score, about):
    told = score["low"] > CHANCE if _certain(score) else None
    tail = {True: ".", False: ", not told from chance: there is nothing to explain.",
            None: ": whether it is above chance cannot be said."}[told]
    if told and about["n_groups"] < LEAST_GROUPS:
        told, tail = None, (f", of {about['n_groups']} groups, too few to tell it from chance "
                            f"(it takes {LEAST_GROUPS}).")
    return _check(SCORE, told, f"On {about['n_cells']:,} validation cells the area under the ROC curve is "
                  f"{number(score)}{tail}")


def _surroundings(asked, about):
    found, name = asked["surroundings"], SURROUNDINGS
    if found is None and about["mask"] == "ring":
        return _check(name, False, "The mask shows the network nothing but surroundings.", alarm=True)
    if found is None:
        return _check(name, True if about["mask"] == "nucleus" else None,
                      f"Surroundings were not exchanged: {NOT_EXCHANGED[about['mask']]}.")
    caught = shortcuts.is_shortcut("surroundings", found["carried"])
    return _check(name, _without("surroundings", found["carried"], about), (
        f"{_goes_with('the surroundings', found['carried'], about)} Area under the ROC curve of validation cells: "
        f"{number(found['intact'])} as they are, {number(found['cell'])} on others' surroundings, "
        f"{number(found['around'])} by the class of those whose surroundings they are; "
        f"{100 * found['changed']['value']:.0f} % of their calls change."), caught)


def _goes_with(what, share, about) -> str:
    """How much of the difference goes with `what` to another cell; of more than two classes of the largest share."""
    of = ("the difference between the classes" if len(about["classes"]) == 2
          else f"what tells {about['classes'][share['class']]} from the rest")
    if _certain(share) and round(100 * share["value"]) < 0:
        return f"Nothing of {of} goes with {what} to another cell; it counts against (share {percent(share)})."
    return f"{_capital(percent(share))} of {of} goes with {what} to another cell."


def _without(part, share, about) -> bool | None:
    """Whether `part` is not read: True only where the whole interval lies on the good side of the limit.

    None where that cannot be told: of too few groups, or from an interval that reaches beyond the limit.
    """
    limit = shortcuts.LEAST[part]
    if shortcuts.is_shortcut(part, share):
        return False
    if not _certain(share) or about["n_groups"] < LEAST_GROUPS:
        return None
    if share["value"] <= -limit and share["high"] < 0:
        return False
    return True if -limit < share["low"] and share["high"] < limit else None


def _brightness(asked, about):
    found, name = asked["brightness"], BRIGHTNESS
    if found is None and asked["scale"] == "own_max":
        return _check(name, None, "Each cell is shown relative to its own brightest pixel, which hides how bright its "
                      "field is; the grain of the picture, which tells it too, was not asked about.")
    if found is None:
        return _check(name, None, f"Brightness was not exchanged: {asked['brightness_why']}.")
    high, pure = shortcuts.is_shortcut("brightness", found), asked["one_class_fields"]
    tail = {True: " Nearly every field holds cells of one class, so this may be light or the cells' own brightness.",
            None: " No field holds two labelled cells, so this may be light or the cells' own brightness.", False: ""}
    return _check(name, _without("brightness", found, about), (
        f"{_goes_with('the brightness of the field', found, about)}{tail[pure] if high else ''}"),
        high and pure is False)


def _batch(asked):
    name, known = "class and batch are not the same", {n: f for n, f in asked["batch"].items() if f is not None}
    if not known:
        return _check(name, None, "All cells are of one plate, well and cell line, or each of these is one group only: "
                      "whether it holds for another cannot be said.")
    told = {n: score["value"] >= BATCH and score["low"] > CHANCE for n, score in known.items()}
    worst = max(known, key=lambda n: (told[n], known[n]["value"]))
    words = f"The {worst} alone, without any picture, tells the class with an area under the ROC curve of "
    passed = not told[worst] if _certain(known[worst]) else None
    return _check(name, passed, words + number(known[worst]) + (
        ": what the network learnt may be the batch." if told[worst] else ", no better than chance."
        if known[worst]["value"] <= CHANCE else "."), told[worst])


def _faithful(found, about):
    rows = found[about["method"]]["rows"]
    right = [row for row in rows if row["low"] > 0]
    words = ", ".join(f"{row['fill']} {row['measure']} {row['value']:.3f}" for row in rows)
    passed = len(right) > len(rows) / 2 if any(map(_certain, rows)) else None
    blank = ("" if about["mask"] == "none" else " Moved elsewhere it lies partly where the mask shows nothing, so this "
             "says that the map is on what is shown, not where on it.")
    return _check("the answer falls where the map says", passed, (
        f"Taking away what the map calls important moves the answer more than the same map moved elsewhere in "
        f"{len(right)} of {len(rows)} tests ({rows[0]['n_cells']} cells; area between the curves: {words}).{blank}"))


def _weights(found, about):
    weights = found[about["method"]]["weights"]
    passed = bool(weights["passes"]) if math.isfinite(weights["strength"]["value"]) else None
    return _check("the map depends on what was learnt", passed, (
        f"Maps of the network with its weights drawn anew have a rank correlation of {number(weights['strength'])} "
        f"with its own; two random networks {weights['floor']['value']:.2f}. Allowed: below {weights['threshold']:g}."))


def _trivial(found, about):
    each = {name: next(row for row in rows if row["measure"] == "strength")
            for name, rows in found[about["method"]]["trivial"].items()}
    alike = [name for name, row in each.items() if not _bound(row) < ALIKE]  # nor are flat maps, of which it is NaN
    words = ", ".join(f"{name} {row['value']:.2f}" for name, row in each.items())
    return _check("the map is not what needs no network", not alike, f"Rank correlation with trivial maps: {words}. "
                  f"Allowed: below {ALIKE:g}.")


def _labels(found, about):
    each, name = found[about["method"]]["labels"], "the map depends on the labels"
    if each is None:
        return _check(name, None, "No run with permuted labels was given (train --config.data.labels=permuted, explain "
                      "--others=RUN).")
    worst = max(each, key=lambda one: one["strength"]["value"])
    return _check(name, bool(worst["passes"]), "Rank correlation with maps of a network that was trained on permuted "
                  f"labels: {number(worst['strength'])}. Allowed: below {worst['threshold']:g}.")


def _seeds(found, about):
    rows = found[about["method"]]["seeds"]
    if rows is None:
        return _check("other seeds give the same map", None, "No run of another seed was given (explain --others=RUN).")
    row = next(row for row in rows if row["measure"] == "spearman")
    return _check("other seeds give the same map", row["low"] > 0 if _certain(row) else None,
                  f"Rank correlation between networks: {number(row)}.")


def _edits(found):
    """Passed if an edit of the channel with the largest share moves the answer, for certain and by LEAST_SLOPE."""
    told = found["agreement"]
    known = [row for row in found["rows"] if row["slope"] is not None]
    leading = [row["certain"] and abs(row["slope"]["value"]) >= LEAST_SLOPE for row in known
               if row["channel"] == told["by_attribution"] and _certain(row["slope"])]
    words = "; ".join(f"{row['words']} {row['slope']['value']:+.2f}" for row in known)
    tail = (f" Change of the margin of {found['class']} per +10 %: {words}. Asked for: {LEAST_SLOPE:g} or more, up or "
            "down, and an interval without 0." if words else "")
    sentence = told["sentence"] if told["by_attribution"] else "Which channel the map names is not known."
    return _check("editing what the map names moves the answer", any(leading) if leading else None, sentence + tail)


def _status(tests, channels_why: str) -> str:
    by_name = {test["name"]: test["passed"] for test in tests}
    if by_name[SCORE] is False:
        return "chance"
    if any(test["alarm"] for test in tests):
        return "shortcut"
    clear = all(by_name[name] for name in NEEDED) and False not in by_name.values() and not channels_why
    return "no_alarm" if clear else "caution"


def places(where: pd.DataFrame, about: dict) -> list[str]:
    """The places that are named, best first, each with its channel, share and what it would have by chance.

    Of more than two classes, each of which is told from the rest by places of its own, the best place of each.
    """
    unsure = where["low"] <= 0  # cells of one group have no interval, which the words say
    named = where[(where["share"] >= LEAST_PLACE) & ~unsure].sort_values("share", ascending=False)
    several = len(about["classes"]) > 2
    found = []
    for row in (named.drop_duplicates("class") if several else named.head(MOST_PLACES)).to_dict("records"):
        channel = f", channel {row['channel']}" if len(about["channels"]) > 1 else ""
        share = percent({"value": row["share"], "low": row["low"], "high": row["high"]})
        place = localisation.named_place(row["compartment"], about["stain"])
        if row["compartment"] in localisation.BLANK[about["mask"]]:
            place += " (where the mask shows nothing, so how far the cell reaches)"
        of = f" of what tells {row['class']} from the rest" if several else ""
        found.append(f"{place}{channel}: {share}{of}, {row['ratio']:.1f} times its share of the picture")
    return found


def _verdict(status, tests, found, about) -> list[str]:
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
    asked = {name: found["shortcuts"][part] is not None for name, part in PARTS.items()} | {SCORE: True}
    failed = [f"Not passed: {test['name']}. {test['sentence']}" for test in tests if test["passed"] is False]
    failed += [f"{'Not known' if asked[test['name']] else 'Not asked'}: {test['name']}. {test['sentence']}"
               for test in tests if test["name"] in NEEDED and test["passed"] is None]
    if why := found["channels"]["why"]:
        failed.append(f"What each channel gives to the score was not worked out ({why}).")
    first = " ".join([first, *(test["sentence"] for test in tests if test["name"] == SURROUNDINGS and test["passed"]
                               and found["shortcuts"]["surroundings"])])  # what of the score the cell alone brings
    return [first, _look(found["where"], about), _named(found, about), _hint(found), *failed]


def _look(where, about):
    if where.empty:
        return ("Where it looks cannot be said: the outline of the nucleus is not known, all explained cells are of "
                "one class, or on average the network answers cells of the class no higher than the others.")
    told = places(where, about)
    if not told:
        return "No place carries, told from none, a tenth of the difference between the classes."
    classes = about["classes"]
    of = f"{classes[0]} from {classes[-1]}" if len(classes) == 2 else "its classes"
    return f"What tells {of} apart is read here: {'; '.join(told)}."


def _named(found, about):
    words = found["words"]
    if words is None:
        return f"How far named measurements explain its answer cannot be said ({found['words_why']})."
    answer = "its answer" + (f" on {about['classes'][-1]}" if len(about["classes"]) > 2 else "")
    known = f"{percent(words['r2'])} of it on held-out groups"
    if not words["steps"] and words["r2"]["value"] < LEAST_NAMED:
        return f"No measurement explains {answer}, nor do all together: {known}."
    if not words["steps"]:
        return f"No single measurement explains {answer}, but all together explain {known}."
    names = [step["family"] + (f" (or {', '.join(step['or'])})" if step["or"] else "") for step in words["steps"]]
    told = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    last = words["steps"][-1]  # R2 with all before it
    rest = ("; the rest of that is not told apart by one measurement at a time"
            if words["r2"]["value"] - last["r2"] > SMALL_GAP else
            f", so no other single measurement adds {100 * surrogate.GROWTH:.0f} points that are told from none")
    alone = percent({"value": last["r2"], "low": last["low"], "high": last["high"]})
    return (f"{_capital(answer)} follows {told}, which {'explain' if names[1:] else 'explains'} {alone} of it on "
            f"held-out groups; all measurements together explain {percent(words['r2'])}{rest}.")


def _hint(found):
    hint = found["hint"]
    if hint is None:
        return f"Whether the map's hint is worth anything cannot be said ({found['hint_why']})."
    names = ", ".join(one["family"] for one in hint["shortlist"]) or "nothing that was measured"
    left = (f"Intensities of {hint['circular']} made the labels and are left out of what follows. "
            if hint["circular"] else "")
    return f"Measurements that follow its answer, where the map points: {names}. {left}{hint['verdict']}"
