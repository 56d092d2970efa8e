"""Settings of glibc's memory allocator for this process, see mallopt(3)."""

import ctypes
import platform

# Constants of glibc's malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, ARENA_MAX = -1, -2, -3, -8
MIB = 1 << 20


def keep_freed_memory() -> None:
    """Let glibc keep the memory that a training step frees, for reuse by the next step.

    Each step allocates the same large arrays. By default glibc returns them to the operating
    system every time, and faulting the pages in again was measured to take from a tenth to half of
    a step on a CPU. Does nothing with another C library.
    """
    # 32 MiB is the largest mmap threshold that glibc accepts; the others are C ints.
    _mallopt((MMAP_THRESHOLD, 32 * MIB), (TRIM_THRESHOLD, 2**31 - 1), (TOP_PAD, 64 * MIB))


def share_freed_memory() -> None:
    """Let all threads of a server share two arenas of glibc.

    By default each thread keeps its freed memory in one of up to eight arenas per core.
    """
    _mallopt((ARENA_MAX, 2))


def _mallopt(*options: tuple[int, int]) -> None:
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for parameter, value in options:
            libc.mallopt(parameter, value)
