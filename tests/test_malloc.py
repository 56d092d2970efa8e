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
    several = [np.ones(400_000) for _ in range(10)]
    del several
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages_taken(first: str) -> int:
    """How often the system had to hand a page to a process that takes 32 MB twenty times."""
    command = [sys.executable, "-c", STEPS.format(first=first)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


THREADS = """
import re, threading
import numpy as np
{first}
def work(): held.append([bytes(400_000) for _ in range(10)]); wait.wait()
held, wait = [], threading.Barrier(25)
for _ in range(24): threading.Thread(target=work).start()
wait.wait()
# Each arena but the first reserves 64 MiB at a time, on a border of as much.
addresses = [int(line.split("-")[0], 16) for line in open("/proc/self/maps")]
print(sum(each % 2**26 == 0 for each in addresses))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is one of glibc's")
def test_threads_share_memory():
    def count_arenas(first):
        command = [sys.executable, "-c", THREADS.format(first=first)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    ours = "from ganvas.malloc import share_freed_memory; share_freed_memory()"
    assert count_arenas(ours) <= 2 < count_arenas("")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is one of glibc's")
def test_memory_that_a_step_frees_is_there_for_the_next():
    pages, ours = 10 * 400_000 * 8 // 4096, pages_taken("import ganvas")
    assert ours < 2 * pages, "taken once, and again only here and there"
    assert pages_taken("") > 10 * pages, "without the setting, taken anew at nearly every step"
