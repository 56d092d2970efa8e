"""Memory that this process may use."""

import os
from pathlib import Path

from ganvas.cgroups import CGROUPS, OWN_GROUPS, list_folders, read_groups


def read_memory_limit() -> int | None:
    """Return how many bytes of memory this process may use; None where that is unknown.

    It is the machine's memory at most: a container or a batch system such as Slurm may allow less.

    Example:
        >>> read_memory_limit()  # docker run --memory=8g, on a machine of 64 GiB
        8589934592
    """
    limits = [read_group_limit(read_groups(OWN_GROUPS, "memory"), CGROUPS)]
    try:
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        # Windows has no such function, and macOS not these names in all versions.
        return limits[0]
    return min(limit for limit in limits if limit is not None)


def read_group_limit(groups: list[str], hierarchy: Path) -> int | None:
    """Return the least limit of memory of groups and of those above, in bytes; None without one.

    Args:
        groups: Paths of control groups; within a container their folders may not exist.
        hierarchy: Where control groups are mounted, of version 1 or 2.
    """
    limits = []
    for folder in list_folders(groups, hierarchy, ("memory",)):
        for name in ("memory.max", "memory.limit_in_bytes"):
            try:
                # `max` of version 2 means no limit; version 1 has a number beyond any memory.
                limits.append(int((folder / name).read_text()))
            except (OSError, ValueError):
                continue
    return min((limit for limit in limits if limit > 0), default=None)
