"""How this process takes memory from the operating system."""

import ctypes
import platform

# mallopt's names, from glibc's malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, ARENA_MAX = -1, -2, -3, -8
MIB = 1 << 20


def keep_freed_memory() -> None:
    """Let glibc keep what a training step frees, for the next step to use.

    Every step asks for the same large arrays again. As it is, glibc gives each back to the system
    and takes it anew, and on a CPU filling in its pages has been seen to cost from a tenth to half
    of the step. Does nothing where the C library is another. See mallopt(3).
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    # 32 MiB is the most that glibc takes for the first; the others are C's int.
    libc.mallopt(MMAP_THRESHOLD, 32 * MIB)
    libc.mallopt(TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(TOP_PAD, 64 * MIB)


def share_freed_memory() -> None:
    """Let all threads take memory from the same two arenas of glibc.

    Each thread of a server would keep what it has once freed to itself, in up to eight arenas a
    core. See mallopt(3).
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(ARENA_MAX, 2)
