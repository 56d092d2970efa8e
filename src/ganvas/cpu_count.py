"""Number of CPU cores that this process may use."""

import math
import os
from pathlib import Path

from ganvas.cgroups import CGROUPS, OWN_GROUPS, list_folders, read_groups


def count_cpus() -> int:
    """Return how many CPU cores this process may use, at least one.

    It is the machine's number at most: a batch system such as Slurm, or `taskset`, lets a process
    use some of the cores, and a container has a quota of time, which is rounded up to whole cores.

    Example:
        >>> count_cpus()  # docker run --cpus=1.5, on a machine of 64 cores
        2
    """
    affinity = getattr(os, "sched_getaffinity", None)  # on Linux alone
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = read_quota(read_groups(OWN_GROUPS, "cpu,cpuacct"), CGROUPS)
    return max(1, math.ceil(min(cores, quota)))


def read_quota(groups: list[str], hierarchy: Path) -> float:
    """Return the least quota of CPU time of groups and of those above, in cores.

    Args:
        groups: Paths of control groups; within a container their folders may not exist.
        hierarchy: Where control groups are mounted, of version 1 or 2.

    Returns:
        Cores; infinity without a quota.
    """
    folders = list_folders(groups, hierarchy, ("cpu", "cpu,cpuacct"))
    return min(map(_read_group_quota, folders), default=math.inf)


def _read_group_quota(folder: Path) -> float:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        # `max` and -1 mean no quota.
        cores = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
    return cores if cores > 0 else math.inf
