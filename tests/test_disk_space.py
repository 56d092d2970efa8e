import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from click import ClickException

from ganvas.atomic_files import atomic_write
from ganvas.command_errors import in_one_sentence
from ganvas.disk_space import check_free_space, format_bytes
from ganvas.errors import GanvasError
from ganvas.ingestion import SourceParams, list_images
from ganvas.ingestion.download import MARKER, download_source

# Not readable even by root, since no memory is mapped at address 0.
UNREADABLE = "/proc/self/mem"


def test_a_file_in_place_of_a_folder_is_one_error_sentence(tmp_path):
    (tmp_path / "img_align_celeba").touch()
    with pytest.raises(GanvasError, match=r"can't be listed \(.*Not a directory.*\): fix that"):
        list_images(tmp_path, SourceParams(name="celeba"))


def test_an_unreadable_download_is_one_error_sentence(tmp_path):
    (tmp_path / MARKER).symlink_to(UNREADABLE)
    with pytest.raises(GanvasError, match=r"can't be downloaded to \(.*Input/output error.*\): f"):
        download_source("artworks", "owner/name", tmp_path, {})


@in_one_sentence
def write(file: Path) -> None:
    """Write a file as a library does that raises its own error."""
    try:
        atomic_write(file, b"new")
    except OSError as error:
        raise RuntimeError("not saved") from error


def test_a_full_disk_is_one_sentence_whoever_writes_and_the_old_file_is_intact(tmp_path):
    file = tmp_path / "metrics.json"
    file.write_text("old")
    # A device that is always full.
    (tmp_path / ".metrics.json.partial").symlink_to("/dev/full")
    expected = rf"^The disk of {file} is full \(\d.* are free\): free space on it, then run"
    with pytest.raises(ClickException, match=expected):
        write(file)
    assert file.read_text() == "old" and [path.name for path in tmp_path.iterdir()] == [file.name]


def test_an_exhausted_quota_of_an_unknown_folder_is_one_sentence():
    @in_one_sentence
    def fail() -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with pytest.raises(ClickException, match=r"^The disk of \S+ has no quota left: free space"):
        fail()


def test_only_a_disk_that_is_certainly_too_small_is_refused(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2_500_000))
    folder = tmp_path / "new" / "collection"
    check_free_space(folder, least=-10, likely=2_500_000, content="packed images")
    assert not caplog.text
    check_free_space(folder, least=2_500_000, likely=4e9, content="packed images")
    assert "collection has 2.5 MB free, and the packed images may need 4 GB" in caplog.text
    expected = "has 2.5 MB free, but the packed images need at least 3 MB, and probably 4 GB: free"
    with pytest.raises(GanvasError, match=expected):
        check_free_space(folder, least=3e6, likely=4e9, content="packed images")


def test_numbers_of_bytes_are_short():
    assert [format_bytes(count) for count in (0, 999, 12_345, 7e15)] == [
        "0 bytes",
        "999 bytes",
        "12.3 kB",
        "7e+03 TB",
    ]
