"""Devices and hosts: one axis over which batches, or the models of a cohort, are divided."""

import importlib.util
import os
import re

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from cellcycle_jax.dataset import tfds_reader
from cellcycle_jax.devices import runtime
from cellcycle_jax.errors import ResourceMissing, StoredStateRefused, UsageError

AXIS = "data"
ACCELERATORS = ("gpu", "tpu")
# Variables by which JAX recognises that this process is one of several, started by a scheduler.
SLURM = "SLURM_STEP_NUM_TASKS"
OPEN_MPI = "OMPI_COMM_WORLD_SIZE"
KUBERNETES = ("KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX")  # of an indexed Job or a JobSet
TPU_HOSTS = "TPU_WORKER_HOSTNAMES"
SHUTDOWN_S = 30  # how long a process that ends waits for the others; one that failed would keep them all waiting
HEARTBEAT_S = 60  # a host that is silent for so long counts as lost, and all others stop


def start(accelerator: str = "", coordinator: str = "", processes: int = 0, process: int = -1) -> None:
    """Join the processes of a job, if there are several, and check the kind of device. Before any computation.

    Args:
        accelerator: a name of ACCELERATORS: what must be there; '': whatever there is.
        coordinator: HOST:PORT of process 0; '': found by JAX where a scheduler started several processes (Slurm, Open
            MPI, Kubernetes, Cloud TPU), else this process works alone.
        processes: their number, with `coordinator`.
        process: the number of this one, with `coordinator`.

    Raises:
        UsageError: an accelerator that does not exist; of the three about processes only some are given, or not in this
            form; JAX lacks what it needs to ask the scheduler.
        ResourceMissing: the accelerator is not there.
    """
    _refuse_flags(accelerator, coordinator, processes, process)
    if coordinator or _one_of_several():
        _require_kubernetes(coordinator)
        runtime.divide_cpu(1)  # all must have as many, and several may share a machine
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        # JAX would note SIGTERM from here on and go on; until training listens for it, it is to end the process.
        jax.config.update("jax_enable_preemption_service", False)
        named = (coordinator, processes, process) if coordinator else ()
        # A scheduler that is recognised has JAX use one GPU in each process; a process named by flags uses all it sees.
        method = "deactivate" if coordinator else None
        jax.distributed.initialize(
            *named,
            cluster_detection_method=method,
            heartbeat_timeout_seconds=HEARTBEAT_S,
            shutdown_timeout_seconds=SHUTDOWN_S,
        )
    require_device(accelerator)


def _refuse_flags(accelerator, coordinator, processes, process):
    if accelerator not in ("", *ACCELERATORS):
        raise UsageError(f"--require_accelerator={accelerator} does not exist; allowed: {', '.join(ACCELERATORS)}")
    if not coordinator and (processes or process >= 0):
        raise UsageError("--processes and --process need --coordinator=HOST:PORT")
    if coordinator and not re.fullmatch(r"\S+:[0-9]{1,5}", coordinator):
        raise UsageError(f"--coordinator={coordinator} is not HOST:PORT; give e.g. --coordinator=node1:12345")
    if coordinator and not 0 <= process < processes:
        raise UsageError(
            f"--coordinator={coordinator} needs --processes=N and --process=0..N-1; found {processes} and {process}"
        )


def _require_kubernetes(coordinator):
    """Refuse to ask Kubernetes for the other processes without the package that JAX does it with."""
    if coordinator or "JAX_COORDINATOR_ADDRESS" in os.environ or _counted():
        return
    if not importlib.util.find_spec("kubernetes"):
        raise UsageError(
            f"{KUBERNETES[1]} is set, so this is one of several processes of Kubernetes, and JAX needs "
            "the package kubernetes to find the others; install it (pip install 'jax[k8s]'), or give "
            "--coordinator=HOST:PORT, --processes and --process"
        )


def require_device(accelerator: str = "") -> None:
    """Refuse to go on without an accelerator, or where JAX is told by JAX_PLATFORMS to use what is not there.

    Raises:
        ResourceMissing: what is asked for cannot be had; says how to get it.
    """
    if accelerator:
        requirement = f"--require_accelerator={accelerator}"
    elif jax.config.jax_platforms:
        requirement = f"JAX_PLATFORMS={jax.config.jax_platforms}"
    else:
        return
    try:
        backend = jax.default_backend()
    except (RuntimeError, AssertionError) as error:  # the latter of CUDA without its plugin, and says nothing
        present = f"nothing for JAX_PLATFORMS={jax.config.jax_platforms or ''}"
        if str(error):
            present += f" ({' '.join(str(error).split())[:200]})"
    else:
        if accelerator in ("", backend):
            return
        present = f"only {backend}"
    raise ResourceMissing(
        f"{requirement}: JAX finds {present} here; "
        "install the matching extra (pip install -e '.[cuda13]' or '.[tpu]'), or look at the driver"
    )


def _one_of_several() -> bool:
    """Whether a scheduler that JAX knows started this process beside others."""
    return _counted() or all(name in os.environ for name in KUBERNETES)


def _counted() -> bool:
    """Whether variables say so, without asking anybody."""
    for name in (SLURM, OPEN_MPI):
        if int(os.environ.get(name) or 1) > 1:
            return True
    return "," in os.environ.get(TPU_HOSTS, "")


def make_mesh(devices=None):
    """A mesh over `devices` (all of all hosts by default) with the axis 'data'.

    The axis is of type Auto: the compiler divides the work, and the same step runs on any number of devices.
    """
    if devices is None:
        devices = jax.devices()
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def replicated(mesh) -> NamedSharding:
    """The sharding of what every device holds whole: state and crops."""
    return NamedSharding(mesh, PartitionSpec())


def sharded(mesh, axis: int = 0) -> NamedSharding:
    """The sharding of what is divided along one axis: batches, or models of a cohort."""
    whole_axes = [None] * axis
    return NamedSharding(mesh, PartitionSpec(*whole_axes, AXIS))


def put_global(tree, sharding: NamedSharding):
    """A pytree of arrays, the same on every host, on the devices of all hosts."""
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def put_leaf(leaf):
        leaf = np.asarray(leaf)
        return jax.make_array_from_callback(leaf.shape, sharding, lambda index: leaf[index])

    return jax.tree.map(put_leaf, tree)


def put_everywhere(tree, mesh):
    """A pytree of NumPy arrays, whole on every device; devices of a CPU share one copy in its memory.

    That copy is the array itself where it is aligned, so nobody may write to it afterwards.
    """
    if mesh.devices.flat[0].platform == "cpu":
        tree = jax.tree.map(_aligned, tree)
    return put_global(tree, replicated(mesh))


def _aligned(array):
    """The array, or a copy of it that begins where XLA takes arrays of a CPU as they are."""
    if array.ctypes.data % tfds_reader.ALIGNMENT == 0 and array.flags.c_contiguous:
        return array
    copy = tfds_reader.aligned_zeros(array.shape, array.dtype)
    copy[...] = array
    return copy


def pad_to(index, size: int, axis: int = -1):
    """`index` filled up to `size` along one axis with its first entries: what is added is computed and not counted."""
    index = np.asarray(index)
    first = np.take(index, [0], axis=axis)
    return np.concatenate([index, np.repeat(first, size - index.shape[axis], axis=axis)], axis=axis)


def padded_size(batch: int, mesh) -> int:
    """The smallest multiple of the number of devices that holds `batch` cells."""
    return -(-batch // mesh.size) * mesh.size


def filled_rows(n: int, size: int):
    """Rows i32 [size] of each batch of n cells in order; the last one is filled up with the last cell."""
    for start in range(0, n, size):
        yield np.minimum(np.arange(start, start + size, dtype=np.int32), n - 1)


def batchwise(function, take, n: int, batch: int):
    """What a compiled function gives for n cells, some at a time, divided over the devices.

    While the devices work on a batch, the next one is taken.

    Args:
        function: pytree of arrays [B, ...] -> pytree of arrays [B, ...].
        take: rows, i32 [B] or a slice of B, -> what `function` takes.
        n: cells, at least 1.
        batch: cells at a time, rounded up to a multiple of the number of devices; the last batch is filled up, so that
            only one program is compiled.

    Returns:
        Pytree of NumPy arrays [n, ...].
    """
    devices = make_mesh()
    size = padded_size(batch, devices)
    results = []
    under_way = None
    for start, rows in zip(range(0, n, size), filled_rows(n, size), strict=True):
        is_full = start + size <= n
        cells = take(slice(start, start + size) if is_full else rows)  # of a slice NumPy makes no copy
        following = function(put_global(cells, sharded(devices)))
        if under_way is not None:
            results.append(jax.device_get(under_way))
        under_way = following
    results.append(jax.device_get(under_way))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *results)


def on_each_device(function):
    """`function` of arrays [B, ...] that gives arrays [B, ...], for the share of each device by itself; inside jit.

    Left to the compiler, a loop over cells would be gone through by every device for all of them, or with a word to all
    others in each of its rounds.
    """
    shares = PartitionSpec(AXIS)
    return jax.shard_map(function, mesh=make_mesh(), in_specs=shares, out_specs=shares, check_vma=False)


def first_process() -> bool:
    """Whether this process writes the files that one process writes for all."""
    return jax.process_index() == 0


def allreduce_max(*values: float) -> list[float]:
    """Each value's maximum over all processes: what they have to agree on. A process alone gets its own back."""
    return allgather(values).max(axis=0).tolist()


def allreduce_min(*values: float) -> list[float]:
    """As `allreduce_max`, each value's minimum."""
    return allgather(values).min(axis=0).tolist()


def allgather(value) -> np.ndarray:
    """What each process holds, an array or a number of the same kind, along a first axis; all of them call this."""
    value = np.asarray(value)
    if jax.process_count() == 1:
        return value[None]
    return multihost_utils.process_allgather(value)


def barrier(name: str) -> None:
    """Until all processes are here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def require_equal(text: str, what: str) -> None:
    """Refuse to go on where the processes do not all hold the same `text`.

    Raises:
        StoredStateRefused: on every process.
    """
    own = np.frombuffer(text.encode().ljust(64)[:64], np.uint8).astype(np.int32)
    if len(np.unique(allgather(own), axis=0)) > 1:
        raise StoredStateRefused(
            f"the {jax.process_count()} processes of this job differ in {what}; "
            "start all of them with the same command, config and data set"
        )
