"""Refusals as reasons."""

import pytest

from cellcycle_jax.errors import InputRefused, ResourceMissing, StoredStateRefused, UsageError, result_or_reason


@pytest.mark.parametrize("error", [InputRefused, StoredStateRefused, UsageError])
def test_a_check_that_cannot_be_made_has_a_reason(error):
    def refused(what):
        raise error(f"no {what}")

    assert result_or_reason(refused, "cells") == (None, "no cells")
    assert result_or_reason(len, "cells") == (5, "")


def test_other_errors_are_not_hidden():
    def broken(error):
        raise error

    for error in (ValueError("bug"), ResourceMissing("no memory")):
        with pytest.raises(type(error)):
            result_or_reason(broken, error)
