import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion import SourceParams, find_images
from ganvas.ingestion.download import MARK, FetchParams, fetch

# Even root can't read the first byte of its own memory: there is none.
UNREADABLE = "/proc/self/mem"


def test_a_folder_that_is_none_is_told_in_one_sentence(tmp_path):
    (tmp_path / "img_align_celeba").touch()
    with pytest.raises(GanvasError, match=r"can't be listed \(.*Not a directory.*\): mend that"):
        find_images(tmp_path, SourceParams(name="celeba"))


def test_a_table_that_can_not_be_read_is_told_in_one_sentence(tmp_path):
    (tmp_path / "labels.csv").symlink_to(UNREADABLE)
    source = SourceParams(name="folder", folder={"labels": "csv"})
    with pytest.raises(GanvasError, match=r"can't be listed \(.*Input/output error.*\): mend"):
        find_images(tmp_path, source)


def test_a_fetched_folder_that_can_not_be_read_is_told_in_one_sentence(tmp_path):
    (tmp_path / MARK).symlink_to(UNREADABLE)
    with pytest.raises(GanvasError, match=r"can't be fetched \(.*Input/output error.*\): mend"):
        fetch("artworks", tmp_path, FetchParams(), {})
