"""All checks of an explanation, in the order of the passport, and the questions whose results they judge.

To add a check, write its file beside these, import it here and add it to CHECKS.
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
    shortcut_check.OUTLINE,
    shortcut_check.BRIGHTNESS,
    shortcut_check.BATCHES,
    faithfulness.CHECK,
    randomisation.WEIGHTS,
    randomisation.LABELS,
    randomisation.TRIVIAL_MAPS,
    randomisation.SEEDS,
    edit_response.CHECK,
)
_JUDGED = [check.question for check in CHECKS]
QUESTIONS = tuple(dict.fromkeys([channel_importance.QUESTION, *_JUDGED]))  # each once
