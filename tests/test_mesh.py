import numpy as np
import pytest

from cellcycle_jax import mesh
from cellcycle_jax.errors import ResourceMissing, UsageError


def test_batches_are_filled_up_with_their_first_entry():
    assert mesh.fill_up([4, 2, 7], 5).tolist() == [4, 2, 7, 4, 4]
    rows = mesh.fill_up(np.array([[1, 2], [3, 4]], np.int32), 3)
    assert rows.tolist() == [[1, 2, 1], [3, 4, 3]] and rows.dtype == np.int32
    assert mesh.fill_up(np.array([[1, 2], [3, 4]]), 3, axis=0).tolist() == [[1, 2], [3, 4], [1, 2]]
    assert mesh.padded_size(13, mesh.make_mesh()) == 13


def test_a_process_alone_agrees_with_itself():
    assert mesh.largest(2.5, True) == [2.5, True] and mesh.first_process()
    mesh.require_equal("anything", "nothing")


@pytest.mark.parametrize("given", [{"processes": 2}, {"process": 0}, {"coordinator": "localhost:1", "processes": 2},
                                   {"coordinator": "localhost:1", "processes": 2, "process": 2}])
def test_half_a_description_of_several_processes_is_refused(given):
    with pytest.raises(UsageError, match="--processes"):
        mesh.start(**given)


def test_a_missing_accelerator_is_told():
    with pytest.raises(ResourceMissing, match="--require_accelerator=tpu: JAX finds only cpu"):
        mesh.start("tpu")
