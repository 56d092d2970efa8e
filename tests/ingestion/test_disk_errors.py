import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion import SourceParams, list_images
from ganvas.ingestion.download import MARKER, download_source

# Not readable even by root, since no memory is mapped at address 0.
UNREADABLE = "/proc/self/mem"


def test_a_file_in_place_of_a_folder_is_one_error_sentence(tmp_path):
    (tmp_path / "img_align_celeba").touch()
    with pytest.raises(GanvasError, match=r"can't be listed \(.*Not a directory.*\): fix that"):
        list_images(tmp_path, SourceParams(name="celeba"))


def test_an_unreadable_table_is_one_error_sentence(tmp_path):
    (tmp_path / "labels.csv").symlink_to(UNREADABLE)
    source = SourceParams(name="folder", folder={"labels": "csv"})
    with pytest.raises(GanvasError, match=r"can't be listed \(.*Input/output error.*\): fix"):
        list_images(tmp_path, source)


def test_an_unreadable_download_is_one_error_sentence(tmp_path):
    (tmp_path / MARKER).symlink_to(UNREADABLE)
    with pytest.raises(GanvasError, match=r"can't be downloaded to \(.*Input/output error.*\): f"):
        download_source("artworks", "owner/name", tmp_path, {})
