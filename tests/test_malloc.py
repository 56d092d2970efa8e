import platform
import subprocess
import sys

import pytest

STEPS = """
import resource
import numpy as np
{first}
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for step in range(20):
    arrays = [np.ones(400_000) for _ in range(10)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def count_page_faults(first: str) -> int:
    """Count the page faults of a process that allocates and frees 32 MB twenty times."""
    command = [sys.executable, "-c", STEPS.format(first=first)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


THREADS = """
import re, threading
import numpy as np
{first}
def work(): blocks.append([bytes(400_000) for _ in range(10)]); barrier.wait()
blocks, barrier = [], threading.Barrier(25)
for _ in range(24): threading.Thread(target=work).start()
barrier.wait()
# Each arena but the first reserves blocks of 64 MiB, aligned to their size: anonymous memory of
# which a part can be written to. The addresses of files may be aligned by chance.
block, count = 2**26, 0
for line in open("/proc/self/maps"):
    span, mode, *_, inode = line.split()[:5]
    start, end = (int(address, 16) for address in span.split("-"))
    anonymous = inode == "0" and len(line.split()) == 5
    if anonymous and mode == "rw-p" and start % block == 0:
        count += max(1, (end - start) // block)
print(count)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_threads_share_two_arenas():
    def count_arenas(first):
        command = [sys.executable, "-c", THREADS.format(first=first)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    shared = "from ganvas.malloc import share_freed_memory; share_freed_memory()"
    # An arena that has used up its block reserves a second one.
    assert count_arenas(shared) <= 3
    assert count_arenas("") > 10


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_memory_that_a_step_frees_is_reused_by_the_next():
    pages, faults = 10 * 400_000 * 8 // 4096, count_page_faults("import ganvas")
    assert faults < 2 * pages, "allocated once, and hardly ever again"
    assert count_page_faults("") > 10 * pages, (
        "without the setting, allocated again in nearly every step"
    )
