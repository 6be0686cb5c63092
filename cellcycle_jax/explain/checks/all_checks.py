"""All checks of an explanation, in the order of the passport, and all questions, in the order in which they are asked.

To add a check, write its file beside these and add a line here.
"""

from cellcycle_jax.explain.checks import (
    channel_importance,
    edit_response,
    faithfulness,
    randomisation,
    score,
    shortcut_check,
)

CHECKS = (
    score.CHECK,
    shortcut_check.SURROUNDINGS,
    shortcut_check.BRIGHTNESS,
    shortcut_check.BATCHES,
    faithfulness.CHECK,
    randomisation.WEIGHTS,
    randomisation.LABELS,
    randomisation.TRIVIAL_MAPS,
    randomisation.SEEDS,
    edit_response.CHECK,
)
QUESTIONS = (
    score.QUESTION,
    channel_importance.QUESTION,
    faithfulness.QUESTION,
    randomisation.QUESTION,
    edit_response.QUESTION,
    shortcut_check.QUESTION,
)
