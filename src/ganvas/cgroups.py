"""Linux's control groups, by which containers and batch systems limit what a process may use."""

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def read_groups(file: Path, controller: str) -> list[str]:
    """Return the control groups of a process: absolute paths below the mounted hierarchies.

    Args:
        file: The process's list of groups, such as `OWN_GROUPS`.
        controller: Name in that list of the controller of version 1, such as `cpu,cpuacct`.
    """
    try:
        # `0::/path` of version 2, `4:cpu,cpuacct:/path` of version 1.
        lines = [line.split(":", 2) for line in file.read_text().splitlines()]
    except OSError:
        return []
    return [fields[2] for fields in lines if len(fields) == 3 and fields[1] in ("", controller)]


def list_folders(groups: list[str], hierarchy: Path, controllers: tuple[str, ...]) -> set[Path]:
    """Return the folders of groups and of those above, whose limits count too.

    Args:
        groups: Paths of control groups; within a container their folders may not exist.
        hierarchy: Where control groups are mounted, of version 1 or 2.
        controllers: Folders of the controller in version 1.
    """
    # The hierarchy's own folder is the container's group.
    return {
        root.joinpath(*parts[:end])
        for parts in ([part for part in group.split("/") if part] for group in [*groups, ""])
        for end in range(len(parts) + 1)
        for root in (hierarchy, *(hierarchy / name for name in controllers))
    }
