"""How many fields are treated at once, and when one is too many."""

import numpy as np
import pytest
import tifffile

from cellcycle_jax import machine
from cellcycle_jax.errors import ResourceMissing
from data_prep.reading import tiff
from data_prep.workers import memory

GIB = 2**30
FIELD = 4096 * 4096 * 4


def test_a_field_of_4096_px_and_four_channels_fits_into_three_gib():
    assert 1.5 * GIB < memory.needed(FIELD) < 3 * GIB


@pytest.mark.parametrize(("free", "wanted", "fitting"), [(100, 8, 8), (7, 8, 3), (2.5, 8, 1), (0.1, 8, 1), (7, 2, 2)])
def test_as_many_workers_as_memory_allows_and_at_least_one(free, wanted, fitting, monkeypatch, capsys):
    monkeypatch.setattr(machine, "free_memory", lambda: int(free * GIB))
    assert memory.workers_that_fit(wanted, FIELD) == fitting
    said = capsys.readouterr().err
    assert (f"{fitting} field(s) at a time instead of {wanted}" in said) == (fitting < wanted)


def test_a_field_that_needs_more_than_there_is_is_refused_with_both_figures(monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda: int(2 * GIB))
    with pytest.raises(ResourceMissing, match=r"x.tif: .*67 million pixels .* takes 2.2 GiB .* 2.0 GiB are free"):
        memory.refuse_lack(FIELD, "x.tif")
    memory.refuse_lack(FIELD // 2, "x.tif")


def test_a_file_that_does_not_fit_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((64, 512, 512), np.uint16))  # 32 MiB
    monkeypatch.setattr(machine, "free_memory", lambda: 60 * 2**20)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", lambda *_, **__: pytest.fail("it was decoded"))
    with pytest.raises(ResourceMissing, match=r"stack.tif: a file of 0.0 GiB of pixels takes 0.1 GiB .* 0.1 GiB are"):
        tiff.read_tiff(tmp_path / "stack.tif")
