"""Devices: one axis, 'data', over which batches are divided; everything else is on every device."""

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

AXIS = "data"


def make_mesh(devices=None):
    """A mesh over `devices` (all by default) with the axis 'data'.

    The axis is of type Auto: the compiler divides the work, and the same step runs on any number of devices.
    """
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def replicated(mesh) -> NamedSharding:
    """The sharding of what every device holds whole: state and crops."""
    return NamedSharding(mesh, PartitionSpec())


def divided(mesh) -> NamedSharding:
    """The sharding of what is divided along its first axis: batches."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def replicate(mesh, tree):
    """A pytree of arrays, whole on every device of the mesh."""
    return jax.device_put(tree, replicated(mesh))


def pad_batch(index, size: int):
    """`index` filled up to `size` with its first entry, and which entries are real.

    Args:
        index: i32 [n], n from 1 to `size`.
        size: entries wanted.

    Returns:
        index i32 [size] and valid f32 [size], 0 for what was filled in.
    """
    index = np.asarray(index, np.int32)
    valid = (np.arange(size) < len(index)).astype(np.float32)
    return np.concatenate([index, np.full(size - len(index), index[0], np.int32)]), valid


def padded_size(batch: int, mesh) -> int:
    """The smallest multiple of the number of devices that holds `batch` cells."""
    return -(-batch // mesh.size) * mesh.size
