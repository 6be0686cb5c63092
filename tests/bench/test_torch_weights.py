"""Our parameters in the layout of PyTorch, whose definitions are written in NumPy here."""

import numpy as np

from bench.ours.torch_weights import in_torch
from bench.protocol import Network
from tests.networks import network, pictures

SIDE = 12


def listed(architecture, depth, **asked):
    """Our parameters of a small network, and the list."""
    params = network(architecture, (SIDE, SIDE, 3), depth=depth, **asked).variables["params"]
    return params, in_torch(Network(architecture, SIDE, channels=3, filters=4, depth=depth, batch=1), params)


def test_plain_network_is_listed_layer_by_layer():
    params, found = listed("nagao2020", depth=1)
    assert [leaf.shape for leaf in found] == [(4, 3, 3, 3), (4,), (8, 4, 3, 3), (8,), (16, 72), (16,), (2, 16), (2,)]
    assert found[2][7, 1, 0, 2] == params["convs_1"]["kernel"][0, 2, 1, 7]
    np.testing.assert_array_equal(found[3], params["convs_1"]["bias"])


def test_a_map_flattened_channel_by_channel_reaches_the_same_units():
    params, found = listed("nagao2020", depth=1)
    pooled = pictures(2, 3, channels=8)
    ours = pooled.reshape(2, -1) @ params["hidden"]["kernel"] + params["hidden"]["bias"]
    there = pooled.transpose(0, 3, 1, 2).reshape(2, -1) @ found[4].T + found[5]
    np.testing.assert_allclose(there, ours, rtol=1e-5)


def test_pixels_gathered_channel_by_channel_reach_the_same_filters():
    params, found = listed("resnet", depth=1)
    image = pictures(1, SIDE)[0]
    places = [(i, j) for i in range(2) for j in range(2)]
    ours = np.concatenate([image[i::2, j::2] for i, j in places], -1)
    there = np.stack([image[i::2, j::2, channel] for channel in range(3) for i, j in places], -1)
    kernel = params["first"]["kernel"]
    for row, column in np.ndindex(3, 3):
        np.testing.assert_allclose(there @ found[0][:, :, row, column].T, ours @ kernel[row, column], rtol=1e-5,
                                   atol=1e-6)


def test_residual_blocks_are_listed_in_the_order_of_their_layers():
    params, found = listed("resnet", depth=1)
    last = [(8, 4, 1, 1), (4,), (4,), (8, 4, 3, 3), (8,), (8,), (8,), (8, 8, 3, 3), (8,), (2, 8), (2,)]
    assert [leaf.shape for leaf in found[-11:]] == last
    np.testing.assert_array_equal(found[-10], params["blocks_1"]["norm1"]["scale"])
    np.testing.assert_array_equal(found[-6], params["blocks_1"]["norm2"]["scale"])
    np.testing.assert_array_equal(found[-5], params["blocks_1"]["norm2"]["bias"])
    assert len(found) == 2 + 4 + 11
