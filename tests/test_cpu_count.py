"""CPU cores that a process may use."""

import math
import os
import subprocess
import sys

import pytest

from ganvas import cpu_count
from ganvas.cpu_count import count_cpus, read_quota


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone sets affinities")
def test_cores_are_those_that_the_process_may_use():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    code += "\nfrom ganvas.cpu_count import count_cpus; print(count_cpus())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "1\n"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, math.inf),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, math.inf),
        ({"cpu.max": "damaged"}, math.inf),
        ({"pod/cpu.max": "200000 100000\n", "pod/app/cpu.max": "max 100000\n"}, 2),
        ({"pod/cpu.max": "400000 100000\n", "pod/app/cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu,cpuacct/pod/cpu.cfs_quota_us": "300000", "cpu.max": "x"}, math.inf),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
    ],
)
def test_the_least_quota_of_a_group_and_of_those_above_counts(tmp_path, files, cores):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert read_quota(["/pod/app"], tmp_path) == cores


def test_a_quota_is_rounded_up_to_at_least_one_core(monkeypatch, tmp_path):
    monkeypatch.setattr(cpu_count, "CGROUPS", tmp_path)
    monkeypatch.setattr(cpu_count.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert count_cpus() == 64
    for text, cores in (("150000 100000", 2), ("10000 100000", 1)):
        (tmp_path / "cpu.max").write_text(text)
        assert count_cpus() == cores
