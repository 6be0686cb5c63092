"""What this process may use of the machine it runs on: cores and memory, also inside a container or a batch job."""

import os
import pathlib

CGROUPS = pathlib.Path("/sys/fs/cgroup")
PROC = pathlib.Path("/proc")
MIB = 2**20

_share = {"cores": float("inf")}  # of this process, where several of one command share the machine


def cores() -> int:
    """Cores (hardware threads) that this process may use.

    A scheduler may have bound it to some of them, a container may have a quota of processor time (cgroup v1, v2), and
    the command that this process works for may have others beside it.
    """
    bound = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        bound = len(os.sched_getaffinity(0))
    return max(1, round(min(bound, _quota(), _share["cores"])))


def limit_cores(count: int) -> None:
    """From now on `cores` gives this process no more than so many."""
    _share["cores"] = count


def is_shared() -> bool:
    """Whether `limit_cores` was called."""
    return _share["cores"] < float("inf")


def _quota() -> float:
    """Cores' worth of processor time that the container of this process is given; infinite without a limit."""
    quotas = [float("inf")]
    for group in _groups("cpu"):
        for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
            try:
                texts = [(group / name).read_text() for name in names]
                quota, period = " ".join(texts).split()
                if quota not in ("max", "-1"):
                    quotas.append(int(quota) / int(period))
            except (OSError, ValueError):
                continue
    return min(quotas)


def free_memory() -> int:
    """Bytes that this process may still take: the least of what the machine, its container and its batch job leave it.

    The machine's is what the kernel calls available. A container's limit (cgroup v1, v2, and of all groups around it)
    is less what is used in it, page cache that can be given back not counted. A job of Slurm may take what was asked
    for it, less what this process holds.
    """
    left = [_of_machine(), *_of_containers(), *_of_slurm_job()]
    return int(max(0, min(left)))


def _of_machine() -> float:
    """Bytes that the kernel calls available, or all of the machine's where it does not say."""
    for line in _lines(PROC / "meminfo"):
        if line.startswith("MemAvailable"):
            return 1024 * float(line.split()[1])
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _of_containers() -> list[float]:
    """Bytes left in each container that has a limit."""
    left = []
    for group in _groups("memory"):
        limit = _smallest(group, "memory.max", "memory.high", "memory.limit_in_bytes")
        used = _smallest(group, "memory.current", "memory.usage_in_bytes")
        if max(limit, used) < float("inf"):
            left.append(limit - used + _page_cache(group))
    return left


def _page_cache(group) -> float:
    """Bytes of files that a container holds in memory and gives back when it needs room."""
    try:
        counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return float(counts.get("total_inactive_file", counts.get("inactive_file", 0)))
    except (OSError, ValueError):
        return 0.0


def _of_slurm_job() -> list[float]:
    """Bytes that a job of Slurm leaves this process, [] without a job or without a limit."""
    try:
        if "SLURM_MEM_PER_NODE" in os.environ:
            megabytes = float(os.environ["SLURM_MEM_PER_NODE"])
        else:
            megabytes = float(os.environ["SLURM_MEM_PER_CPU"]) * float(os.environ["SLURM_CPUS_ON_NODE"])
        pages = int((PROC / "self" / "statm").read_text().split()[1])
    except (KeyError, ValueError, OSError):
        return []
    if not megabytes:  # 0: all of the node
        return []
    return [megabytes * MIB - pages * os.sysconf("SC_PAGE_SIZE")]


def _groups(controller: str) -> list[pathlib.Path]:
    """Folders of the groups that this process is in, the innermost first, and the one that is mounted."""
    groups = []
    for line in _lines(PROC / "self" / "cgroup"):
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            mounted = CGROUPS
        elif controller in controllers.split(","):
            mounted = CGROUPS / controller
        else:
            continue
        inner = pathlib.PurePosixPath(path.lstrip("/"))
        # Seen from inside a container the path may be that of the host, of which nothing is mounted here.
        for part in (inner, *inner.parents):
            if (mounted / part).is_dir():
                groups.append(mounted / part)
    groups += [CGROUPS, CGROUPS / controller]
    return list(dict.fromkeys(groups))


def _smallest(folder, *names) -> float:
    """The smallest number in some files of a folder; a file that says max, or is not there, counts as infinite."""
    smallest = float("inf")
    for name in names:
        try:
            text = (folder / name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            smallest = min(smallest, float(text))
    return smallest


def _lines(path) -> list[str]:
    """The lines of a file, none where it cannot be read."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
