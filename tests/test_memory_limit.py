"""Memory that a process may use."""

import pytest

from ganvas import memory_limit
from ganvas.memory_limit import read_group_limit, read_memory_limit

NO_LIMIT_OF_VERSION_1 = 9223372036854771712


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"memory.max": "max\n"}, None),
        ({"memory.max": "damaged"}, None),
        ({"memory.max": "8000\n"}, 8000),
        ({"pod/memory.max": "9000\n", "pod/app/memory.max": "max\n"}, 9000),
        ({"pod/memory.max": "9000\n", "pod/app/memory.max": "7000\n"}, 7000),
        ({"memory/pod/app/memory.limit_in_bytes": "5000\n", "memory.max": "max"}, 5000),
        ({"memory/memory.limit_in_bytes": f"{NO_LIMIT_OF_VERSION_1}\n"}, NO_LIMIT_OF_VERSION_1),
    ],
)
def test_the_least_limit_of_a_group_and_of_those_above_counts(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert read_group_limit(["/pod/app"], tmp_path) == expected


def test_the_limit_is_the_memory_of_the_machine_at_most(monkeypatch, tmp_path):
    monkeypatch.setattr(memory_limit, "CGROUPS", tmp_path)
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}
    monkeypatch.setattr(memory_limit.os, "sysconf", pages.__getitem__, raising=False)
    assert read_memory_limit() == 4_096_000
    (tmp_path / "memory.max").write_text(f"{NO_LIMIT_OF_VERSION_1}")
    assert read_memory_limit() == 4_096_000
    (tmp_path / "memory.max").write_text("1000000")
    assert read_memory_limit() == 1_000_000


def test_the_memory_of_this_machine_is_known():
    limit = read_memory_limit()
    assert limit and 2**28 < limit < 2**50
