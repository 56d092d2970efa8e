"""No file that users name is waited for forever."""

import os
import time
from pathlib import Path

import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion import file_reading, pack_worker
from ganvas.ingestion.file_reading import read_file
from ganvas.ingestion.pack_worker import ChunkTask, DecodeOptions, make_chunk
from ganvas.ingestion.rejection import NoAnswer, Rejection


@pytest.fixture
def silent(tmp_path, monkeypatch) -> Path:
    """A file whose reading blocks: a pipe that passes for a regular file."""
    monkeypatch.setattr(file_reading, "_check_regular", lambda file: None)
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
    read = pack_worker.decode_image.__globals__["read_file"]
    monkeypatch.setattr("ganvas.ingestion.decode.read_file", lambda path: read(path, seconds=0.1))
    options = DecodeOptions(tmp_path, (32, 32, 3), "center", "none")
    make_chunk(ChunkTask(tmp_path / "a.npz", ("silent.jpg",) * 2, options))
    with pytest.raises(GanvasError, match=r"The disk of .* does not answer.*repeat the command"):
        make_chunk(ChunkTask(tmp_path / "b.npz", ("silent.jpg",) * 3, options))
