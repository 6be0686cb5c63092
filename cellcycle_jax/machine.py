"""What this process may use of the machine it runs on."""

import os
import pathlib

CGROUPS = pathlib.Path("/sys/fs/cgroup")


def cores() -> int:
    """Cores (hardware threads) that this process may use.

    A scheduler may have bound it to some of them, and a container may have a quota of processor time (cgroup v1, v2).
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, round(min(bound, _quota())))


def _quota() -> float:
    """Cores' worth of processor time that the container of this process is given; infinite without a limit."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((CGROUPS / name).read_text() for name in names).split()
        except (OSError, ValueError):
            continue
        if quota not in ("max", "-1"):
            return int(quota) / int(period)
    return float("inf")
