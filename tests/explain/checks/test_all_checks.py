"""No check that is written is forgotten in the list, and what trust needs is what the documents say."""

import importlib
import pkgutil

from cellcycle_jax.explain import checks
from cellcycle_jax.explain.checks.all_checks import CHECKS, QUESTIONS
from cellcycle_jax.explain.checks.check import Check

NEEDED_BESIDE_THE_FIRST = "the map depends on the trained weights"
FIRST = 13  # of the table in docs/explaining.md


def written() -> list[Check]:
    """Every check that a file of the room defines."""
    found = []
    for module in pkgutil.iter_modules(checks.__path__):
        of_module = vars(importlib.import_module(f"{checks.__name__}.{module.name}"))
        found += [value for value in of_module.values() if isinstance(value, Check)]
    return found


def test_every_check_that_is_written_is_asked():
    assert {check.name for check in written()} == {check.name for check in CHECKS}
    assert {check.question.key for check in CHECKS} <= {question.key for question in QUESTIONS}


def test_trust_needs_the_first_of_the_table_and_that_the_map_depends_on_the_weights():
    needed = [check.name for check in CHECKS if check.needed]
    assert needed == [check.name for check in CHECKS[:FIRST]] + [NEEDED_BESIDE_THE_FIRST]
