"""Where crops lie, by what is free."""

import pytest

from cellcycle_jax.devices import memory

GIB = 2.0**30


@pytest.mark.parametrize("needed, device, host, place", [
    (3.9, 10, 10, "device"), (4.1, 10, 10, "disk"), (4.1, 10, 11, "host"), (3.9, 9, 10, "host"), (3.9, 10, 9, "disk"),
    (0, 0, 0, "device")])
def test_crops_go_to_the_fastest_place_of_which_they_take_two_fifths_at_most(needed, device, host, place):
    assert memory.choose_placement("auto", needed * GIB, device * GIB, host * GIB) == place


@pytest.mark.parametrize("place", ["device", "host", "disk"])
def test_crops_go_where_they_are_asked_to_go(place):
    assert memory.choose_placement(place, 10 * GIB, GIB, GIB) == place


def test_free_memory_is_what_this_computer_has():
    device, host = memory.free_memory()
    assert 2**20 < host < 2**50 and device > 2**20
