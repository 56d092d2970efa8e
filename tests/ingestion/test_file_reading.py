"""No file that users name is waited for forever."""

import os
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion import file_reading, pack_worker
from ganvas.ingestion.file_reading import read_file, read_files
from ganvas.ingestion.pack_worker import ChunkTask, DecodeOptions, make_chunk
from ganvas.ingestion.rejection import NoAnswer, Rejection


@pytest.fixture
def silent(tmp_path, monkeypatch) -> Path:
    """A file whose reading blocks: a pipe that passes for a regular file."""
    monkeypatch.setattr(file_reading, "_check_regular", lambda file: 1)
    os.mkfifo(tmp_path / "silent.jpg")
    return tmp_path / "silent.jpg"


def test_all_bytes_or_the_first_ones_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(file_reading, "PIECE", 1000)
    content = bytes(range(256)) * 20
    (tmp_path / "a").write_bytes(content)
    assert read_file(tmp_path / "a") == content
    assert read_file(tmp_path / "a", most=1500) == content[:1500]


def test_reading_ends_at_the_time_limit(silent):
    start = time.monotonic()
    with pytest.raises(NoAnswer, match=r"can't be read: no answer within 0\.2 seconds"):
        read_file(silent, seconds=0.2)
    assert time.monotonic() - start < 5


def test_files_are_read_in_order_and_ahead_of_their_use(tmp_path, monkeypatch):
    monkeypatch.setattr(file_reading, "AHEAD", 1000)
    sizes = [300, 300, 0, 700, 5000, 100, 100]
    for number, size in enumerate(sizes):
        (tmp_path / str(number)).write_bytes(bytes([number]) * size)
    files = [tmp_path / str(number) for number in range(len(sizes))] + [tmp_path / "missing"]
    contents = read_files(files)
    assert next(contents) == bytes(300)
    # The next three fit into the space, whatever the caller does.
    wait_until(lambda: len(reader_of(contents)._contents) == 3)
    (tmp_path / "1").write_bytes(b"changed since")
    assert next(contents) == bytes([1]) * 300
    empty, *others, missing = contents
    assert isinstance(empty, Rejection) and str(empty) == "empty file"
    assert others == [bytes([number]) * sizes[number] for number in (3, 4, 5, 6)]
    assert isinstance(missing, Rejection) and str(missing).startswith("can't be read: No such file")


def test_files_after_one_that_does_not_answer_are_read(silent, tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    contents = list(read_files([tmp_path / "a", silent, tmp_path / "a"], seconds=0.2))
    assert contents[::2] == [b"a", b"a"] and isinstance(contents[1], NoAnswer)


def test_a_large_file_waits_until_it_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(file_reading, "AHEAD", 100)
    for name, size in (("small", 10), ("large", 1000)):
        (tmp_path / name).write_bytes(bytes(size))
    contents = read_files([tmp_path / "small", tmp_path / "large"])
    next(contents)
    time.sleep(0.05)
    assert not reader_of(contents)._contents
    assert len(next(contents)) == 1000


def test_the_thread_ends_with_its_caller(tmp_path):
    (tmp_path / "a").write_bytes(bytes(2**22))
    before = threading.active_count()
    contents = read_files([tmp_path / "a"] * 9)
    next(contents)
    contents.close()
    wait_until(lambda: threading.active_count() == before)


def reader_of(contents):
    return contents.gi_frame.f_locals["reader"]


def wait_until(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("link", [False, True])
def test_special_files_are_refused_before_they_are_opened(tmp_path, link):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    cases = {tmp_path / "pipe": "not a file", tmp_path / "empty": "empty file"}
    cases |= {tmp_path: "a folder", Path("/dev/zero"): "not a file"}
    if Path("/proc/kmsg").exists():
        # Reading the kernel's log blocks until it logs something.
        cases[Path("/proc/kmsg")] = "empty file"
    for number, (path, reason) in enumerate(cases.items()):
        target = tmp_path / f"link{number}"
        target.symlink_to(path)
        with pytest.raises(Rejection, match=reason):
            read_file(target if link else path)


def test_ingestion_ends_if_the_disk_never_answers(silent, tmp_path, monkeypatch):
    monkeypatch.setattr(pack_worker, "read_files", partial(read_files, seconds=0.1))
    options = DecodeOptions(tmp_path, (32, 32, 3), "center", "none")
    make_chunk(ChunkTask(tmp_path / "a.npz", ("silent.jpg",) * 2, options))
    with pytest.raises(GanvasError, match=r"The disk of .* does not answer.*repeat the command"):
        make_chunk(ChunkTask(tmp_path / "b.npz", ("silent.jpg",) * 3, options))
