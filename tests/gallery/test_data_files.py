"""Files of the data folder that are pipes, huge, or unpack to much."""

import os
import zipfile

import pytest

from ganvas.gallery.data_files import find_archive_fault, read_start
from ganvas.model_versions import read_recorded_version


def write_archive(file, content=b"{}", entries=0):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", content)
        archive.writestr("model.weights.h5", os.urandom(1000))
        for number in range(entries):
            archive.writestr(str(number), b"")
    return file


def test_only_the_start_of_a_large_file_is_read(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    os.truncate(file, 2**29)
    assert read_start(file, 4) == b"abc\0"


def test_pipes_devices_and_folders_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "device", "folder", "missing"):
        with pytest.raises(OSError):
            read_start(tmp_path / name, 4)
        if name != "missing":
            assert "is not a file" in find_archive_fault(tmp_path / name)
        assert read_recorded_version(tmp_path / name) is None


def test_archives_that_unpack_to_much_are_refused(tmp_path):
    assert find_archive_fault(write_archive(tmp_path / "a.keras")) == ""
    zeros = write_archive(tmp_path / "b.keras", bytes(2**27))
    assert find_archive_fault(zeros) == "b.keras would unpack to 128 MB in 2 files"
    many = write_archive(tmp_path / "c.keras", entries=2000)
    assert "in 2,002 files" in find_archive_fault(many)
