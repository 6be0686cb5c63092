"""What is set once, before the first computation: devices of a CPU, memory, and where compiled programs are kept."""

import ctypes
import functools
import logging
import os
import pathlib
import platform
import tempfile

import jax

from cellcycle_jax import machine

CACHE_VARIABLE = "CELLCYCLE_JAX_CACHE"  # folder of compiled programs; unset: ~/.cache/cellcycle_jax/jax; "": no cache

MOST_CPU_DEVICES = 8  # more would leave each with too few crops of a batch
DEVICE_COUNT_FLAG = "xla_force_host_platform_device_count"
THREADS_VARIABLE = "PJRT_NPROC"  # threads that XLA has for all CPU devices of a process; by default one for each core

# Number of each parameter in glibc's malloc.h, and its value.
MALLOPT = {
    "M_MMAP_MAX": (-4, 0),  # large arrays too come from the heap
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1),  # bytes; the heap is not given back
    "M_TOP_PAD": (-2, 256 * 2**20),  # bytes by which it grows
}


def prepare() -> None:
    """Everything here; a command that computes calls it before it does."""
    limit_threads()
    divide_cpu()
    keep_freed_memory()
    enable_compile_cache()


def limit_threads() -> None:
    """Have XLA start a thread for each core that this process may use, instead of each of the machine.

    A process beside others of one command has its share whatever the environment says; else that has the last word.
    """
    cores = str(machine.cores())
    if machine.is_shared():
        os.environ[THREADS_VARIABLE] = cores
    else:
        os.environ.setdefault(THREADS_VARIABLE, cores)


def divide_cpu(devices: int | None = None) -> None:
    """Have JAX see so many CPU devices; by default each core that this process may use, up to `MOST_CPU_DEVICES`.

    Batches are divided over devices. Within one device XLA shares out products of matrices and convolutions among
    cores, but little of what lies between them: two devices on two cores train the networks 1.1 to 1.4 times as fast
    (bench/train.py; not measured with more). Training on an accelerator does not use them.

    Nothing is done where the user says how many, by JAX_NUM_CPU_DEVICES or XLA_FLAGS. Call it before the first
    computation; after it, it is too late, which a warning says.
    """
    if "JAX_NUM_CPU_DEVICES" in os.environ or DEVICE_COUNT_FLAG in os.environ.get("XLA_FLAGS", ""):
        return
    if devices is None:
        devices = min(machine.cores(), MOST_CPU_DEVICES)
    try:
        jax.config.update("jax_num_cpu_devices", devices)
    except RuntimeError:
        logging.warning(
            "JAX has been used already, so it keeps %d device(s) of the CPU instead of %d; "
            "call runtime.prepare() first",
            len(jax.devices("cpu")),
            devices,
        )


def keep_freed_memory() -> bool:
    """Have the C library keep memory that was freed, instead of asking the system for it again at each step.

    By default glibc gives every large array back when it is freed, so each step touches fresh pages, and the kernel has
    to find and clear each of them: 43 % of the processor time of a layer's training. PyTorch trains 1.5 to 1.8 times as
    fast with this setting. The price: the process stays as large as it ever was, and up to 256 MiB larger.

    Call it before the first computation.

    Returns:
        Whether it was done: only with glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    done = True
    for number, value in MALLOPT.values():
        done &= library.mallopt(number, value) == 1
    return done


def enable_compile_cache() -> None:
    """Keep compiled programs in the folder that `CACHE_VARIABLE` names; the next start takes them from there."""
    default = pathlib.Path.home() / ".cache" / "cellcycle_jax" / "jax"
    folder = os.environ.get(CACHE_VARIABLE, str(default))
    if folder and _can_be_written(folder):
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


@functools.cache
def _can_be_written(folder) -> bool:
    """Whether files can be made in a folder, which is made; says once where not. A bucket's address is left to JAX."""
    if "://" in folder:
        return True
    try:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError as error:
        logging.warning(
            "%s=%s: %s, so compiled programs are not kept; name a folder that can be written, or '' for none",
            CACHE_VARIABLE,
            folder,
            error.strerror,
        )
        return False
