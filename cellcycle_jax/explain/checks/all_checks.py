"""All checks of an explanation, in the order of the passport, and the questions whose results they judge.

To add a check, write its file beside these, import it here and add it to CHECKS.
"""

from cellcycle_jax.explain.checks import (
    bleed_through,
    cell_light,
    channel_importance,
    drawn_mark,
    edit_response,
    faithfulness,
    labels_in_doubt,
    neighbours,
    nuisances,
    picture_quality,
    randomisation,
    score,
    shortcut_check,
    within_fields,
)

CHECKS = (
    score.CHECK,
    labels_in_doubt.CHECK,
    shortcut_check.SURROUNDINGS,
    shortcut_check.OUTLINE,
    shortcut_check.BRIGHTNESS,
    within_fields.CHECK,
    nuisances.POSITION,
    nuisances.CROWDING,
    neighbours.CHECK,
    picture_quality.CHECK,
    cell_light.CHECK,
    drawn_mark.CHECK,
    bleed_through.CHECK,
    faithfulness.CHECK,
    randomisation.WEIGHTS,
    randomisation.COMPLEXITY,
    randomisation.LABELS,
    randomisation.TRIVIAL_MAPS,
    randomisation.SEEDS,
    edit_response.CHECK,
)
_JUDGED = [check.question for check in CHECKS]
QUESTIONS = tuple(dict.fromkeys([channel_importance.QUESTION, *_JUDGED]))  # each once
