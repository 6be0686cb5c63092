"""What the system refuses, as one line and a code."""

import errno
import os

import numpy as np
import pytest

from cellcycle_jax import machine
from cellcycle_jax.command_line import failures
from cellcycle_jax.errors import InputRefused, ResourceMissing, UsageError


def os_error(number, name=None):
    return OSError(number, os.strerror(number), name)


@pytest.mark.parametrize("error", [
    os_error(errno.ENOSPC), RuntimeError("INTERNAL: write failed: No space left on device"),
])
def test_a_full_disk_names_the_output_and_what_is_free(error, tmp_path):
    out = tmp_path / "a" / "b"  # not there yet
    found = failures.explained(error, str(out))
    assert isinstance(found, ResourceMissing) and found.exit_code == 7
    assert str(found).startswith(f"{out}: the disk is full (") and f"MiB free in {tmp_path}); " in str(found)


@pytest.mark.parametrize("error", [
    os_error(errno.EDQUOT), ValueError("RuntimeError: Disk quota exceeded [tensorstore]"),
])
def test_a_quota_that_is_used_up_is_no_full_disk(error, tmp_path):
    found = failures.explained(error, str(tmp_path))
    assert isinstance(found, ResourceMissing) and found.exit_code == 7
    assert str(found).startswith(f"{tmp_path}: your quota of this disk is used up") and "MiB free" not in str(found)


def test_a_full_disk_names_the_file_where_that_is_known(tmp_path):
    name = str(tmp_path / "cells.parquet")
    assert str(failures.explained(os_error(errno.ENOSPC, name), "elsewhere")).startswith(f"{name}: the disk is full")


@pytest.mark.parametrize("number", failures.UNUSABLE_PATH)
def test_a_path_that_cannot_be_used_is_a_usage_error(number):
    found = failures.explained(os_error(number, "/some/where"))
    assert isinstance(found, UsageError) and str(found).startswith("/some/where: cannot be used (")


def test_memory_that_does_not_suffice_says_what_was_asked_for_and_what_is_free(monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda: 3 * 2**30)
    try:
        np.zeros(10**15)
    except MemoryError as error:
        found = failures.explained(error)
    assert isinstance(found, ResourceMissing) and "PiB asked for), 3.0 GiB are free" in str(found)
    xla = RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4294967296 bytes.")
    assert "(4294967296 bytes asked for)" in str(failures.explained(xla))
    assert isinstance(failures.explained(os_error(errno.ENOMEM)), ResourceMissing)
    assert "asked for" not in str(failures.explained(MemoryError()))


def test_errors_for_users_stay_what_they_are_and_ours_are_nobody_s_fault():
    refused = InputRefused("x.tif: no")
    assert failures.explained(refused) is refused
    for error in (AttributeError("x"), KeyError("x"), os_error(errno.ENOENT, "x"), ValueError("no space"), TypeError()):
        assert failures.explained(error) is None
